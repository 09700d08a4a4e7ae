"""How much memory a search takes, and how much there is."""

import math
from pathlib import Path

from pyimagesearch.linear.gridsearch import N_FOLDS
from pyimagesearch.linear.passes import BLOCK_BYTES

INTERPRETER_BYTES = 300 * 2**20  # Python, its libraries and their threads, generously, 2026-11
COLUMN_ARRAYS = 30  # (rows, columns) arrays of a Newton step in float64
FLOAT32, FLOAT64 = 4, 8

MEMINFO = Path("/proc/meminfo")
CGROUP_FILES = (  # limit and use, of the second and the first version
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def required_bytes(
    n_rows: int, n_features: int, n_classes: int, n_jobs: int, n_folds: int = N_FOLDS
) -> int:
    """Estimate the largest memory that a process takes for a search.

    Parameters
    ----------
    n_rows, n_features, n_classes : int
        Size of the training part, which is float32.
    n_jobs : int
        How many fits run at once.
    n_folds : int
        Number of folds.

    Returns
    -------
    int
        Bytes, with the interpreter and the features themselves.
    """
    n_fitted = math.ceil(n_rows * (n_folds - 1) / n_folds)
    n_running = 1 if n_jobs == 1 else n_folds
    if n_rows < n_features:
        shared = FLOAT64 * n_rows**2
        # Each fold keeps its centred products and a Cholesky factor of their
        # size; the next factor needs its own room and a copy while it is made.
        folds = FLOAT64 * n_fitted**2 * (2 * n_folds + 2 * n_running)
        last = FLOAT64 * n_rows**2 * 3
    else:
        shared = 0
        factors = FLOAT64 * n_features**2 * 2
        folds = (FLOAT64 * n_fitted * n_features + factors) * n_folds + n_running * BLOCK_BYTES
        last = FLOAT64 * n_rows * n_features + factors + BLOCK_BYTES
    columns = 1 if n_classes == 2 else n_classes
    working = FLOAT64 * columns * COLUMN_ARRAYS * max(n_running * n_fitted, n_rows)
    features = FLOAT32 * n_rows * n_features
    search = shared + max(folds, last, BLOCK_BYTES) + working
    return INTERPRETER_BYTES + features + search


def available_bytes() -> int | None:
    """Return how much memory this process can still take, where that is known.

    Returns
    -------
    int or None
        Bytes: what the machine has left, or what the control group allows
        where that is less.
    """
    left = [_left_in_group(limit, used) for limit, used in CGROUP_FILES]
    known = [size for size in [_left_in_machine(), *left] if size is not None]
    return min(known, default=None)


def _left_in_machine() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return sizes[0] if sizes else None


def _left_in_group(limit: Path, used: Path) -> int | None:
    try:
        return max(0, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):  # no such group, or its limit is "max"
        return None
