"""Networks as graphs of operations, read from what Keras saves, without Keras.

`reading` follows the calls of a config's layers, which `layers` and
`kerasoperations` translate; `folding` simplifies; `openvinomodel` builds what
OpenVINO computes.
"""

from pyimagesearch.nn.graph.folding import fold
from pyimagesearch.nn.graph.node import Graph, Node, NoTranslationError
from pyimagesearch.nn.graph.reading import input_shape, layer_nodes, layer_paths, read_graph

__all__ = [
    "Graph",
    "NoTranslationError",
    "Node",
    "fold",
    "input_shape",
    "layer_nodes",
    "layer_paths",
    "read_graph",
]
