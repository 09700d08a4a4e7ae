"""How much memory a search takes, and how much there is."""

import math
from pathlib import Path

from pyimagesearch.linear.corrections import SUPPORT
from pyimagesearch.linear.passes import BLOCK_BYTES, COPY_BYTES

INTERPRETER_BYTES = 100 * 2**20  # Python, its libraries and their threads, 2026-11
FLOAT32, FLOAT64 = 4, 8
ROW_NUMBER_BYTES = 250  # of a row and class: vectors of conjugate gradients come with their scores
SCORE_BYTES = 75  # of a row and class by features: three sets of scores, probabilities, curvature
WEIGHT_BYTES = 80  # of a feature and class: the vectors of conjugate gradients, points, sums

MEMINFO = Path("/proc/meminfo")
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def required_bytes(
    n_rows: int, n_features: int, n_classes: int, n_jobs: int, by_rows: bool, n_folds: int = 3
) -> int:
    """Estimate the largest memory that a process takes for a search, its features apart.

    Parameters
    ----------
    n_rows, n_features, n_classes : int
        Size of the training part.
    n_jobs : int
        How many cores are used.
    by_rows : bool
        In which coordinates: see `pyimagesearch.linear.coordinates`.
    n_folds : int
        Number of folds.

    Returns
    -------
    int
        Bytes, with the interpreter.
    """
    n_fitted = math.ceil(n_rows * (n_folds - 1) / n_folds)
    if by_rows:
        n_running = 1 if n_jobs == 1 else n_folds
        # Each fold has its part of the products in both precisions, and factors it at its start.
        products = FLOAT64 * n_rows**2 + (FLOAT64 + 2 * FLOAT32) * n_fitted**2 * n_running
        # While they are summed, there are a second array of products and a slab of columns.
        products = max(products, 2 * FLOAT64 * n_rows**2 + 16 * 2 * BLOCK_BYTES)
        numbers = ROW_NUMBER_BYTES * n_classes * max(n_fitted * n_running, n_rows)
        return INTERPRETER_BYTES + products + numbers
    copy = FLOAT32 * n_rows * n_features
    n_supports = min(SUPPORT * n_classes, n_fitted)
    of_fold = SCORE_BYTES * n_rows * n_classes + WEIGHT_BYTES * n_features * n_classes
    of_fold += FLOAT32 * n_supports * n_features
    of_job = 4 * BLOCK_BYTES + FLOAT64 * n_features * n_classes * n_folds
    copy = copy if copy <= COPY_BYTES else 0
    return INTERPRETER_BYTES + copy + n_folds * of_fold + n_jobs * of_job


def available_bytes() -> int | None:
    """Return how much memory this process can still take, where that is known.

    Returns
    -------
    int or None
        Bytes: what the machine has left, or what a control group of this process or one above it
        allows, where that is less. What is cached of files counts as left.
    """
    known = [_left_in_machine(), *map(_left_in_group, _own_groups())]
    return min((size for size in known if size is not None), default=None)


def _left_in_machine() -> int | None:
    sizes = _fields(MEMINFO)
    return 1024 * sizes["MemAvailable:"] if "MemAvailable:" in sizes else None


def _own_groups() -> list[Path]:
    """Return the folders of this process's memory groups and of those above, of both versions."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return []
    groups = []
    for line in lines:  # hierarchy:controllers:path, with no controllers in the second version
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = GROUPS / "memory" if controllers else GROUPS
        own = root / path.lstrip("/")
        # In a container the path can be that of the host: then the root is the own group.
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
    """Return the numbers of a file that has a name and a number in each line."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
