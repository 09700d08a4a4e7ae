"""Keep a network busy: load images ahead of it, in order, in little memory."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from pyimagesearch.extraction.extractor import Extractor, Images
from pyimagesearch.utils.orderedmap import ordered_map
from pyimagesearch.utils.processor import processor_model


class LocalExtractor(Extractor):
    """Compute features on this machine.

    A network that several threads may call is called in the threads that load
    the images, so that each core alternates and none waits. Any other is
    called here, while the executor loads the next images.
    """

    @property
    def processors(self) -> str:
        """The CPU model of this machine."""
        return processor_model()

    def _batches(self, images: Images, rows: range) -> Iterator[np.ndarray]:
        network, size = self.network, self.network.description.loaded_size

        def prepare(row: int) -> np.ndarray:
            return network.preprocess(images.pixels(row, size))

        def compute(batch: list[int]) -> np.ndarray:
            return network(np.stack([prepare(row) for row in batch]))

        if network.concurrent:
            # Twice the threads: each has a next batch while results wait their turn.
            batches, ahead = _batched(rows, network.batch_size), 2 * self._jobs
            yield from ordered_map(compute, batches, self._executor, ahead)
        else:
            ahead = self._jobs + 2 * network.batch_size
            prepared = ordered_map(prepare, rows, self._executor, ahead)
            yield from map(network, map(np.stack, _batched(prepared, network.batch_size)))


def _batched(items: Iterable, size: int) -> Iterator[list]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch
