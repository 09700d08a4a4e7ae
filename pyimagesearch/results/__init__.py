"""What a training, or a classification, leaves of features, images and a classifier at once."""

from pyimagesearch.results.leastsure import draw_least_sure
from pyimagesearch.results.overlap import warn_of_near_duplicates
from pyimagesearch.results.recordedclassifier import (
    read_classifier,
    recorded_network,
    write_model,
)
from pyimagesearch.results.rowimages import RowImages
from pyimagesearch.results.trainingreport import report_of, write_page
from pyimagesearch.results.wholemodels import network_of, training_digests, write_whole_models

__all__ = [
    "RowImages",
    "draw_least_sure",
    "network_of",
    "read_classifier",
    "recorded_network",
    "report_of",
    "training_digests",
    "warn_of_near_duplicates",
    "write_model",
    "write_page",
    "write_whole_models",
]
