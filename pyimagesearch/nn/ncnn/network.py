"""Compute a simple convolutional network with ncnn, on as many threads as call.

On a processor ncnn's Winograd kernels (Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016) need less than half the time of the
direct convolution, with the same rounding errors.
"""

import threading
from collections.abc import Iterator

import numpy as np

from pyimagesearch.nn.description import Description
from pyimagesearch.nn.graph.node import Graph, Node
from pyimagesearch.nn.ncnn.layers import OneByOne, Stacked, ThreadMemory
from pyimagesearch.nn.preprocessing import preprocessing_of

BATCH_SIZE = 4  # Below this, reading a large kernel takes longer than using it for one image.
FEW_PIXELS = 500


class NcnnNetwork:
    """A chain of layers that several threads compute at once.

    The threads share the weights; each batch is computed by one thread, which
    beats several threads on one batch. Calls release Python's global lock. See
    `pyimagesearch.nn.network.Network` for the attributes.

    ncnn takes the layers at the first call, and the arrays are dropped: until
    then the network can be pickled.

    Parameters
    ----------
    chain : list of Node
        The operations, see `pyimagesearch.nn.ncnn.chain.plain_chain`.
    description : Description
        What the chain computes.
    why : str
        Why ncnn was chosen.
    """

    engine = "ncnn"
    concurrent = True
    independent = True
    batch_size = BATCH_SIZE

    def __init__(self, chain: list[Node], description: Description, why: str):
        self.description = description
        self.why = why
        self.preprocess = preprocessing_of(description)
        self._chain: list[Node] | None = chain
        self._steps: list[OneByOne | Stacked] = []
        self._lock = threading.Lock()

    def __reduce__(self):
        """Pickle it as arrays: ncnn's own form of a network cannot be pickled."""
        if self._chain is None:
            raise TypeError("a network that has computed keeps no arrays to pickle")
        return _arrived, (Graph(self._chain[-1]), self.description, self.why)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Turn (b, height, width, 3) into float32 rows (b, n_features)."""
        if self._chain is not None:
            self._load()
        planes = batch.transpose(0, 3, 1, 2)  # (b, h, w, c) -> (b, c, h, w)
        for step in self._steps:
            planes = step(planes)
        if self.description.pooling == "avg":  # (b, c, h, w) -> (b, c)
            return planes.mean(axis=(2, 3), dtype=np.float64).astype(np.float32)
        if self.description.pooling == "max":
            return planes.max(axis=(2, 3))
        return planes.transpose(0, 2, 3, 1).reshape(len(batch), self.description.n_features)

    def _load(self) -> None:
        with self._lock:
            if self._chain is not None:  # else another thread was faster
                self._steps = list(_steps(self._chain))
                self._chain = None


def _arrived(graph: Graph, description: Description, why: str) -> NcnnNetwork:
    return NcnnNetwork(graph.nodes[1:], description, why)


def _steps(chain: list[Node]) -> Iterator[OneByOne | Stacked]:
    """Put the convolutions of few pixels on sheets, and leave the layers between together."""
    memory = ThreadMemory()
    together: list[Node] = []
    for layer in chain:
        (before,) = layer.inputs
        keeps_size = layer.operation == "convolution" and layer.shape[:2] == before.shape[:2]
        if keeps_size and layer.shape[0] * layer.shape[1] < FEW_PIXELS:
            if together:
                yield OneByOne(together, memory)
                together = []
            yield Stacked(layer, memory)
        else:
            together.append(layer)
    if together:
        yield OneByOne(together, memory)
