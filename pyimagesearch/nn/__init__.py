"""Networks without their heads: which, cut where, with which weights, and what computes them.

Keras, and the backend behind it, are imported only once they are needed: they
take seconds, and hundreds of megabytes.
"""

from pyimagesearch.nn.choice import POOLINGS, NetworkChoice
from pyimagesearch.nn.described import check_described, load_described
from pyimagesearch.nn.description import Description, Weights
from pyimagesearch.nn.kerasnetwork import why_not_finite
from pyimagesearch.nn.loading import ENGINES, list_layers, load_network
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.preprocessing import PREPROCESSINGS
from pyimagesearch.nn.weights import DownloadError
from pyimagesearch.nn.whole import (
    PHONE,
    WHOLE,
    WholeClassifier,
    check_built_in,
    check_suffix,
    is_whole,
    load_whole_network,
    read_whole,
    write_whole,
)

__all__ = [
    "ENGINES",
    "PHONE",
    "POOLINGS",
    "PREPROCESSINGS",
    "WHOLE",
    "Description",
    "DownloadError",
    "Network",
    "NetworkChoice",
    "Weights",
    "WholeClassifier",
    "check_built_in",
    "check_described",
    "check_suffix",
    "is_whole",
    "list_layers",
    "load_described",
    "load_network",
    "load_whole_network",
    "read_whole",
    "why_not_finite",
    "write_whole",
]
