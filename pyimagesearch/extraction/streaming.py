"""Keep a network busy: load pictures ahead of it, in order, in little memory."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice

import numpy as np

from pyimagesearch.nn import Network, why_not_finite
from pyimagesearch.utils.errors import NotResumableError
from pyimagesearch.utils.orderedmap import ordered_map


def stream_features(
    network: Network,
    load: Callable[[int], np.ndarray],
    rows: range,
    executor: Executor,
    jobs: int,
) -> Iterator[np.ndarray]:
    """Yield the features of pictures, batch by batch.

    A network that several threads may call is called where the pictures are
    loaded, so that each core loads and computes by turns and none waits. Any
    other is called here, while the executor loads the next pictures.

    Parameters
    ----------
    network : Network
        What computes the features.
    load : callable
        Takes a row's number, returns its uint8 pixels (height, width, 3);
        called in the executor.
    rows : range
        The rows to compute.
    executor : concurrent.futures.Executor
        Where pictures are loaded.
    jobs : int
        How many workers the executor has.

    Yields
    ------
    ndarray of float32, shape (b, n_features)
        Features in the order of `rows`; b is the network's batch size, less
        in the last batch.
    """

    def prepare(row: int) -> np.ndarray:
        return network.preprocess(load(row))

    def compute(batch: list[int]) -> np.ndarray:
        return network(np.stack([prepare(row) for row in batch]))

    if network.concurrent:
        # Twice the workers: each finds its next batch while results wait their turn.
        yield from ordered_map(compute, _batches(rows, network.batch_size), executor, 2 * jobs)
    else:
        ahead = jobs + 2 * network.batch_size
        pictures = ordered_map(prepare, rows, executor, ahead)
        yield from map(network, map(np.stack, _batches(pictures, network.batch_size)))


def finite_features(
    batches: Iterable[np.ndarray],
    paths: Sequence[object],
    network: Network,
    row: int = 0,
    blank: Container[int] = (),
) -> Iterator[np.ndarray]:
    """Yield batches of features as they come, as long as all of them are numbers.

    Parameters
    ----------
    batches : iterable of ndarray of float32, shape (b, n_features)
        From `stream_features`, here or on a cluster.
    paths : sequence
        Path of the image of each row.
    network : Network
        What has computed them.
    row : int
        The row that the first batch begins with.
    blank : container of int
        Rows of no image, whose features nobody reads: they become 0. Looked at
        only when the batch is there.

    Yields
    ------
    ndarray of float32, shape (b, n_features)

    Raises
    ------
    NotResumableError
        At the first batch with a NaN or an infinity; names the image and what
        may be wrong.
    """
    for features in batches:
        finite = np.isfinite(features)
        if not finite.all():
            for i in np.flatnonzero(~finite.all(axis=1)):
                if row + i not in blank:
                    raise NotResumableError(
                        f"{np.count_nonzero(~finite[i]):,} of the {features.shape[1]:,} features "
                        f"of {str(paths[row + i])!r} are NaN or infinite: "
                        f"{why_not_finite(network)}"
                    )
            features = np.where(finite, features, np.float32(0))
        yield features
        row += len(features)


def _batches(items, size: int) -> Iterator[list]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch
