"""Replacing a file so that a half-written one is never seen."""

import contextlib
import errno
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pyimagesearch.utils.errors import InputError

logger = logging.getLogger(__name__)

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# The errors of network, FUSE and container file systems that cannot sync.
CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
CANNOT_SYNC_FOLDER = (*CANNOT_SYNC, errno.EBADF, errno.EACCES, errno.EPERM)
HAS_FOLDERS = hasattr(os, "O_DIRECTORY")  # that can be opened, unlike those of Windows
OPEN_FILES_ARE_FIXED = os.name == "nt"  # renaming or deleting them fails
PARTIAL = ".partial"


@contextlib.contextmanager
def replacing(path: Path, keep_partial: bool = False) -> Iterator[Path]:
    """Write a file under another name and give it its own when it is whole.

    Parameters
    ----------
    path : Path
        The file to create or replace. If it is a link, the file it points to
        is replaced and the link stays.
    keep_partial : bool
        Whether what was written stays as ``<path>.partial`` when the block
        raises; a note on the exception names it.

    Yields
    ------
    Path
        An empty file in the same folder, with the same suffix, to be written
        by the caller. When the block ends it is flushed to the disk and
        replaces `path`, with the permissions `path` had, or the user's
        default ones. If the block raises, it is removed or kept, and `path`
        is unchanged.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to, `path` is not a
        plain file or is read-only, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> report = Path(tempfile.mkdtemp()) / "report.txt"
    >>> with replacing(report) as unfinished:
    ...     _ = unfinished.write_text("whole")
    >>> report.read_text()
    'whole'
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    temporary = _create_beside(target, path)
    try:
        with _full_disk_below(path):
            yield temporary
            sync_file(temporary)
            move_into_place(temporary, target)
    except BaseException as error:
        if keep_partial:
            _keep(temporary, Path(f"{target if path.is_symlink() else path}{PARTIAL}"), error)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _full_disk_below(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_IS_FULL:
            raise
        raise InputError(
            f"cannot write '{path}': {error.strerror}; make room, or give another output"
        ) from error


def _keep(temporary: Path, partial: Path, error: BaseException) -> None:
    """Keep what was written before an exception, and name it in a note on that."""
    with contextlib.suppress(OSError):  # which would hide the exception
        temporary.replace(partial)
        error.add_note(f"'{partial}' holds what was written until then")


def move_into_place(source: Path, target: Path) -> None:
    """Rename `source` to `target`, durably.

    The folder holds the name: unless it is synced, the rename may be lost.
    A file system that cannot sync it gets one warning.
    """
    source.replace(target)
    if not HAS_FOLDERS:
        return
    try:
        descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC_FOLDER:
            raise
        _warn_of_no_sync(target.parent, error.strerror)


def sync(descriptor: int, path: Path) -> None:
    """Return once an open file is on the disk; warn once where it cannot be synced.

    Parameters
    ----------
    descriptor : int
        The open file.
    path : Path
        Its name, for the warning.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
        _warn_of_no_sync(path.parent, error.strerror)


def sync_file(path: Path) -> None:
    """Return once a file that is not open is on the disk."""
    # Windows syncs only what is open for writing.
    descriptor = os.open(path, os.O_RDONLY if HAS_FOLDERS else os.O_RDWR)
    try:
        sync(descriptor, path)
    finally:
        os.close(descriptor)


@cache  # once is enough
def _warn_of_no_sync(folder: Path, reason: str) -> None:
    logger.warning(
        f"the file system of '{folder}' cannot sync ({reason}): continuing, but the last "
        "files may be lost in a power failure"
    )


def check_writable(path: Path) -> None:
    """Refuse a file that `replacing` could not write, before hours are spent.

    Missing parent folders are created.

    Parameters
    ----------
    path : Path
        The file to be written later.

    Raises
    ------
    InputError
        As `replacing` would.
    """
    path = Path(path)
    make_parents(path)
    _create_beside(Path(os.path.realpath(path)), path).unlink()


def make_parents(path: Path) -> None:
    """Create the missing parent folders of a file that is to be written.

    Raises
    ------
    InputError
        If they cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot create folder '{path.parent}': {error.strerror}; give another output"
        ) from error


def _create_beside(target: Path, named: Path) -> Path:
    """Create the empty temporary file; errors use the name that the user gave."""
    try:
        if not target.parent.is_dir():
            raise InputError(f"'{named.parent}' is not a folder: create it, or give another output")
        if target.exists() and not target.is_file():
            raise InputError(f"'{named}' is not a plain file: give the name of a file to write")
        if target.exists() and not target.stat().st_mode & stat.S_IWUSR:
            raise InputError(f"'{named}' is read-only: make it writable, or give another output")
        if target.exists() and _is_kept_by_its_owner(target):
            raise InputError(f"'{named}' belongs to another user: give another output")
        return _create(target)
    except OSError as error:
        raise InputError(
            f"cannot write in folder '{named.parent}': {error.strerror}; "
            "change its permissions, or give another output"
        ) from error


def _is_kept_by_its_owner(target: Path) -> bool:
    """Return whether only the owner may replace a file in its folder, as in /tmp."""
    if not hasattr(os, "geteuid"):  # Windows
        return False
    folder = target.parent.stat()
    owners = (0, folder.st_uid, target.stat().st_uid)
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in owners


def _create(target: Path) -> Path:
    # The start of the name shows which file a leftover of a power failure belongs to; a
    # long name in full would leave no room for the random part.
    temporary = target.with_name(f".{target.stem[:40]}-{secrets.token_hex(4)}{target.suffix}")
    # Mode 0o666 is narrowed by the umask, as it is for every new file.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    if target.exists():
        temporary.chmod(target.stat().st_mode & 0o777)
    return temporary
