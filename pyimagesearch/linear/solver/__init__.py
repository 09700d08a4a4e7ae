"""The exact solver: logistic regression of several sets of rows at once, with a proven bound.

It knows arrays only: nothing of files, names, folds or scikit-learn. `newton` holds the method.
"""

from pyimagesearch.linear.solver.newton import MAX_ITER, Fits
from pyimagesearch.linear.solver.rows import COPY_BYTES, Rows, centred, reordered
from pyimagesearch.linear.solver.rowspace import (
    in_row_space,
    row_space_is_cheaper,
    to_feature_weights,
)
from pyimagesearch.linear.solver.subspace import Solution

__all__ = [
    "COPY_BYTES",
    "MAX_ITER",
    "Fits",
    "Rows",
    "Solution",
    "centred",
    "in_row_space",
    "reordered",
    "row_space_is_cheaper",
    "to_feature_weights",
]
