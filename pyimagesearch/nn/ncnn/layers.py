"""Layers of a simple network as ncnn computes them, one image or several at once."""

import math
import threading
from collections.abc import Sequence

import numpy as np

from pyimagesearch.nn.graph.node import Node
from pyimagesearch.utils.temporary import temporary_folder

# ncnn computes 16 channels at a time, and the transforms of fewer do not pay.
WINOGRAD_CHANNELS = 16
TILE = 4  # rows and columns that Winograd's F(4x4, 3x3) computes at a time
LEAST_FILLED = 0.5  # how much of a block of memory is used, or it is kept for a larger array


class ThreadMemory(threading.local):
    """Memory that ncnn uses again and again, of its own for each thread.

    ncnn's own pool is shared by all threads: they wait for each other, and the
    small array of one takes the large block that another is about to need.
    """

    def __init__(self):
        import ncnn

        self.blobs = ncnn.UnlockedPoolAllocator()
        self.workspace = ncnn.UnlockedPoolAllocator()
        for pool in (self.blobs, self.workspace):
            pool.set_size_compare_ratio(LEAST_FILLED)


class OneByOne:
    """Layers that are computed for one image after the other.

    Parameters
    ----------
    layers : sequence of Node
        Consecutive operations of a chain.
    memory : ThreadMemory
        Where they are computed.
    """

    def __init__(self, layers: Sequence[Node], memory: ThreadMemory):
        self._net = _load(layers)
        self._output = f"blob{len(layers)}"
        self._memory = memory

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Turn float32 (b, c, h, w) into what the last layer gives, likewise."""
        return np.stack(
            [_extract(self._net, image, self._output, self._memory) for image in images]
        )


class Stacked:
    """A convolution that is computed for several images at once.

    They stand one below the other, with zeros between them that serve both as
    padding. So each weight is read from memory once for all of them.

    Parameters
    ----------
    layer : Node
        A convolution that gives as many rows and columns as it takes.
    memory : ThreadMemory
        Where it is computed.
    """

    def __init__(self, layer: Node, memory: ThreadMemory):
        self._net = _load([layer])
        self._padding = _padding(layer)
        self._memory = memory

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Turn float32 (b, c, h, w) into what the layer gives, likewise."""
        n_images, n_in, height, width = images.shape
        # In whole tiles, none of which holds parts of two images: the features
        # of an image are the same to the last bit, whatever its neighbours.
        pitch = _whole_tiles(height + self._padding)
        sheet = np.zeros((n_in, n_images, pitch, width), np.float32)
        sheet[:, :, :height] = images.transpose(1, 0, 2, 3)
        sheet = sheet.reshape(n_in, n_images * pitch, width)
        outputs = _extract(self._net, sheet, "blob1", self._memory)
        outputs = outputs.reshape(len(outputs), n_images, pitch, width)[:, :, :height]
        return outputs.transpose(1, 0, 2, 3)


def _whole_tiles(n_pixels: int) -> int:
    return math.ceil(n_pixels / TILE) * TILE


def _extract(net, planes: np.ndarray, output: str, memory: ThreadMemory) -> np.ndarray:
    """Compute one blob from float32 (c, h, w) on this thread, Python's global lock released."""
    import ncnn

    planes = np.ascontiguousarray(planes)
    extractor = net.create_extractor()
    extractor.set_blob_allocator(memory.blobs)
    extractor.set_workspace_allocator(memory.workspace)
    extractor.input("blob0", ncnn.Mat(planes))  # borrows the memory of planes
    status, outputs = extractor.extract(output)
    if status != 0:
        raise MemoryError(f"ncnn could not compute the features (status {status})")
    return np.array(outputs)


def _load(layers: Sequence[Node]):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    # Half precision would be faster, and wrong in the third digit.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    with temporary_folder() as folder:
        structure, weights = folder / "chain.param", folder / "chain.bin"
        structure.write_text(_structure(layers), "ascii", newline="\n")
        with weights.open("wb") as file:
            for layer in layers:
                file.write(_weights(layer))
        if net.load_param(str(structure)) or net.load_model(str(weights)):
            raise RuntimeError("ncnn does not accept the network")
    return net


def _structure(layers: Sequence[Node]) -> str:
    """Describe the layers in ncnn's text format: a line each, after the counts."""
    lines = ["Input input 0 1 blob0"]
    for i, layer in enumerate(layers, start=1):
        kind, options = _options(layer)
        lines.append(f"{kind} layer{i} 1 1 blob{i - 1} blob{i} {options}")
    return "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines, ""])


def _options(layer: Node) -> tuple[str, str]:
    if layer.operation == "pool":
        (size, _) = layer.attributes["size"]
        # 0: the maximum; 1, 2: size and stride; 5: only whole squares
        return "Pooling", f"0=0 1={size} 2={size} 5=1"
    # 0: filters; 1: kernel size; 4: padding; 5: has a bias; 6: count of weights; 9: ReLU
    kernel, relu = layer.arrays["kernel"], layer.attributes["activation"] is not None
    size, _, n_in, n_out = kernel.shape
    options = f"0={n_out} 1={size} 4={_padding(layer)} 5=1 6={kernel.size} 9={int(relu)}"
    if n_in < WINOGRAD_CHANNELS:
        options += f" 31={1 << 6}"  # this layer does not use Winograd
    return "Convolution", options


def _padding(layer: Node) -> int:
    """Return how many zeros a plain convolution has on each side."""
    return layer.attributes["pads"][0]


def _weights(layer: Node) -> bytes:
    if layer.operation == "pool":
        return b""
    kernel = layer.arrays["kernel"].transpose(3, 2, 0, 1)  # (h, w, in, out) -> (out, in, h, w)
    bias = layer.arrays.get("bias", np.zeros(len(kernel)))
    # Four zero bytes say that float32 follows.
    return bytes(4) + kernel.astype("<f4").tobytes() + bias.astype("<f4").tobytes()
