"""Compute a plain chain of convolutions with ncnn, one picture a thread.

On a processor ncnn's Winograd kernels (Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016) need less than half the time of the
direct convolution, with the same rounding errors.
"""

import math
import tempfile
from pathlib import Path

import numpy as np

from pyimagesearch.nn import vgg16
from pyimagesearch.nn.chain import Convolution, MaxPooling
from pyimagesearch.nn.network import Description


class NcnnNetwork:
    """A chain of layers that several threads compute at once.

    The threads share the weights; each picture is computed by one thread,
    which beats several threads on one picture. Calls release Python's global
    lock. See `pyimagesearch.nn.network.Network` for the attributes.

    Parameters
    ----------
    chain : list of Convolution or MaxPooling
        The layers, see `pyimagesearch.nn.chain.plain_chain`.
    description : Description
        What the chain computes.
    why : str
        How ncnn came to be chosen.
    """

    engine = "ncnn"
    concurrent = True
    batch_size = 1
    preprocess = staticmethod(vgg16.preprocess)

    def __init__(self, chain: list[Convolution | MaxPooling], description: Description, why: str):
        self.description = description
        self.why = why
        self._output = f"blob{len(chain)}"
        self._net = _load(chain)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Turn (b, 224, 224, 3) into float32 rows (b, 25088)."""
        rows = np.empty((len(batch), math.prod(self.description.feature_shape)), np.float32)
        for row, picture in zip(rows, batch, strict=True):
            row[:] = self._features(picture).ravel()
        return rows

    def _features(self, picture: np.ndarray) -> np.ndarray:
        import ncnn

        planes = np.ascontiguousarray(picture.transpose(2, 0, 1))  # (h, w, c) -> (c, h, w)
        extractor = self._net.create_extractor()
        # A Mat borrows the array's memory: its clone outlives the array.
        extractor.input("blob0", ncnn.Mat(planes).clone())
        status, features = extractor.extract(self._output)
        if status != 0:
            raise MemoryError(f"ncnn could not compute the features (status {status})")
        return np.array(features).transpose(1, 2, 0)  # (c, h, w) -> (h, w, c)


def _load(chain: list[Convolution | MaxPooling]):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    # Half precision would be faster, and wrong in the third digit.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder:
        structure, weights = Path(folder, "chain.param"), Path(folder, "chain.bin")
        structure.write_text(_structure(chain))
        with weights.open("wb") as file:
            for layer in chain:
                file.write(_weights(layer))
        if net.load_param(str(structure)) or net.load_model(str(weights)):
            raise RuntimeError("ncnn does not take the network that Keras built")
    return net


def _structure(chain: list[Convolution | MaxPooling]) -> str:
    """Describe the chain in ncnn's text format: a line a layer, after the counts."""
    lines = ["Input input 0 1 blob0"]
    for i, layer in enumerate(chain, start=1):
        kind, options = _options(layer)
        lines.append(f"{kind} layer{i} 1 1 blob{i - 1} blob{i} {options}")
    return "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines, ""])


def _options(layer: Convolution | MaxPooling) -> tuple[str, str]:
    if isinstance(layer, MaxPooling):
        # 0: the maximum; 1, 2: size and stride; 5: only whole squares
        return "Pooling", f"0=0 1={layer.size} 2={layer.size} 5=1"
    # 0: filters; 1: kernel size; 4: padding; 5: has a bias; 6: count of weights; 9: ReLU
    n_out, size = layer.kernel.shape[-1], layer.kernel.shape[0]
    options = f"0={n_out} 1={size} 4={layer.padding} 5=1 6={layer.kernel.size} 9={int(layer.relu)}"
    return "Convolution", options


def _weights(layer: Convolution | MaxPooling) -> bytes:
    if isinstance(layer, MaxPooling):
        return b""
    kernel = layer.kernel.transpose(3, 2, 0, 1)  # (h, w, in, out) -> (out, in, h, w)
    # Four zero bytes say that float32 follows.
    return bytes(4) + kernel.astype("<f4").tobytes() + layer.bias.astype("<f4").tobytes()
