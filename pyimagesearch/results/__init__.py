"""What needs features, images and a classifier at once: checked before, and written afterwards."""

from pyimagesearch.results.checkedrows import CheckedRows, check_rows
from pyimagesearch.results.collectedanswers import CollectedAnswers
from pyimagesearch.results.recordedclassifier import (
    read_classifier,
    recorded_network,
    write_models,
)
from pyimagesearch.results.resultfiles import check_result_files
from pyimagesearch.results.rowimages import RowImages
from pyimagesearch.results.trainingreport import report_of, write_reports
from pyimagesearch.results.wholemodels import network_of, training_digests

__all__ = [
    "CheckedRows",
    "CollectedAnswers",
    "RowImages",
    "check_result_files",
    "check_rows",
    "network_of",
    "read_classifier",
    "recorded_network",
    "report_of",
    "training_digests",
    "write_models",
    "write_reports",
]
