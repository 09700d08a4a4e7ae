"""Return rows that earlier runs have computed, and compute the others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from itertools import chain
from typing import Protocol

import numpy as np

from pyimagesearch.extraction.extractor import Extractor, Images


class KnownRows(Protocol):
    """Rows that are known, such as `pyimagesearch.io.FoundRows`."""

    def __contains__(self, row: int) -> bool:
        """Return whether a row is known."""

    def opened(self) -> AbstractContextManager[Callable[[int], np.ndarray]]:
        """Yield a function that reads a known row: float32, shape (n_features,)."""


class ReusingExtractor(Extractor):
    """Copy known rows, and compute the rest with another extractor, in order.

    Parameters
    ----------
    extractor : Extractor
        The one that computes, on this machine or a cluster.
    known : KnownRows
        The rows that it need not compute.
    """

    def __init__(self, extractor: Extractor, known: KnownRows):
        self.network, self.note = extractor.network, extractor.note
        self._extractor, self._known = extractor, known

    @property
    def processors(self) -> str | dict[str, int]:
        """Those of the extractor that computes."""
        return self._extractor.processors

    def n_to_compute(self, rows: range) -> int:
        """Return how many of some rows are not known."""
        return sum(row not in self._known for row in rows)

    def _batches(self, images: Images, rows: range) -> Iterator[np.ndarray]:
        missing = [row for row in rows if row not in self._known]
        computing = self._extractor.features(_Some(images, missing), range(len(missing)))
        with self._known.opened() as read, closing(computing):
            computed = chain.from_iterable(computing)
            for start in range(rows.start, rows.stop, self.network.batch_size):
                batch = range(start, min(start + self.network.batch_size, rows.stop))
                yield np.stack(
                    [read(row) if row in self._known else next(computed) for row in batch]
                )


class _Some:
    """A subset of the images of an extraction, as `Images`."""

    def __init__(self, images: Images, rows: Sequence[int]):
        self._images, self._rows = images, rows
        self.decoding = images.decoding

    @property
    def unreadable(self) -> dict[int, str]:
        why = self._images.unreadable
        return {i: why[row] for i, row in enumerate(self._rows) if row in why}

    def name(self, row: int) -> str:
        return self._images.name(self._rows[row])

    def pixels(self, row: int, size: tuple[int, int] | None) -> np.ndarray:
        return self._images.pixels(self._rows[row], size)

    def contents(self, row: int) -> bytes:
        return self._images.contents(self._rows[row])
