"""Compute a plain chain of convolutions with ncnn, on as many threads as call.

On a processor ncnn's Winograd kernels (Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016) need less than half the time of the
direct convolution, with the same rounding errors.
"""

import threading
from collections.abc import Iterator

import numpy as np

from pyimagesearch.nn.chain import Chain, Convolution, Layer
from pyimagesearch.nn.description import Description
from pyimagesearch.nn.ncnnlayers import OneByOne, Stacked, ThreadMemory
from pyimagesearch.nn.preprocessing import PREPROCESSINGS

BATCH_SIZE = 4  # Below this, reading a large kernel takes longer than using it for one picture.
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
    chain : dict of str to Convolution or MaxPooling
        The layers, see `pyimagesearch.nn.chain.plain_chain`.
    description : Description
        What the chain computes.
    why : str
        How ncnn came to be chosen.
    """

    engine = "ncnn"
    concurrent = True
    batch_size = BATCH_SIZE

    def __init__(self, chain: Chain, description: Description, why: str):
        self.description = description
        self.why = why
        self.preprocess = PREPROCESSINGS[description.preprocessing]
        self._chain: Chain | None = chain
        self._steps: list[OneByOne | Stacked] = []
        self._lock = threading.Lock()

    def __reduce__(self):
        """Travel as arrays: ncnn's own form of a network cannot."""
        if self._chain is None:
            raise TypeError("a network that has computed keeps no arrays to pickle")
        return NcnnNetwork, (self._chain, self.description, self.why)

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
                self._steps = list(_steps(self._chain, self.description.size))
                self._chain = None


def _steps(chain: Chain, size: tuple[int, int]) -> Iterator[OneByOne | Stacked]:
    """Put the convolutions of few pixels on sheets, and leave the layers between together."""
    shape, memory = (*size, 3), ThreadMemory()
    together: list[Layer] = []
    for layer in chain.values():
        before, shape = shape, layer.shape_after(*shape)
        keeps_size = isinstance(layer, Convolution) and shape[:2] == before[:2]
        if keeps_size and shape[0] * shape[1] < FEW_PIXELS:
            if together:
                yield OneByOne(together, memory)
                together = []
            yield Stacked(layer, memory)
        else:
            together.append(layer)
    if together:
        yield OneByOne(together, memory)
