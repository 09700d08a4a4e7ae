"""A network that is a plain chain of convolutions and poolings, as arrays."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Convolution:
    """A convolution with stride 1, and the ReLU behind it.

    Attributes
    ----------
    kernel : ndarray of float32, shape (height, width, n_in, n_out)
    bias : ndarray of float32, shape (n_out,)
    padding : int
        Zeros on each side, in pixels.
    relu : bool
        Whether negative outputs become 0.
    """

    kernel: np.ndarray
    bias: np.ndarray
    padding: int
    relu: bool

    def shape_after(self, height: int, width: int, n_channels: int) -> tuple[int, int, int]:
        """Return the shape that it gives for that of its input."""
        grows = 2 * self.padding - self.kernel.shape[0] + 1
        return height + grows, width + grows, self.kernel.shape[3]


@dataclass(frozen=True)
class MaxPooling:
    """A pooling that keeps the largest of each `size` x `size` square."""

    size: int

    def shape_after(self, height: int, width: int, n_channels: int) -> tuple[int, int, int]:
        """Return the shape that it gives for that of its input."""
        return height // self.size, width // self.size, n_channels


Layer = Convolution | MaxPooling
Chain = dict[str, Layer]  # in the order of computation, by name


def shapes(chain: Chain, size: tuple[int, int]) -> dict[str, tuple[int, int, int]]:
    """Return what each layer gives, as (height, width, channels), for pictures of a size."""
    shape, found = (*size, 3), {}
    for name, layer in chain.items():
        shape = found[name] = layer.shape_after(*shape)
    return found


def cut(chain: Chain, layer: str) -> Chain:
    """Keep a chain up to and with one of its layers."""
    names = list(chain)
    return {name: chain[name] for name in names[: names.index(layer) + 1]}


def plain_chain(model) -> Chain | None:
    """Take a Keras network apart, if it is a chain of simple layers.

    Parameters
    ----------
    model : keras.Model
        The network, with its weights.

    Returns
    -------
    dict of str to Convolution or MaxPooling, or None
        The layers in order; None if there is any other kind of layer, or the
        network branches.
    """
    import keras

    first, *layers = model.layers
    if not isinstance(first, keras.layers.InputLayer):
        return None
    chain, previous = {}, first
    for layer in layers:
        link = _link(layer)
        if link is None or layer.input is not previous.output:
            return None
        chain[layer.name] = link
        previous = layer
    return chain


def _link(layer) -> Layer | None:
    import keras

    if type(layer) is keras.layers.Conv2D:
        return _convolution(layer)
    if type(layer) is keras.layers.MaxPooling2D:
        size = layer.pool_size[0]
        plain = (
            layer.pool_size == layer.strides == (size, size)
            and layer.padding == "valid"
            and layer.data_format == "channels_last"
        )
        return MaxPooling(size) if plain else None
    return None


def _convolution(layer) -> Convolution | None:
    size = layer.kernel_size[0]
    plain = (
        layer.kernel_size == (size, size)
        and layer.strides == layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.use_bias
        and layer.activation.__name__ in ("relu", "linear")
        and layer.data_format == "channels_last"
        and layer.compute_dtype == "float32"
        and (layer.padding == "valid" or (layer.padding == "same" and size % 2 == 1))
    )
    if not plain:
        return None
    kernel, bias = layer.get_weights()
    padding = size // 2 if layer.padding == "same" else 0
    return Convolution(kernel, bias, padding, relu=layer.activation.__name__ == "relu")
