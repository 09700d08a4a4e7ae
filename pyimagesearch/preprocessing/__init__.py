"""From a folder of labelled images to ordered paths, and from a path to pixels."""

from pyimagesearch.preprocessing.checkedimages import CheckedImages, check_images, image_digest
from pyimagesearch.preprocessing.decoding import Decoding
from pyimagesearch.preprocessing.duplicates import Duplicates
from pyimagesearch.preprocessing.earlierrows import EarlierRows
from pyimagesearch.preprocessing.fingerprints import near_duplicates_between
from pyimagesearch.preprocessing.folderwalk import SkippedFiles, find_images
from pyimagesearch.preprocessing.givenlabels import given_labels
from pyimagesearch.preprocessing.imageloader import check_image, image_reader, load_image
from pyimagesearch.preprocessing.imagepaths import LabelledImages, list_labelled_images
from pyimagesearch.preprocessing.labelling import SOURCES
from pyimagesearch.preprocessing.reports import (
    report_classes,
    report_duplicates,
    report_unreadable,
)
from pyimagesearch.preprocessing.roworder import row_order
from pyimagesearch.preprocessing.sampleimages import sample_images
from pyimagesearch.preprocessing.unlabelledimages import UnlabelledImages, list_images

__all__ = [
    "SOURCES",
    "CheckedImages",
    "Decoding",
    "Duplicates",
    "EarlierRows",
    "LabelledImages",
    "SkippedFiles",
    "UnlabelledImages",
    "check_image",
    "check_images",
    "find_images",
    "given_labels",
    "image_digest",
    "image_reader",
    "list_images",
    "list_labelled_images",
    "load_image",
    "near_duplicates_between",
    "report_classes",
    "report_duplicates",
    "report_unreadable",
    "row_order",
    "sample_images",
]
