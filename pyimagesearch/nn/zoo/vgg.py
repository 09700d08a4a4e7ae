"""The layers of VGG16 and VGG19, known without Keras: the default network starts at once.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale
Image Recognition", ICLR 2015, configurations D and E.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pyimagesearch.nn.zoo.topology import Topology, Variable
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
    url, md5 : str
        The file of its ImageNet weights; Keras publishes no other digest.
    """

    depths: tuple[int, ...]
    url: str
    md5: str


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


def vgg_topology(name: str, size: tuple[int, int]) -> Topology:
    """Return the layers of ``"VGG16"`` or ``"VGG19"``, as Keras builds them for a size.

    Raises
    ------
    InputError
        If images of that size are too small for all five poolings.
    """
    if min(size) < MIN_SIZE:
        raise InputError(
            f"{name} cannot take images of {size[0]} x {size[1]} pixels: "
            f"expected at least {MIN_SIZE}; give another size"
        )
    network = VGG[name]
    start = {
        "class_name": "InputLayer",
        "config": {"name": "input", "batch_shape": [None, *size, 3]},
    }
    layers = {"name": name.lower(), "layers": [start, *_layers(network.depths)]}
    variables = dict(_variables(network.depths))
    config = {"class_name": "Sequential", "config": layers}
    return Topology(config, variables, network.url, network.md5)


def _convolutions(depths: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the block of each convolution, its number there, and its channels in and out."""
    n_in = 3
    for block, (depth, n_out) in enumerate(zip(depths, WIDTHS, strict=True), start=1):
        for number in range(1, depth + 1):
            yield block, number, n_in, n_out
            n_in = n_out


def _layers(depths: tuple[int, ...]) -> Iterator[dict[str, object]]:
    for block, number, _, n_out in _convolutions(depths):
        settings = {"name": f"block{block}_conv{number}", "filters": n_out, "kernel_size": [3, 3]}
        settings |= {"strides": [1, 1], "dilation_rate": [1, 1], "padding": "same", "groups": 1}
        yield {
            "class_name": "Conv2D",
            "config": settings | {"activation": "relu", "use_bias": True},
        }
        if number == depths[block - 1]:
            settings = {"name": f"block{block}_pool", "pool_size": [2, 2], "strides": [2, 2]}
            yield {"class_name": "MaxPooling2D", "config": settings | {"padding": "valid"}}


def _variables(depths: tuple[int, ...]) -> Iterator[tuple[str, list[Variable]]]:
    for block, number, n_in, n_out in _convolutions(depths):
        kernel = Variable("kernel", (3, 3, n_in, n_out), trainable=True, fan_in=9 * n_in)
        bias = Variable("bias", (n_out,), trainable=True)
        yield f"block{block}_conv{number}", [kernel, bias]
