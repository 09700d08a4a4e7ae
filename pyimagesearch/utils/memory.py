"""How much memory is available, and returning it to the system."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES, LARGEST_KEPT_BYTES = 2**17, 2**25  # where glibc's threshold begins, and may end
MEMINFO = Path("/proc/meminfo")
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def available_bytes() -> int | None:
    """Return how much memory this process can still allocate, where that is known.

    Returns
    -------
    int or None
        Bytes: what the machine has left, or what the control groups of this process allow,
        whichever is less. Cached files count as available.
    """
    known = [_left_in_machine(), *map(_left_in_group, _own_groups())]
    return min((size for size in known if size is not None), default=None)


def _left_in_machine() -> int | None:
    sizes = _fields(MEMINFO)
    return 1024 * sizes["MemAvailable:"] if "MemAvailable:" in sizes else None


def _own_groups() -> list[Path]:
    """Return the folders of this process's memory groups and their parents, for both versions."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return []
    groups = []
    for line in lines:  # hierarchy:controllers:path, with no controllers in version 2
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = GROUPS / "memory" if controllers else GROUPS
        own = root / path.lstrip("/")
        # In a container the path can be that of the host: then the root is the process's own group.
        groups += [own, *(above for above in own.parents if above.is_relative_to(root))]
    return groups


def _left_in_group(group: Path) -> int | None:
    names = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    cached = _fields(group / "memory.stat")
    reclaimable = cached.get("total_inactive_file", cached.get("inactive_file", 0))
    reclaimable += cached.get("total_active_file", cached.get("active_file", 0))
    for limit, used in names:
        try:
            left = int((group / limit).read_text()) - int((group / used).read_text())
        except (OSError, ValueError):  # no such group, or its limit is "max"
            continue
        return max(0, left + reclaimable)
    return None


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers of a file with a name and a number on each line."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


@contextlib.contextmanager
def large_blocks_returned() -> Iterator[None]:
    """Return large blocks of memory to the system as soon as they are freed.

    glibc keeps freed blocks for reuse, but weights that are converted from form
    to form are not needed again: 100 MB of ResNet50's 430 (glibc 2.36, 28
    November 2026). With another C library nothing changes.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
