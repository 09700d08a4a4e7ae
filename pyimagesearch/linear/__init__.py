"""The linear classifier: an exact, fast grid search, and its evaluation."""

from pyimagesearch.linear.answers import (
    UNKNOWN,
    Answer,
    AnswerTable,
    LabelledEvaluation,
    Tally,
    answers_to,
    csv_rows,
    report_labelled,
)
from pyimagesearch.linear.calibration import Calibration, apply_temperature, fit_temperature
from pyimagesearch.linear.classifierfile import load_classifier, save_classifier
from pyimagesearch.linear.evaluation import Evaluation, evaluate
from pyimagesearch.linear.gridsearch import (
    C_GRID,
    Fit,
    GridSearch,
    grid_search,
)
from pyimagesearch.linear.memory import memory_notes, required_bytes
from pyimagesearch.linear.reports import report_search
from pyimagesearch.linear.softmaxhead import from_softmax_head, softmax_head
from pyimagesearch.linear.suspects import Suspects, find_suspects, write_suspects
from pyimagesearch.linear.table import format_table, notes, search_table
from pyimagesearch.linear.training import Training, report_training
from pyimagesearch.linear.trainingimages import TrainingImages
from pyimagesearch.linear.trainingrows import (
    Folds,
    feature_notes,
    label_notes,
    require_enough_rows,
    split_lines,
    stratified_folds,
)
from pyimagesearch.linear.unknown import (
    UnknownDetector,
    UnknownEvaluation,
    evaluate_unknown,
    fit_unknown_detector,
    share_notes,
)

__all__ = [
    "C_GRID",
    "UNKNOWN",
    "Answer",
    "AnswerTable",
    "Calibration",
    "Evaluation",
    "Fit",
    "Folds",
    "GridSearch",
    "LabelledEvaluation",
    "Suspects",
    "Tally",
    "Training",
    "TrainingImages",
    "UnknownDetector",
    "UnknownEvaluation",
    "answers_to",
    "apply_temperature",
    "csv_rows",
    "evaluate",
    "evaluate_unknown",
    "feature_notes",
    "find_suspects",
    "fit_temperature",
    "fit_unknown_detector",
    "format_table",
    "from_softmax_head",
    "grid_search",
    "label_notes",
    "load_classifier",
    "memory_notes",
    "notes",
    "report_labelled",
    "report_search",
    "report_training",
    "require_enough_rows",
    "required_bytes",
    "save_classifier",
    "search_table",
    "share_notes",
    "softmax_head",
    "split_lines",
    "stratified_folds",
    "write_suspects",
]
