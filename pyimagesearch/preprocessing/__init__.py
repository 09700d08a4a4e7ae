"""From a folder of labelled pictures to rows of paths, and from a path to pixels."""

from pyimagesearch.preprocessing.checkedimages import CheckedImages, check_images, image_digest
from pyimagesearch.preprocessing.classes import (
    class_table,
    class_warnings,
    left_aside_warnings,
    require_two_classes,
    small_classes,
)
from pyimagesearch.preprocessing.decoding import Decoding
from pyimagesearch.preprocessing.duplicates import (
    Duplicates,
    contradictions,
    duplicate_notes,
)
from pyimagesearch.preprocessing.folderwalk import LeftAside, find_pictures
from pyimagesearch.preprocessing.imageloader import check_image, load_image
from pyimagesearch.preprocessing.imagepaths import LabelledImages, list_labelled_images
from pyimagesearch.preprocessing.roworder import row_order
from pyimagesearch.preprocessing.unlabelledimages import UnlabelledImages, list_images

__all__ = [
    "CheckedImages",
    "Decoding",
    "Duplicates",
    "LabelledImages",
    "LeftAside",
    "UnlabelledImages",
    "check_image",
    "check_images",
    "class_table",
    "class_warnings",
    "contradictions",
    "duplicate_notes",
    "find_pictures",
    "image_digest",
    "left_aside_warnings",
    "list_images",
    "list_labelled_images",
    "load_image",
    "require_two_classes",
    "row_order",
    "small_classes",
]
