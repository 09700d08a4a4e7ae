"""VGG16 and VGG19 as plain chains, built without Keras.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale
Image Recognition", ICLR 2015, configurations D and E.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyimagesearch.nn.chain import Chain, Convolution, MaxPooling
from pyimagesearch.nn.description import Weights
from pyimagesearch.nn.weights import (
    IMAGENET,
    RANDOM,
    HeNormal,
    imagenet_file,
    misfit,
    named_misfit,
    sha256_of,
)
from pyimagesearch.nn.weightsfile import (
    names_its_layers,
    open_weights,
    read_convolutions,
    read_named_layers,
)
from pyimagesearch.utils import InputError

WIDTHS = (64, 128, 256, 512, 512)  # channels of the convolutions in each block
MIN_SIZE = 32  # pixels: each of the five poolings halves them


@dataclass(frozen=True)
class Vgg:
    """One of the two networks.

    Attributes
    ----------
    depths : tuple of int
        How many convolutions each block has.
    imagenet_url, imagenet_md5 : str
        The file of its ImageNet weights; Keras publishes no other digest.
    """

    depths: tuple[int, ...]
    imagenet_url: str
    imagenet_md5: str

    def kernel_shapes(self) -> dict[str, tuple[int, int, int, int]]:
        """Return (height, width, n_in, n_out) of each convolution's kernel, by name."""
        found, n_in = {}, 3
        for block, (depth, width) in enumerate(zip(self.depths, WIDTHS, strict=True), start=1):
            for i in range(1, depth + 1):
                found[f"block{block}_conv{i}"] = (3, 3, n_in, width)
                n_in = width
        return found

    def weight_shapes(self) -> list[list[tuple[int, ...]]]:
        """Return the shapes of each convolution's kernel and bias, in order."""
        return [[shape, shape[-1:]] for shape in self.kernel_shapes().values()]

    def chain(self, weights: Iterable[list[np.ndarray]]) -> Chain:
        """Put kernels and biases, one pair per convolution, into the layers."""
        return dict(self._layers(iter(weights)))

    def unfilled(self) -> Chain:
        """Return the chain with weights that have the right shapes, take no memory, and are 0."""
        return self.chain(
            [np.broadcast_to(np.float32(0), shape) for shape in pair]
            for pair in self.weight_shapes()
        )

    def _layers(self, weights: Iterator[list[np.ndarray]]) -> Iterator[tuple[str, object]]:
        for block, depth in enumerate(self.depths, start=1):
            for i in range(1, depth + 1):
                kernel, bias = next(weights)
                yield f"block{block}_conv{i}", Convolution(kernel, bias, padding=1, relu=True)
            yield f"block{block}_pool", MaxPooling(2)


URL = "https://storage.googleapis.com/tensorflow/keras-applications"
VGG = {
    "VGG16": Vgg(
        (2, 2, 3, 3, 3),
        f"{URL}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "VGG19": Vgg(
        (2, 2, 4, 4, 4),
        f"{URL}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
    ),
}


def check_size(name: str, size: tuple[int, int]) -> None:
    """Refuse pictures that are too small for all five poolings."""
    if min(size) < MIN_SIZE:
        raise InputError(
            f"{name} cannot take pictures of {size[0]} x {size[1]} pixels: "
            f"expected at least {MIN_SIZE}; give another --size"
        )


def load_weights(name: str, weights: str) -> tuple[list[list[np.ndarray]], Weights]:
    """Return a kernel and a bias for each convolution, all of them or none.

    Parameters
    ----------
    name : str
        ``"VGG16"`` or ``"VGG19"``.
    weights : str
        ``"imagenet"``, ``"random"`` or the path of a file with the weights of
        this network, with or without its head.

    Returns
    -------
    list of list of ndarray of float32
        As `Vgg.chain` takes them.
    Weights
        Their name and digest.

    Raises
    ------
    InputError
        If the weights cannot be had, are damaged, or are not this network's.
    """
    network = VGG[name]
    if weights == RANDOM:
        drawn = HeNormal()
        arrays = list(drawn.convolutions(network.kernel_shapes().values()))
        return arrays, Weights(RANDOM, drawn.sha256)
    if weights == IMAGENET:
        path = imagenet_file(name, network.imagenet_url, network.imagenet_md5)
    else:
        path = Path(weights)
    with named_misfit(path, name), open_weights(path) as file:
        read = read_named_layers if names_its_layers(file) else read_convolutions
        arrays = read(file, network.weight_shapes())
    if not all(np.isfinite(array).all() for pair in arrays for array in pair):
        raise misfit(path, name, "some of its numbers are not finite")
    return arrays, Weights(IMAGENET if weights == IMAGENET else path.name, sha256_of(path))
