"""A temporary folder, and the error if it cannot be made or its disk is full."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.files import DISK_IS_FULL


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a folder that is removed when the block ends.

    Raises
    ------
    InputError
        If it cannot be created, or the block fills a disk.
    """
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise temporary_error(error) from error
    with folder as name, full_disk_named():
        yield Path(name)


@contextlib.contextmanager
def full_disk_named() -> Iterator[None]:
    """Blame the temporary folder for a full disk, since libraries write there."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_IS_FULL:
            raise
        raise temporary_error(error) from error


def temporary_error(error: OSError) -> InputError:
    """Return the error for a temporary folder that is full or cannot be created."""
    folder = (
        f"the temporary folder '{tempfile.tempdir}'" if tempfile.tempdir else "a temporary folder"
    )
    return InputError(
        f"cannot write in {folder}: {error.strerror}; make room, or set TMPDIR to another folder"
    )
