"""An HDF5 file that is created, filled and published without ever lying.

Work in progress is ``<output>.partial``; a file under the output's own name
is whole. The layout is what makes every moment safe: datasets are contiguous
and allocated when the file is created, so that writing rows changes no
metadata, and a crash between two writes leaves a file that still opens.
"""

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.utils import InputError

PARTIAL = ".partial"  # the end of the name of a file that is not complete


def partial_path(output: Path) -> Path:
    """Return where work on `output` is kept until it is complete."""
    return output.with_name(output.name + PARTIAL)


def check_new_output(output: Path) -> None:
    """Refuse an output that exists, or a folder that cannot hold it.

    Parameters
    ----------
    output : Path
        The file that is to be made.

    Raises
    ------
    InputError
        If `output` exists, or its folder is missing or cannot be written to.
    """
    if os.path.lexists(output):
        raise InputError(
            f"'{output}' already exists and is left as it is: "
            "give another output, or delete it by hand to make it anew"
        )
    if not output.parent.is_dir():
        raise InputError(f"'{output.parent}' is not a folder: create it, or give another output")
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise InputError(
            f"cannot write in folder '{output.parent}': permission denied; "
            "change its permissions, or give another output"
        )


def check_not_busy(output: Path) -> None:
    """Refuse an output that another run is writing at this moment.

    Parameters
    ----------
    output : Path
        The file that is to be made.

    Raises
    ------
    InputError
        If another process holds the lock of its ``.partial``.
    """
    partial = partial_path(output)
    if partial.exists():
        os.close(lock(partial))


def lock(path: Path, flags: int = os.O_RDWR) -> int:
    """Take the one writer's lock of a file.

    The lock belongs to the open file: it vanishes with a killed process and
    follows the file when it is renamed.

    Parameters
    ----------
    path : Path
        The file.
    flags : int
        How ``os.open`` opens it.

    Returns
    -------
    int
        The file descriptor that carries the lock; closing it releases it.

    Raises
    ------
    InputError
        If another process holds the lock, or the file cannot be opened.
    """
    with explained(f"cannot open '{path}' for writing"):
        descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = os.path.samestat(path.stat(), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        free = False  # held by another run, or renamed by it since it was opened
    except OSError:
        free = True  # a file system that knows no locks
    if not free:
        os.close(descriptor)
        raise InputError(
            f"'{path}' is being written by another run: wait for it, or give another output"
        )
    return descriptor


def open_hdf5(path: Path, mode: str) -> h5py.File:
    """Open a file whose lock is already ours: HDF5's own lock would collide.

    What is new in it starts at a multiple of 8 bytes. A label that lay across
    two sectors of the disk could reach it by half, and be another label.
    """
    return h5py.File(path, mode, locking=False, alignment_threshold=1, alignment_interval=8)


def create_dataset(
    db: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype, fillvalue: int | None = None
) -> h5py.Dataset:
    """Create a contiguous dataset whose space is allocated at once.

    Later allocation would change metadata while rows are written, which is
    what leaves files unreadable, or rows silently wrong, after a crash.
    Unwritten values read as `fillvalue`, or as zero without one.
    """
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return db.create_dataset(name, shape, dtype=dtype, fillvalue=fillvalue, dcpl=plist)


def sync(db: h5py.File) -> None:
    """Return once everything written so far is on the disk.

    ``flush()`` alone hands the data to the operating system, which may write
    them in another order, or lose them when the power fails.
    """
    with _system_errors():
        db.flush()
    os.fsync(db.id.get_vfd_handle())


def finish(db: h5py.File, descriptor: int) -> None:
    """Close a file, and return once it is on the disk as it will stay.

    HDF5 writes a last byte when it closes a file: that it is not open.

    Parameters
    ----------
    db : h5py.File
        The file.
    descriptor : int
        Another descriptor of the same file, since HDF5 closes its own.
    """
    with _system_errors():
        db.close()
    os.fsync(descriptor)


def abandon(db: h5py.File | None) -> None:
    """Close a file, and leave what is on the disk as it is.

    HDF5 keeps what it could not write, tries again whenever it can, and ends
    the process with a segmentation fault when it fails again (1.14.6). So
    whatever it has left to write goes nowhere.
    """
    if not db:
        return
    with contextlib.suppress(OSError):  # too many files may be open
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, db.id.get_vfd_handle())
        os.close(nowhere)
    with contextlib.suppress(OSError, RuntimeError):
        db.close()


def require_room(descriptor: int, n_bytes: int, n_written: int) -> None:
    """Raise OSError now if an empty file cannot become as large as it must.

    HDF5 ends the process with a segmentation fault when a write fails while
    it creates a file (1.14.6): it is to begin only where there is room.

    Parameters
    ----------
    descriptor : int
        The file, open for writing.
    n_bytes : int
        How large the file will be, at most.
    n_written : int
        How many of them are written when it is created, at most.
    """
    os.ftruncate(descriptor, n_bytes)  # a limit on the size of files says so here
    with open(descriptor, "wb", closefd=False) as file:
        file.write(bytes(n_written))
    os.ftruncate(descriptor, 0)


def reserve(db: h5py.File) -> None:
    """Take the space of the whole file now, so that a full disk says so now."""
    descriptor = db.id.get_vfd_handle()
    try:
        os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
    except AttributeError:
        pass  # macOS has no such call
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def move_into_place(source: Path, target: Path) -> None:
    """Rename `source` to `target`, and see to it that the rename lasts."""
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def explained(what: str, advice: str = "") -> Iterator[None]:
    """Turn an error of the system or of HDF5 into one line for the user."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{what}: {reason(error)}{advice}") from error


@contextlib.contextmanager
def _system_errors() -> Iterator[None]:
    """Raise as OSError what h5py raises as RuntimeError when a write fails."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(str(error)) from error


def reason(error: Exception) -> str:
    """Return the system's words for an error, also from HDF5's long message.

    Examples
    --------
    >>> reason(OSError("Can't write data (file write failed: errno = 28, ...)"))
    'No space left on device'
    """
    number = re.search(r"errno = (\d+)", str(error))
    if number:
        return os.strerror(int(number[1]))
    return getattr(error, "strerror", None) or " ".join(str(error).split())
