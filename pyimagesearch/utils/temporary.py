"""A temporary folder, and what is said where it cannot be had or gets full."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.files import DISK_IS_FULL


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is gone when the block ends.

    Raises
    ------
    InputError
        If there is no place for it, or the block finds a disk full.
    """
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise temporary_error(error) from error
    with folder as name, full_disk_named():
        yield Path(name)


@contextlib.contextmanager
def full_disk_named() -> Iterator[None]:
    """Complain of the temporary folder if a disk gets full, as libraries write there."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_IS_FULL:
            raise
        raise temporary_error(error) from error


def temporary_error(error: OSError) -> InputError:
    """Return the complaint about a temporary folder that is full, or cannot be had."""
    folder = (
        f"the temporary folder '{tempfile.tempdir}'" if tempfile.tempdir else "a temporary folder"
    )
    return InputError(
        f"cannot write in {folder}: {error.strerror}; make room, or set TMPDIR to another folder"
    )
