"""Compute features on the workers of an existing Dask cluster.

The images' bytes and the network are sent from here to the scheduler, and from
there to the workers: these need none of our files, and no route to this machine.
"""

from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np

from pyimagesearch.extraction.cluster import Cluster
from pyimagesearch.extraction.dispatch import Dispatch
from pyimagesearch.extraction.extractor import Extractor, Images
from pyimagesearch.nn import Network
from pyimagesearch.utils.orderedmap import ordered_map
from pyimagesearch.utils.wording import counted


class ClusterExtractor(Extractor):
    """Read images here, and compute their features on a cluster.

    Parameters
    ----------
    network, executor, jobs
        As for every extractor.
    cluster : Cluster
        Workers that have the network.
    """

    def __init__(self, network: Network, executor: Executor, jobs: int, cluster: Cluster):
        super().__init__(network, executor, jobs)
        self._cluster = cluster

    @property
    def processors(self) -> str | dict[str, int]:
        """The CPU models of the workers when the cluster was joined."""
        models = dict(sorted(self._cluster.processors.items()))
        return next(iter(models)) if len(models) == 1 else models

    def note(self) -> str:
        """Return how many workers can compute now."""
        return counted(len(self._cluster.usable), "worker")

    def _batches(self, images: Images, rows: range) -> Iterator[np.ndarray]:
        def read(row: int) -> tuple[str, bytes]:
            return images.name(row), images.contents(row)

        batch_size = self.network.batch_size
        read_ahead = ordered_map(read, rows, self._executor, self._jobs + 2 * batch_size)
        row_bytes = self.network.description.n_features * np.dtype(np.float32).itemsize
        with self._cluster.connection_errors():
            dispatch = Dispatch(self._cluster, batch_size, row_bytes, images.decoding)
            yield from dispatch.features(read_ahead)
