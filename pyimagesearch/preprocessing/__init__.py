"""From a folder of labelled pictures to rows of paths, and from a path to pixels."""

from pyimagesearch.preprocessing.checkedimages import CheckedImages, check_images
from pyimagesearch.preprocessing.imageloader import check_image, load_image
from pyimagesearch.preprocessing.imagepaths import LabelledImages, list_labelled_images

__all__ = [
    "CheckedImages",
    "LabelledImages",
    "check_image",
    "check_images",
    "list_labelled_images",
    "load_image",
]
