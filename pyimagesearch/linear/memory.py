"""How much memory a search takes."""

import math

from pyimagesearch.linear.solver.preconditioner import SAMPLE, largest_sample
from pyimagesearch.linear.solver.rows import BLOCK_BYTES, COPY_BYTES, LEAST_ROWS
from pyimagesearch.linear.solver.rowspace import SLAB_BYTES, row_space_is_cheaper
from pyimagesearch.utils.memory import available_bytes

INTERPRETER_BYTES = 90 * 2**20  # Python, its libraries and their threads, 2026-11
FLOAT32, FLOAT64 = 4, 8
SCORE_BYTES = 80  # of a row and class: scores in float64, probabilities, curvature
WEIGHT_BYTES = 40  # of a feature and class: points in float64, vectors in float32
COLUMN_BYTES = 10  # of a feature and class in a pass: factors, and for each thread what is summed


def required_bytes(
    n_rows: int, n_features: int, n_classes: int, n_jobs: int, n_folds: int = 3
) -> int:
    """Estimate the largest memory that a process takes for a search, its features apart.

    Parameters
    ----------
    n_rows, n_features, n_classes : int
        Size of the training part.
    n_jobs : int
        How many cores are used.
    n_folds : int
        Number of folds.

    Returns
    -------
    int
        Bytes, with the interpreter.
    """
    first = copied = 0
    if row_space_is_cheaper(n_rows, n_features, n_folds * n_classes):
        copied = FLOAT64 * n_rows**2
        first = copied + 3 * SLAB_BYTES  # while products are summed
        n_features = n_rows
    elif FLOAT32 * n_rows * n_features <= COPY_BYTES:
        copied = FLOAT32 * n_rows * n_features
    sample = FLOAT32 * n_features * n_classes
    sample *= min(n_rows, SAMPLE, largest_sample(n_features, n_classes, FLOAT32))
    of_fold = SCORE_BYTES * n_rows * n_classes + WEIGHT_BYTES * n_features * n_classes + sample
    block = max(BLOCK_BYTES, FLOAT32 * LEAST_ROWS * n_features)
    of_pass = n_jobs * (COLUMN_BYTES * n_features * n_classes * n_folds + block)
    return INTERPRETER_BYTES + max(first, copied + n_folds * of_fold + of_pass)


def memory_notes(
    shape: tuple[int, int], n_classes: int, n_jobs: int, are_mapped: bool
) -> list[str]:
    """Warn of a search that may not fit in the available memory: the estimate can be wrong.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the training part.
    n_classes, n_jobs : int
        As of `required_bytes`.
    are_mapped : bool
        Whether the rows lie in a file, and take no memory.
    """
    there = available_bytes()
    needed = required_bytes(*shape, n_classes, n_jobs)
    needed += 0 if are_mapped else FLOAT32 * math.prod(shape)
    if there is None or needed <= there:
        return []
    return [
        f"the search needs some {needed / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are "
        "available: it may swap or be killed; close other programs, or use a larger machine"
    ]
