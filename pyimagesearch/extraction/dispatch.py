"""The batches that are under way on a cluster: sent, waited for, and sent again."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

import numpy as np
from distributed import KilledWorker

from pyimagesearch.extraction.cluster import Cluster, NamedContents, few_names
from pyimagesearch.preprocessing import Decoding
from pyimagesearch.utils import InputError

LOOK_EVERY_S = 1.0  # for workers that have come or gone
BATCHES_PER_THREAD = 3  # one is computed, one is on its way to it, one on its way back
MOST_BYTES = 256 * 2**20  # here, however many workers there are


@dataclass
class Batch:
    """Some images that are under way."""

    images: list[NamedContents]
    future: Future | None = None
    workers: frozenset[str] = frozenset()  # the only ones that may compute it; if none, all
    alone: bool = False  # so that nothing else can have ended a worker

    def n_bytes(self, row_bytes: int) -> int:
        """Return what is kept of it here, at most: what was sent, and what comes back."""
        return sum(len(contents) for _, contents in self.images) + len(self.images) * row_bytes

    def refusal(self) -> tuple[str, str] | None:
        """Return the worker that could not compute it, and why; None if there is no such."""
        future = self.future
        if not future.done() or future.cancelled() or future.exception():
            return None
        address, why, features = future.result()
        return (address, why) if features is None else None


class Dispatch:
    """Have images computed by a cluster, in order, whatever happens to its workers.

    Parameters
    ----------
    cluster : Cluster
        The workers.
    batch_size : int
        How many images go to a worker at a time.
    row_bytes : int
        Size of one image's features.
    decoding : Decoding
        How the workers read the images.
    """

    def __init__(self, cluster: Cluster, batch_size: int, row_bytes: int, decoding: Decoding):
        self._cluster, self._decoding = cluster, decoding
        self._batch_size, self._row_bytes = batch_size, row_bytes
        self._under_way: deque[Batch] = deque()

    def features(self, images: Iterator[NamedContents]) -> Iterator[np.ndarray]:
        """Yield the features of images, batch by batch.

        Parameters
        ----------
        images : iterator of (str, bytes)
            The names of images, and the contents of their files.

        Raises
        ------
        InputError
            If all workers are lost, or a batch ends every worker that
            computes it.
        """
        try:
            while batch := list(islice(images, self._batch_size)):
                self._under_way.append(Batch(batch))
                self._submit(self._under_way[-1])
                while self._is_enough_under_way():
                    yield self._next_result()
            while self._under_way:
                yield self._next_result()
        finally:
            for batch in self._under_way:
                batch.future.cancel()

    def _submit(self, batch: Batch) -> None:
        batch.future, batch.workers = self._cluster.submit(batch.images, self._decoding)

    def _is_enough_under_way(self) -> bool:
        """Tell whether as much is under way as the workers, or the memory here, can take."""
        self._cluster.refresh(LOOK_EVERY_S)
        return (
            len(self._under_way) >= max(1, BATCHES_PER_THREAD * self._cluster.n_threads)
            or sum(batch.n_bytes(self._row_bytes) for batch in self._under_way) >= MOST_BYTES
        )

    def _next_result(self) -> np.ndarray:
        """Wait for the first batch, as long as there is hope."""
        batch = self._under_way[0]
        while True:
            try:
                address, model, features = batch.future.result(timeout=LOOK_EVERY_S)
                if features is not None:
                    break
                self._send_elsewhere()
            except KilledWorker as error:
                self._try_alone(error)
            except TimeoutError:
                if batch.future.done():
                    raise
                self._cluster.refresh()
                self._require_hope()
                usable = self._cluster.usable
                if usable and batch.workers and not batch.workers & usable:
                    self._submit(batch)
        self._under_way.popleft()
        if batch.alone:
            for other in self._under_way:
                self._submit(other)
        self._cluster.took_part[address] = model
        return features

    def _send_elsewhere(self) -> None:
        """Compute elsewhere what has come to workers that could not take the network in."""
        refused = [(batch, *why) for batch in self._under_way if (why := batch.refusal())]
        for _, address, why in refused:
            self._cluster.reject(address, why)
        self._cluster.refresh()
        while not self._cluster.usable:
            self._require_hope()
            time.sleep(LOOK_EVERY_S)
            self._cluster.refresh()
        for batch, *_ in refused:
            self._submit(batch)

    def _try_alone(self, error: KilledWorker) -> None:
        """Find out whether a batch ends workers, or has only been there when another did.

        Dask counts the end of a worker against all that was assigned to it.
        """
        batch = self._under_way[0]
        self._cluster.refresh()
        if batch.alone or not self._cluster.usable:
            raise _fatal(batch, error) from error
        for other in self._under_way:
            other.future.cancel()
        batch.alone = True
        self._submit(batch)

    def _require_hope(self) -> None:
        """End the run if no worker is left, and a batch is to blame or none comes back."""
        if self._cluster.usable:
            return
        for batch in self._under_way:
            if batch.future.cancelled() or not batch.future.done():
                continue
            if isinstance(error := batch.future.exception(), KilledWorker):
                raise _fatal(batch, error) from error
        self._cluster.require_workers(name for batch in self._under_way for name, _ in batch.images)


def _fatal(batch: Batch, error: KilledWorker) -> InputError:
    names = few_names(name for name, _ in batch.images)
    return InputError(
        f"{error.allowed_failures + 1} workers ended while they computed {names}: "
        "remove what is wrong with these, or give the workers more memory"
    )
