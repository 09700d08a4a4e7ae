"""Open a file of features, and read it in blocks of rows."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.io.opening import opened
from pyimagesearch.io.partialfile import reason
from pyimagesearch.io.runrecord import RunRecord, read_record
from pyimagesearch.io.sources import find_dataset, reading, where_mapped
from pyimagesearch.utils import InputError
from pyimagesearch.utils.split import n_train_rows

BLOCK_BYTES = 32 * 2**20  # read at a time


class FeaturesFile:
    """A checked view of an open file of features.

    Parameters
    ----------
    db : h5py.File
        Open for reading; must hold ``features`` (n, d), ``labels`` (n,) and
        ``label_names`` (n_classes,).
    path : Path
        Its name, for messages.

    Attributes
    ----------
    shape : tuple of int
        ``(n, d)``.
    labels : ndarray of int64, shape (n,)
        Class indices, 0 to ``n_classes - 1``.
    label_names : list of str
        The names of the classes.
    record : RunRecord
        What the file records about the origin of its rows; may be empty.
    n_train : int
        How many rows train a classifier, from the first on: as recorded, else 75 %.

    Raises
    ------
    InputError
        If a dataset is missing, or has an invalid shape or values.
    """

    def __init__(self, db: h5py.File, path: Path):
        self.path = path
        self._features = _dataset(db, path, "features", dimensions=2, kinds="fiu")
        self.shape = self._features.shape
        names = _dataset(db, path, "label_names", dimensions=1, kinds="OS")
        self.label_names = _checked_names(names, self.shape[0], path)
        self.labels = self._checked_labels(_dataset(db, path, "labels", 1, kinds="iuf"))
        self.record = RunRecord.from_json(read_record(self._features, path))
        self.n_train = self._checked_split()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`: float32, shape (stop - start, d)."""
        rows = np.empty((stop - start, self.shape[1]), np.float32)
        for block, values in self.blocks(start, stop):
            rows[block.start - start : block.stop - start] = values
        return rows

    def mapped(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`, float32: memory-mapped if possible, else read.

        From a contiguous file, such as `HDF5DatasetWriter` makes, nothing is read before it is
        used, and what was read can be dropped again: a file may be larger than the memory.
        """
        if (where := where_mapped(self._features)) is None:
            return self.read(start, stop)
        file, offset = where
        return np.memmap(file, np.float32, "r", offset, shape=self.shape)[start:stop]

    def blocks(self, start: int, stop: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the rows from `start` to `stop` in blocks of some 32 MB.

        Yields
        ------
        slice
            Which rows of the file they are.
        ndarray of float32, shape (rows, d)
            Their features.
        """
        step = max(1, BLOCK_BYTES // (self.shape[1] * self._features.dtype.itemsize))
        for first in range(start, stop, step):
            block = slice(first, min(first + step, stop))
            with (
                reading(f"rows {block.start} to {block.stop}", self.path),
                np.errstate(over="ignore"),  # infinite values are refused by name later
            ):
                values = self._features[block].astype(np.float32, copy=False)
            yield block, values

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers in the file."""
        return self._features.dtype

    @property
    def is_mapped(self) -> bool:
        """Whether `mapped` memory-maps the rows, instead of reading them."""
        return where_mapped(self._features) is not None

    @property
    def groups(self) -> list[list[int]]:
        """Rows to keep together: groups of a table, and duplicates."""
        return [*(self.record.groups or ()), *(self.record.duplicate_groups or ())]

    def _checked_split(self) -> int:
        n_rows, recorded = self.shape[0], self.record.n_train
        if recorded is not None and not 0 < recorded < n_rows:
            raise InputError(
                f"'{self.path}' records {recorded:,} training rows of {n_rows:,}: expected some to "
                "train and some to test; extract the features again"
            )
        wrong = [row for group in self.groups for row in group if not 0 <= row < n_rows]
        if wrong:
            raise InputError(
                f"'{self.path}' records row {wrong[0]:,} in a group, but has {n_rows:,} rows: "
                "extract the features again"
            )
        return n_train_rows(n_rows) if recorded is None else recorded

    def _checked_labels(self, dataset: h5py.Dataset) -> np.ndarray:
        n_rows, n_classes = self.shape[0], len(self.label_names)
        with reading("'labels'", self.path):
            given = dataset[:]
        with np.errstate(invalid="ignore"):  # NaN is refused below
            labels = given.astype(np.int64)
        if len(labels) != n_rows:
            raise InputError(
                f"'{self.path}' has {n_rows} rows of features but {len(labels)} labels: "
                "expected one label per row"
            )
        wrong = (labels != given) | (labels < 0) | (labels >= n_classes)
        if wrong.any():
            raise InputError(
                f"'{self.path}' has {wrong.sum()} labels such as {given[wrong][0]}: "
                f"expected 0 to {n_classes - 1}, for the {n_classes} names in 'label_names'"
            )
        return labels


@contextlib.contextmanager
def open_features(path: str | os.PathLike[str]) -> Iterator[FeaturesFile]:
    """Open a file of features for reading, and check that it is one.

    Parameters
    ----------
    path : str or Path
        The file.

    Yields
    ------
    FeaturesFile
        Valid until the context is left.

    Raises
    ------
    InputError
        If the file is missing, unfinished, not HDF5, or not a file of
        features.
    """
    path = Path(path)
    with opened(path) as db:
        yield _checked(db, path)


def _checked(db: h5py.File, path: Path) -> FeaturesFile:
    try:
        return FeaturesFile(db, path)
    except InputError:
        raise
    except Exception as error:  # h5py raises any type for a damaged file
        raise InputError(
            f"cannot read '{path}': {reason(error)}; it seems to be damaged: copy or extract it "
            "again"
        ) from error


def _dataset(db: h5py.File, path: Path, key: str, dimensions: int, kinds: str) -> h5py.Dataset:
    found = find_dataset(db, path, key)
    if len(found.shape or ()) != dimensions or found.dtype.kind not in kinds or 0 in found.shape:
        expected = {"features": "numbers, (rows, columns)", "labels": "integers, (rows,)"}
        raise InputError(
            f"'{path}' has '{key}' of shape {found.shape} and dtype {found.dtype}: "
            f"expected {expected.get(key, 'names, (classes,)')}"
        )
    return found


def _checked_names(names: h5py.Dataset, n_rows: int, path: Path) -> list[str]:
    """Return the names of the classes, and refuse repeated ones."""
    if h5py.check_string_dtype(names.dtype) is None:  # such as references or byte arrays
        raise InputError(
            f"'{path}' has 'label_names' that are not stored as text: expected UTF-8, as "
            "h5py.string_dtype() stores it"
        )
    try:
        with reading("'label_names'", path):
            decoded = list(names.asstr("utf-8")[:])
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' has 'label_names' that are not UTF-8") from error
    places = {}
    for label, name in enumerate(decoded):
        places.setdefault(name, []).append(label)
    name, labels = max(places.items(), key=lambda place: len(place[1]))
    if len(labels) > 1 and len(decoded) == n_rows:
        raise InputError(
            f"'{path}' has {n_rows:,} 'label_names', one per row, of which {len(places):,} differ: "
            "expected one per class"
        )
    if len(labels) > 1:
        raise InputError(
            f"'{path}' has '{name}' {len(labels)} times in 'label_names', as labels "
            f"{', '.join(map(str, labels[:5]))}: expected each name once; rename one of the "
            "classes, or give their rows the same label"
        )
    return decoded
