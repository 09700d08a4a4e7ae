"""An HDF5 file that is created, filled and published safely at every moment.

Work in progress is ``<output>.partial``; a file with the output's own name is
complete. The layout makes this safe: datasets are contiguous and allocated
when the file is created, so that writing rows changes no metadata, and a
crash between two writes leaves a file that still opens.
"""

import contextlib
import ctypes
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from filelock import lock_descriptor

from pyimagesearch.utils import InputError, files

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
PARTIAL = ".partial"  # suffix of a file that is not complete


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
            f"'{output}' already exists and is not overwritten: "
            "give another output, or delete it first"
        )
    if not os.path.isdir(output.parent):
        raise InputError(f"'{output.parent}' is not a folder: create it, or give another output")
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise InputError(
            f"cannot write in folder '{output.parent}': permission denied; "
            "change its permissions, or give another output"
        )
    with (
        as_input_error(f"cannot make '{output}'", "; give another output"),
        contextlib.suppress(FileNotFoundError),
    ):
        os.lstat(_lock_path(partial_path(output)))  # the longest name that is needed


def check_not_busy(output: Path) -> None:
    """Refuse an output that another run is writing.

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
    if os.path.exists(partial):
        unlock(partial, lock(partial))


def check_room(output: Path, n_bytes: int) -> None:
    """Refuse a disk that cannot hold a file of `n_bytes`, without using any of it.

    Parameters
    ----------
    output : Path
        The file that is to be made.
    n_bytes : int
        How large it will be.

    Raises
    ------
    InputError
        If the disk is too full, or files may not be that large.
    """
    with (
        making(partial_path(output), n_bytes),
        tempfile.TemporaryFile(dir=output.parent) as file,
    ):
        os.ftruncate(file.fileno(), n_bytes)
        if not fallocate(file.fileno(), n_bytes):
            require_free(output.parent, n_bytes)


def lock(partial: Path) -> int:
    """Take the one writer's lock of an unfinished file.

    The lock is on a file of its own, ``<partial>.lock``: on Windows an open file
    cannot be renamed, and HDF5, which opens the ``.partial`` itself, could not write
    to a locked one. The system releases the lock of a killed process; the lock file
    that stays behind does no harm.

    Parameters
    ----------
    partial : Path
        The file, which need not be there yet.

    Returns
    -------
    int
        The descriptor that holds the lock, for `unlock`.

    Raises
    ------
    InputError
        If another process holds the lock, or its file cannot be opened.
    """
    path = _lock_path(partial)
    with as_input_error(f"cannot open '{path}' for writing"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        is_ours = _is_ours_now(descriptor) and _is_still(path, descriptor)
    if not is_ours:
        os.close(descriptor)
        raise InputError(
            f"'{partial}' is being written by another run: wait for it, or give another output"
        )
    return descriptor


def unlock(partial: Path, descriptor: int) -> None:
    """Release a lock, and remove its file if possible."""
    path = _lock_path(partial)
    if files.OPEN_FILES_ARE_FIXED:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # another run has it open already
            path.unlink()
        return
    with contextlib.suppress(OSError):
        path.unlink()  # while it is locked, so that it is no other run's
    os.close(descriptor)


def _lock_path(partial: Path) -> Path:
    return partial.with_name(partial.name + ".lock")


def _is_ours_now(descriptor: int) -> bool:
    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        if error.errno in NO_LOCKS:  # a file system without locks: continue without one
            return True
        os.close(descriptor)
        raise


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether a file still has its name: another run may have removed it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def open_hdf5(path: Path, mode: str) -> h5py.File:
    """Open a file whose lock is already ours: HDF5's own lock would collide.

    New objects start at a multiple of 8 bytes: a label that spans two sectors of
    the disk could be half written, and read as another label.
    """
    return h5py.File(path, mode, locking=False, alignment_threshold=1, alignment_interval=8)


def begins_like_hdf5(path: Path) -> bool:
    """Return whether it is an HDF5 file; raise OSError if unreadable, unlike `is_hdf5`."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def create_dataset(
    db: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype, fillvalue: int | None = None
) -> h5py.Dataset:
    """Create a contiguous dataset whose space is allocated at once.

    Later allocation would change metadata while rows are written, which can
    leave files unreadable, or rows silently wrong, after a crash.
    Unwritten values read as `fillvalue`, or as zero without one.
    """
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return db.create_dataset(name, shape, dtype=dtype, fillvalue=fillvalue, dcpl=plist)


def sync(db: h5py.File) -> None:
    """Return once everything written so far is on the disk.

    ``flush()`` alone passes the data to the operating system, which may write
    them in another order, or lose them in a power failure.
    """
    with _system_errors():
        db.flush()
    files.sync(db.id.get_vfd_handle(), Path(db.filename))


def finish(db: h5py.File) -> None:
    """Close a file, and return once it is on the disk in its final form.

    When HDF5 closes a file, it writes one last byte, which marks it as closed.
    """
    path = Path(db.filename)
    with _system_errors():
        db.close()
    files.sync_file(path)


def abandon(db: h5py.File | None) -> None:
    """Close a file, and write nothing more to it.

    HDF5 keeps what it could not write, retries whenever it can, and ends the
    process with a segmentation fault when it fails again (1.14.6). So what is
    left to write is sent to the null device.
    """
    if not db:
        return
    with contextlib.suppress(OSError):  # too many files may be open
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, db.id.get_vfd_handle())
        os.close(nowhere)
    with contextlib.suppress(OSError, RuntimeError):
        db.close()


def require_room(path: Path, n_bytes: int, n_written: int) -> None:
    """Make an empty file, and raise OSError now if it cannot grow as large as needed.

    HDF5 ends the process with a segmentation fault when a write fails while
    it creates a file (1.14.6): it must begin only if there is room.

    Parameters
    ----------
    path : Path
        The file. What it held is lost.
    n_bytes : int
        How large it will be, at most.
    n_written : int
        How many of them are written when it is created, at most.
    """
    with path.open("wb") as file:
        os.ftruncate(file.fileno(), n_bytes)  # fails here if file sizes are limited
        file.write(bytes(n_written))
        file.flush()
        os.ftruncate(file.fileno(), 0)


def reserve(db: h5py.File) -> None:
    """Allocate the space of the whole file, so that a full disk fails now."""
    descriptor = db.id.get_vfd_handle()
    n_bytes = os.fstat(descriptor).st_size
    if not fallocate(descriptor, n_bytes):
        require_free(Path(db.filename).parent, n_bytes)


def fallocate(descriptor: int, n_bytes: int) -> bool:
    """Reserve a file's space if the kernel can, and return whether it could.

    Not ``os.posix_fallocate``: if the file system cannot, glibc writes to
    every block instead, which takes hours over a network.
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate
    except (AttributeError, OSError, TypeError):
        return False  # macOS and Windows have no such call
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    while call(descriptor, 0, 0, n_bytes):
        number = ctypes.get_errno()
        if number in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            return False
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return True


def require_free(folder: Path, n_bytes: int) -> None:
    """Raise OSError if the disk of a folder has fewer than `n_bytes` left."""
    if shutil.disk_usage(folder).free < n_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def as_input_error(what: str, advice: str = "") -> Iterator[None]:
    """Turn an error of the system or of HDF5 into one line for the user."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{what}: {reason(error)}{advice}") from error


def making(partial: Path, n_bytes: int) -> contextlib.AbstractContextManager[None]:
    """Report in one line that an unfinished file of `n_bytes` cannot be made."""
    return as_input_error(
        f"cannot make '{partial}' ({n_bytes / 1e6:,.0f} MB)", "; make room, or give another output"
    )


@contextlib.contextmanager
def _system_errors() -> Iterator[None]:
    """Raise as OSError the RuntimeError of h5py when a write fails."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(str(error)) from error


def error_number(error: Exception) -> int | None:
    """Return the errno of an error, also from HDF5's long message."""
    number = re.search(r"errno = (\d+)", str(error))
    return int(number[1]) if number else getattr(error, "errno", None)


def reason(error: Exception) -> str:
    """Return the system's message for an error, also from HDF5's long one.

    Examples
    --------
    >>> reason(OSError("Can't write data (file write failed: errno = 28, ...)"))
    'No space left on device'
    """
    if (number := error_number(error)) is not None:
        return os.strerror(number)
    return " ".join(str(error).split())
