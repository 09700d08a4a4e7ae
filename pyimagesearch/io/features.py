"""Open a file of features, and read it in blocks of rows."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.io.partialfile import (
    NO_LOCKS,
    PARTIAL,
    as_input_error,
    error_number,
    partial_path,
    reason,
)
from pyimagesearch.utils import InputError

BLOCK_BYTES = 32 * 2**20  # what is read at a time


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
    provenance : dict or None
        What the file records of where its rows come from.

    Raises
    ------
    InputError
        If a dataset is missing, or its shape or its values do not fit.
    """

    def __init__(self, db: h5py.File, path: Path):
        self.path = path
        self._features = _dataset(db, path, "features", dimensions=2, kinds="fiu")
        self.shape = self._features.shape
        names = _dataset(db, path, "label_names", dimensions=1, kinds="OS")
        self.label_names = _decoded(names, path)
        self.labels = self._checked_labels(_dataset(db, path, "labels", 1, kinds="iuf"))
        self.provenance = _provenance(self._features, path)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`: float32, shape (stop - start, d)."""
        rows = np.empty((stop - start, self.shape[1]), np.float32)
        for block, values in self.blocks(start, stop):
            rows[block.start - start : block.stop - start] = values
        return rows

    def mapped(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop` where they lie, float32; read if they cannot be mapped.

        Of a contiguous file, such as `HDF5DatasetWriter` makes, nothing is read before it is used,
        and what was read can be dropped again: a file may be larger than the memory.
        """
        dataset, offset = self._features, self._features.id.get_offset()
        if offset is None or dataset.dtype != np.float32 or not dataset.dtype.isnative:
            return self.read(start, stop)
        rows = np.memmap(self.path, np.float32, "r", offset, shape=self.shape)
        return rows[start:stop]

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
            try:
                with np.errstate(over="ignore"):  # what becomes infinite is refused by name
                    values = self._features[block].astype(np.float32, copy=False)
            except OSError as error:
                raise InputError(
                    f"cannot read rows {block.start} to {block.stop} of '{self.path}': "
                    f"{reason(error)}"
                ) from error
            yield block, values

    def _checked_labels(self, dataset: h5py.Dataset) -> np.ndarray:
        n_rows, n_classes = self.shape[0], len(self.label_names)
        given = dataset[:]
        with np.errstate(invalid="ignore"):  # of NaN, which is refused below
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
        If the file is missing, unfinished, not HDF5, or lacks what a file of
        features has.
    """
    path = Path(path)
    with as_input_error(f"cannot read '{path}'"):
        _check_readable(path)
    try:
        db = _opened(path)
    except OSError as error:
        raise InputError(_unopened(path, error)) from error
    with db:
        yield FeaturesFile(db, path)


def _check_readable(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"'{path}' is a folder: expected a file made by extract_features.py")
    if path.exists() and path.suffix == PARTIAL:
        raise InputError(
            f"'{path}' is not finished: run the extract_features.py command again to complete it"
        )
    if path.exists():
        return
    if partial_path(path).exists():
        raise InputError(
            f"'{path}' is not finished, only '{partial_path(path)}' is there: "
            "run the extract_features.py command again to complete it"
        )
    raise InputError(f"no file '{path}': expected one made by extract_features.py")


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error_number(error) not in NO_LOCKS:
            raise
    return h5py.File(path, "r", locking=False)  # the file system knows no locks


def _unopened(path: Path, error: OSError) -> str:
    if isinstance(error, BlockingIOError):
        return f"'{path}' is being written by another run: wait until that has finished"
    if isinstance(error, PermissionError):
        return f"cannot read '{path}': permission denied"
    if "truncated" in str(error):
        return f"'{path}' is cut short: expected a whole file; copy or extract it again"
    if error_number(error) is not None:
        return f"cannot open '{path}': {reason(error)}"
    return f"'{path}' is not an HDF5 file: expected one made by extract_features.py"


def _dataset(db: h5py.File, path: Path, key: str, dimensions: int, kinds: str) -> h5py.Dataset:
    found = db.get(key)
    if not isinstance(found, h5py.Dataset):
        held = ", ".join(f"'{name}'" for name in db) or "nothing"
        raise InputError(f"'{path}' has no '{key}' dataset: it holds {held}")
    if len(found.shape or ()) != dimensions or found.dtype.kind not in kinds or 0 in found.shape:
        expected = {"features": "numbers, (rows, columns)", "labels": "integers, (rows,)"}
        raise InputError(
            f"'{path}' has '{key}' of shape {found.shape} and dtype {found.dtype}: "
            f"expected {expected.get(key, 'names, (classes,)')}"
        )
    return found


def _provenance(features: h5py.Dataset, path: Path) -> dict | None:
    recorded = features.attrs.get("provenance")
    if recorded is None:
        return None
    try:
        return dict(json.loads(recorded))
    except (TypeError, ValueError) as error:
        raise InputError(f"'{path}' has a 'provenance' that is not a JSON object") from error


def _decoded(names: h5py.Dataset, path: Path) -> list[str]:
    try:
        return list(names.asstr("utf-8")[:])
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' has 'label_names' that are not UTF-8") from error
