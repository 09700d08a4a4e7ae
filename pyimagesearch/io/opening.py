"""Open an HDF5 file for reading, or report in one line why not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py

from pyimagesearch.io.partialfile import (
    NO_LOCKS,
    PARTIAL,
    as_input_error,
    error_number,
    partial_path,
    reason,
)
from pyimagesearch.utils import InputError


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a finished file for reading.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    h5py.File
        Closed when the context is left.

    Raises
    ------
    InputError
        If the file is missing, unfinished, being written, or not HDF5.
    """
    with as_input_error(f"cannot read '{path}'"):
        _check_readable(path)
    try:
        db = _open(path)
    except OSError as error:
        raise InputError(_unopened(path, error)) from error
    with db:
        yield db


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


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error_number(error) not in NO_LOCKS:
            raise
    return h5py.File(path, "r", locking=False)  # the file system has no locks


def _unopened(path: Path, error: OSError) -> str:
    if isinstance(error, BlockingIOError):
        return f"'{path}' is being written by another run: wait for it to finish"
    if isinstance(error, PermissionError):
        return f"cannot read '{path}': permission denied"
    if "truncated" in str(error):
        return f"'{path}' is truncated: expected a complete file; copy or extract it again"
    if error_number(error) is not None:
        return f"cannot open '{path}': {reason(error)}"
    return f"'{path}' is not an HDF5 file: expected one made by extract_features.py"
