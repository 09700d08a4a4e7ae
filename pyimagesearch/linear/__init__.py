"""The linear classifier: an exact, fast grid search, and its judgement."""

from pyimagesearch.linear.classifierfile import load_classifier, save_classifier
from pyimagesearch.linear.evaluation import Evaluation, evaluate
from pyimagesearch.linear.gridsearch import (
    C_GRID,
    N_FOLDS,
    RowSpaceGridSearchCV,
    check_trainable,
)
from pyimagesearch.linear.memory import available_bytes, required_bytes
from pyimagesearch.linear.progress import CountFits
from pyimagesearch.linear.table import as_records, format_table, notes, search_table

__all__ = [
    "C_GRID",
    "N_FOLDS",
    "CountFits",
    "Evaluation",
    "RowSpaceGridSearchCV",
    "as_records",
    "available_bytes",
    "check_trainable",
    "evaluate",
    "format_table",
    "load_classifier",
    "notes",
    "required_bytes",
    "save_classifier",
    "search_table",
]
