"""Networks without their heads: which, cut where, with which weights, and what computes them.

Keras, and the backend behind it, are imported only once they are needed: they
take seconds, and hundreds of megabytes.
"""

from pyimagesearch.nn.choice import POOLINGS, NetworkChoice
from pyimagesearch.nn.description import Description, Weights
from pyimagesearch.nn.kerasnetwork import why_not_finite
from pyimagesearch.nn.loading import ENGINES, list_layers, load_described, load_network
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.preprocessing import PREPROCESSINGS

__all__ = [
    "ENGINES",
    "POOLINGS",
    "PREPROCESSINGS",
    "Description",
    "Network",
    "NetworkChoice",
    "Weights",
    "list_layers",
    "load_described",
    "load_network",
    "why_not_finite",
]
