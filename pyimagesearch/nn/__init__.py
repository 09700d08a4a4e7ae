"""The headless network and the engines that compute it.

Keras, and the backend behind it, are imported only once they are needed: they
take seconds, and hundreds of megabytes.
"""

from pyimagesearch.nn.loading import ENGINES, start_loading
from pyimagesearch.nn.network import Description, Network
from pyimagesearch.nn.weights import Weights

__all__ = ["ENGINES", "Description", "Network", "Weights", "start_loading"]
