"""The linear classifier: an exact, fast grid search, and its judgement."""

from pyimagesearch.linear.classifierfile import load_classifier, save_classifier
from pyimagesearch.linear.evaluation import Evaluation, evaluate
from pyimagesearch.linear.gridsearch import (
    C_GRID,
    Fit,
    GridSearch,
    check_trainable,
    grid_search,
)
from pyimagesearch.linear.memory import required_bytes
from pyimagesearch.linear.table import format_table, notes, search_table
from pyimagesearch.linear.trainingimages import TrainingImages

__all__ = [
    "C_GRID",
    "Evaluation",
    "Fit",
    "GridSearch",
    "TrainingImages",
    "check_trainable",
    "evaluate",
    "format_table",
    "grid_search",
    "load_classifier",
    "notes",
    "required_bytes",
    "save_classifier",
    "search_table",
]
