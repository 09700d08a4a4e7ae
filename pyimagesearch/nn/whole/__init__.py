"""A network and the classifier behind it in one file: for Keras, or for a phone."""

from pyimagesearch.nn.whole.builtin import check_built_in
from pyimagesearch.nn.whole.file import WholeClassifier, load_whole_network, read_whole
from pyimagesearch.nn.whole.suffixes import PHONE, WHOLE, check_suffix, is_whole
from pyimagesearch.nn.whole.writing import write_whole

__all__ = [
    "PHONE",
    "WHOLE",
    "WholeClassifier",
    "check_built_in",
    "check_suffix",
    "is_whole",
    "load_whole_network",
    "read_whole",
    "write_whole",
]
