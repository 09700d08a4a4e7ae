"""The batches in progress on a cluster: sent, waited for, and sent again."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

import numpy as np
from distributed import KilledWorker

from pyimagesearch.extraction.cluster import Cluster, NamedContents
from pyimagesearch.preprocessing import Decoding
from pyimagesearch.utils import InputError
from pyimagesearch.utils.wording import counted, listed

LOOK_EVERY_S = 1.0  # for workers that have joined or left
BATCHES_PER_THREAD = 3  # one computing, one on its way there, one on its way back
MOST_BYTES = 256 * 2**20  # kept here, for any number of workers


@dataclass
class Batch:
    """Some images in progress."""

    images: list[NamedContents]
    future: Future | None = None
    workers: frozenset[str] = frozenset()  # the only ones that may compute it; empty for all

    def n_bytes(self, row_bytes: int) -> int:
        """Return how much is kept here at most: what was sent, and the result."""
        return sum(len(contents) for _, contents in self.images) + len(self.images) * row_bytes

    def refusal(self) -> tuple[str, str] | None:
        """Return the worker that could not compute it, and why; None if there is none."""
        future = self.future
        if not future.done() or future.cancelled() or future.exception():
            return None
        address, why, features = future.result()
        return (address, why) if features is None else None

    def was_killed(self) -> bool:
        """Return whether workers that it was assigned to ended, whatever ended them."""
        future = self.future
        return (
            future.done()
            and not future.cancelled()
            and isinstance(future.exception(), KilledWorker)
        )


class Dispatch:
    """Have images computed by a cluster, in order, even if workers are lost.

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
        self._suspects: deque[Batch] = deque()  # one of them may end workers

    def features(self, images: Iterator[NamedContents]) -> Iterator[np.ndarray]:
        """Yield the features of images, batch by batch.

        Parameters
        ----------
        images : iterator of (str, bytes)
            The names of images, and the contents of their files.

        Raises
        ------
        InputError
            If all workers are lost, or an image ends every worker that computes
            it alone.
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
        """Return whether as much is in progress as the workers or the memory here can hold."""
        self._cluster.refresh(LOOK_EVERY_S)
        return (
            len(self._under_way) >= max(1, BATCHES_PER_THREAD * self._cluster.n_threads)
            or sum(batch.n_bytes(self._row_bytes) for batch in self._under_way) >= MOST_BYTES
        )

    def _next_result(self) -> np.ndarray:
        """Wait for the first batch, as long as there may be workers."""
        batch = self._under_way[0]
        try:
            address, model, features = self._result(batch)
        except KilledWorker:
            self._try_each_alone()
            address, model, features = self._result(batch)
        self._under_way.popleft()
        self._cluster.took_part[address] = model
        return features

    def _result(self, batch: Batch) -> tuple[str, str, np.ndarray]:
        """Wait for a batch, and send it again if it failed through no fault of its own."""
        while True:
            try:
                result = batch.future.result(timeout=LOOK_EVERY_S)
                if result[-1] is not None:
                    return result
                self._send_elsewhere()
            except TimeoutError:
                if batch.future.done():
                    raise
                self._cluster.refresh()
                self._require_hope()
                usable = self._cluster.usable
                if usable and batch.workers and not batch.workers & usable:
                    self._submit(batch)

    def _send_elsewhere(self) -> None:
        """Compute elsewhere what was sent to workers that could not load the network."""
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

    def _try_each_alone(self) -> None:
        """Find out which batch ends workers, and which were only there when another did.

        Dask counts the end of a worker against everything that was assigned to
        it, computed already or not.
        """
        batches = self._under_way
        for batch in batches:
            batch.future.cancel()
        deadly = self._first_deadly([batch for batch in batches if batch.was_killed()])
        if deadly and len(deadly.images) > 1:  # if none ends them alone, all do together
            deadly = self._first_deadly([Batch([image]) for image in deadly.images]) or deadly
        if deadly:
            raise _deadly_error(deadly)
        self._under_way = batches
        for batch in batches:
            if batch.future.cancelled():
                self._submit(batch)

    def _first_deadly(self, suspects: list[Batch]) -> Batch | None:
        """Compute one after another, with nothing else in progress, until one ends workers."""
        self._suspects = deque(suspects)
        while self._suspects:
            batch = self._suspects[0]
            self._under_way = deque([batch])
            self._submit(batch)
            try:
                self._result(batch)
            except KilledWorker:
                return batch
            self._suspects.popleft()
        return None

    def _require_hope(self) -> None:
        """End the run if no worker is left, and none joins."""
        if not self._cluster.usable:
            waiting = self._suspects or self._under_way
            names = [name for batch in waiting for name, _ in batch.images]
            self._cluster.require_workers(names, ended_workers=bool(self._suspects))


def _deadly_error(batch: Batch) -> InputError:
    names = listed([name for name, _ in batch.images])
    n_workers = counted(batch.future.exception().allowed_failures + 1, "worker")
    return InputError(
        f"{n_workers} ended while computing only {names}: remove or replace these images, or give "
        "the workers more memory"
    )
