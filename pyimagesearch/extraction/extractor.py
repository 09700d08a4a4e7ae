"""From images to features, on this machine or on the workers of a cluster."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from pyimagesearch.nn import Network, why_not_finite
from pyimagesearch.preprocessing import Decoding
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import NotResumableError


class Images(Protocol):
    """The input of an extractor: images by row, read in several threads.

    Attributes
    ----------
    unreadable : mapping of int to str
        Why a row's image cannot be read, of those that were read until now. A
        blank image stands in for each.
    decoding : Decoding
        How their files are read.
    """

    unreadable: Mapping[int, str]
    decoding: Decoding

    def name(self, row: int) -> str:
        """Return the name of a row's image, for messages."""

    def pixels(self, row: int, size: tuple[int, int] | None) -> np.ndarray:
        """Return a row's pixels: uint8, shape (*size, 3); None is the image's own size."""

    def contents(self, row: int) -> bytes:
        """Return the contents of a row's file, to be decoded elsewhere."""


class Extractor(ABC):
    """What computes features; `open_extractor` returns one.

    Attributes
    ----------
    network : Network
        The network.
    note : callable or None
        Returns what the progress reports about the workers.
    """

    note: Callable[[], str] | None = None

    def __init__(self, network: Network, executor: Executor, jobs: int):
        self.network = network
        self._executor, self._jobs = executor, jobs

    @property
    @abstractmethod
    def processors(self) -> str | dict[str, int]:
        """The CPU models to record in a file: another may give other last digits.

        If all are of one model, only its name, as on a single machine; else the
        number of each.
        """

    def n_to_compute(self, rows: range) -> int:
        """Return how many of some rows must be computed: those that no earlier run did."""
        return len(rows)

    @abstractmethod
    def _batches(self, images: Images, rows: range) -> Iterator[np.ndarray]:
        """Yield the outputs of the network, batch by batch."""

    def features(self, images: Images, rows: range) -> Iterator[np.ndarray]:
        """Yield the features of images, batch by batch, in order and in little memory.

        Parameters
        ----------
        images : Images
            The images.
        rows : range
            Which of them to compute.

        Yields
        ------
        ndarray of float32, shape (b, n_features)
            Features in the order of `rows`; b is the network's batch size,
            less in the last batch. Those of an unreadable row are
            meaningless.

        Raises
        ------
        NotResumableError
            At the first batch with a NaN or an infinity, naming the image and
            what may be wrong.
        InputError
            If an image cannot be read and `images` raises, or the workers of a
            cluster are lost.
        """
        row = rows.start
        with contextlib.closing(self._batches(images, rows)) as batches:
            for features in batches:
                yield self._finite(features, images, row)
                row += len(features)

    def _finite(self, features: np.ndarray, images: Images, first: int) -> np.ndarray:
        finite = np.isfinite(features)
        if finite.all():
            return features
        for i in np.flatnonzero(~finite.all(axis=1)):
            if first + i not in images.unreadable:
                raise NotResumableError(
                    f"{np.count_nonzero(~finite[i]):,} of the {features.shape[1]:,} features "
                    f"of {images.name(first + i)!r} are NaN or infinite: "
                    f"{why_not_finite(self.network)}"
                )
        return np.where(finite, features, np.float32(0))


@contextlib.contextmanager
def open_extractor(
    network: Network, cluster: str | None = None, jobs: int = 1
) -> Iterator[Extractor]:
    """Run a network here, or on the workers of a cluster.

    Parameters
    ----------
    network : Network
        What computes the features; for a cluster, it must not have computed here.
    cluster : str or None
        ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or the path of a scheduler
        file; None for this machine.
    jobs : int
        How many threads read images, and compute on a CPU here.

    Yields
    ------
    Extractor
        Valid until the context is left.

    Raises
    ------
    InputError
        If there is no such cluster, it has no workers or other versions than
        this machine, or Dask is not installed.
    """
    if cluster is None:
        from pyimagesearch.extraction.localextractor import LocalExtractor

        with ThreadPoolExecutor(jobs) as executor:
            yield LocalExtractor(network, executor, jobs)
        return
    try:
        from pyimagesearch.extraction.cluster import Cluster
        from pyimagesearch.extraction.clusterextractor import ClusterExtractor
    except ImportError as error:
        raise InputError(
            f"a cluster needs Dask ({error}): pip install -r requirements-cluster.txt"
        ) from error
    with Cluster(cluster, network) as workers, ThreadPoolExecutor(jobs) as executor:
        yield ClusterExtractor(network, executor, jobs, workers)
