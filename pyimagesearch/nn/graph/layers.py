"""Translations of Keras's layers for images into operations.

Each takes a `Layer` and the nodes that it is called with, and returns the node
that stands for what the layer gives when it predicts. What it cannot translate
exactly it refuses with `NoTranslationError`.
"""

from collections.abc import Callable

import numpy as np

from pyimagesearch.nn.graph import operations
from pyimagesearch.nn.graph.activations import activate
from pyimagesearch.nn.graph.layer import Layer
from pyimagesearch.nn.graph.node import Node, NoTranslationError

KERAS_EPSILON = 1e-7  # keras.config.epsilon(), by default

Translation = Callable[..., Node]
LAYERS: dict[str, Translation] = {}


def translates(*kinds: str) -> Callable[[Translation], Translation]:
    """Register the translation of some kinds of layers."""

    def register(function: Translation) -> Translation:
        LAYERS.update(dict.fromkeys(kinds, function))
        return function

    return register


@translates("Conv2D")
def conv_2d(layer: Layer, x: Node) -> Node:
    groups, n_out = layer["groups"], layer["filters"]
    _require_pixels(x)
    kernel = layer.take(*layer["kernel_size"], x.shape[2] // groups, n_out)
    where = (layer["strides"], layer["dilation_rate"], layer["padding"], groups)
    y = operations.convolution(x, kernel, _bias(layer, n_out), *where)
    return activate(y, layer["activation"])


@translates("DepthwiseConv2D")
def depthwise_conv_2d(layer: Layer, x: Node) -> Node:
    kernel = _depthwise_kernel(layer, x)
    y = _depthwise(layer, x, kernel, _bias(layer, kernel.shape[3]))
    return activate(y, layer["activation"])


@translates("SeparableConv2D")
def separable_conv_2d(layer: Layer, x: Node) -> Node:
    y = _depthwise(layer, x, _depthwise_kernel(layer, x), None)
    n_out = layer["filters"]
    kernel = layer.take(1, 1, y.shape[2], n_out)
    return activate(operations.convolution(y, kernel, _bias(layer, n_out)), layer["activation"])


@translates("Conv2DTranspose")
def conv_2d_transpose(layer: Layer, x: Node) -> Node:
    _require_pixels(x)
    n_out = layer["filters"]
    kernel = layer.take(*layer["kernel_size"], n_out, x.shape[2])
    where = (layer["strides"], layer["dilation_rate"], layer["padding"], layer["output_padding"])
    y = operations.deconvolution(x, kernel, _bias(layer, n_out), *where)
    return activate(y, layer["activation"])


@translates("Dense")
def dense(layer: Layer, x: Node) -> Node:
    n_out = layer["units"]
    kernel = layer.take(x.shape[-1], n_out)
    return activate(operations.dense(x, kernel, _bias(layer, n_out)), layer["activation"])


@translates("BatchNormalization")
def batch_normalization(layer: Layer, x: Node) -> Node:
    n = _length_of_last_axis(layer, x)
    gamma = layer.take(n) if layer["scale"] else 1.0
    beta = layer.take(n) if layer["center"] else 0.0
    mean, variance = (layer.take(n).astype(np.float64) for _ in range(2))
    scale = gamma / np.sqrt(variance + layer["epsilon"])
    return operations.affine(x, scale, beta - mean * scale)


@translates("LayerNormalization")
def layer_normalization(layer: Layer, x: Node) -> Node:
    if layer.config.get("rms_scaling"):
        raise NoTranslationError("rms_scaling")
    given = layer["axis"] if isinstance(layer["axis"], list) else [layer["axis"]]
    axes = sorted(_axis(axis, x) for axis in given)
    normal = operations.normalize(x, axes, layer["epsilon"])
    lengths = [x.shape[axis] for axis in axes]
    gamma = layer.take(*lengths) if layer["scale"] else np.float32(1)
    beta = layer.take(*lengths) if layer["center"] else np.float32(0)
    across = [n if axis in axes else 1 for axis, n in enumerate(x.shape)]
    return operations.affine(
        normal, *(value.reshape(across) if value.shape else value for value in (gamma, beta))
    )


@translates("GroupNormalization")
def group_normalization(layer: Layer, x: Node) -> Node:
    n = _length_of_last_axis(layer, x)
    groups = n if layer["groups"] == -1 else layer["groups"]
    parted = operations.reshape(x, (*x.shape[:-1], groups, n // groups))
    axes = [axis for axis in range(len(parted.shape)) if axis != len(x.shape) - 1]
    normal = operations.reshape(operations.normalize(parted, axes, layer["epsilon"]), x.shape)
    gamma = layer.take(n) if layer["scale"] else 1.0
    beta = layer.take(n) if layer["center"] else 0.0
    return operations.affine(normal, gamma, beta)


@translates("Normalization")
def normalization(layer: Layer, x: Node) -> Node:
    axes = layer["axis"]
    axes = [] if axes is None else axes if isinstance(axes, list | tuple) else [axes]
    kept = {_axis(axis, x) for axis in axes}
    across = [n if axis in kept else 1 for axis, n in enumerate(x.shape)]
    if layer["mean"] is None:
        lengths = [n for axis, n in enumerate(x.shape) if axis in kept]
        mean, variance = layer.take(*lengths), layer.take(*lengths)
        layer.take()  # how many images were seen
    else:
        mean, variance = (np.asarray(layer[key], np.float64) for key in ("mean", "variance"))
    mean, variance = (
        np.broadcast_to(np.asarray(value, np.float64).reshape(-1), np.prod(across)).reshape(across)
        for value in (mean, variance)
    )
    deviation = np.maximum(np.sqrt(variance), KERAS_EPSILON)
    if layer["invert"]:
        return operations.affine(x, deviation, mean)
    return operations.affine(x, 1 / deviation, -mean / deviation)


@translates("Rescaling")
def rescaling(layer: Layer, x: Node) -> Node:
    return operations.affine(x, layer["scale"], layer["offset"])


@translates("LayerScale")  # of ConvNeXt
def layer_scale(layer: Layer, x: Node) -> Node:
    return operations.affine(x, layer.take(layer["projection_dim"]), 0.0)


@translates("CustomScaleLayer")  # of InceptionResNetV2
def custom_scale_layer(layer: Layer, values: list[Node]) -> Node:
    first, second = values
    return operations.merge("add", first, operations.affine(second, layer["scale"], 0.0))


@translates("Activation")
def activation(layer: Layer, x: Node) -> Node:
    return activate(x, layer["activation"])


@translates("ReLU")
def relu(layer: Layer, x: Node) -> Node:
    slope, most = layer["negative_slope"], layer["max_value"]
    if layer["threshold"] or (slope and most is not None):
        raise NoTranslationError("a threshold, or a slope beside a maximum")
    if most is not None:
        return operations.activation(x, "clip", 0.0, float(most))
    if slope:
        return operations.activation(x, "leaky_relu", float(slope))
    return operations.activation(x, "relu")


@translates("LeakyReLU")
def leaky_relu(layer: Layer, x: Node) -> Node:
    return operations.activation(x, "leaky_relu", float(layer["negative_slope"]))


@translates("ELU")
def elu(layer: Layer, x: Node) -> Node:
    return operations.activation(x, "elu", float(layer["alpha"]))


@translates("PReLU")
def prelu(layer: Layer, x: Node) -> Node:
    shared = [axis - 1 for axis in layer["shared_axes"] or ()]  # they count the batch as 0
    return operations.prelu(
        x, layer.take(*(1 if axis in shared else n for axis, n in enumerate(x.shape)))
    )


@translates("Softmax")
def softmax(layer: Layer, x: Node) -> Node:
    if isinstance(layer["axis"], list):
        raise NoTranslationError(f"axis {layer['axis']}")
    return operations.softmax(x, _axis(layer["axis"], x))


@translates("MaxPooling2D", "AveragePooling2D")
def pooling_2d(layer: Layer, x: Node, kind: str) -> Node:
    _require_pixels(x)
    size = layer["pool_size"]
    return operations.pool(x, kind, size, layer["strides"] or size, layer["padding"])


@translates("GlobalMaxPooling2D", "GlobalAveragePooling2D")
def global_pooling_2d(layer: Layer, x: Node, kind: str) -> Node:
    _require_pixels(x)
    return operations.reduce(x, kind, (0, 1), layer["keepdims"])


@translates("GlobalMaxPooling1D", "GlobalAveragePooling1D")
def global_pooling_1d(layer: Layer, x: Node, kind: str) -> Node:
    if len(x.shape) != 2:
        raise NoTranslationError(f"an array of {x.shape}")
    return operations.reduce(x, kind, (0,), layer["keepdims"])


for _kind, _reduction in (("Max", "max"), ("Average", "avg")):
    for _name in (f"{_kind}Pooling2D", f"Global{_kind}Pooling2D", f"Global{_kind}Pooling1D"):
        LAYERS[_name] = lambda layer, x, way=LAYERS[_name], kind=_reduction: way(layer, x, kind)


def _merging(operation: str) -> Translation:
    def merging(layer: Layer, values: list[Node]) -> Node:
        merged = values[0]
        for value in values[1:]:
            merged = operations.merge(operation, merged, value)
        return merged

    return merging


LAYERS |= {
    kind: _merging(kind.lower()) for kind in ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
}


@translates("Average")
def average(layer: Layer, values: list[Node]) -> Node:
    return operations.affine(_merging("add")(layer, values), 1 / len(values), 0.0)


@translates("Concatenate")
def concatenate(layer: Layer, values: list[Node]) -> Node:
    return operations.concatenate(values, _axis(layer["axis"], values[0]))


@translates("ZeroPadding2D")
def zero_padding_2d(layer: Layer, x: Node) -> Node:
    _require_pixels(x)
    return operations.pad(x, [n for pair in layer["padding"] for n in pair])


@translates("Cropping2D")
def cropping_2d(layer: Layer, x: Node) -> Node:
    _require_pixels(x)
    return operations.pad(x, [-n for pair in layer["cropping"] for n in pair])


@translates("CenterCrop")
def center_crop(layer: Layer, x: Node) -> Node:
    _require_pixels(x)
    spare = [x.shape[axis] - layer[key] for axis, key in enumerate(("height", "width"))]
    if min(spare) < 0:
        raise NoTranslationError(f"pixels of {x.shape[:2]}, which it would enlarge")
    return operations.pad(x, [-n for each in spare for n in (each // 2, each - each // 2)])


@translates("Resizing")
def resizing(layer: Layer, x: Node) -> Node:
    _require_pixels(x)
    others = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")
    if any(layer.config.get(key) for key in others):
        raise NoTranslationError(f"one of {', '.join(others)}")
    return _resize(x, layer["interpolation"], (layer["height"], layer["width"]))


@translates("UpSampling2D")
def up_sampling_2d(layer: Layer, x: Node) -> Node:
    _require_pixels(x)
    size = [n * times for n, times in zip(x.shape[:2], layer["size"], strict=True)]
    return _resize(x, layer["interpolation"], size)


@translates("Flatten")
def flatten(layer: Layer, x: Node) -> Node:
    return operations.reshape(x, (-1,))


@translates("Reshape")
def reshape(layer: Layer, x: Node) -> Node:
    return operations.reshape(x, layer["target_shape"])


@translates("Permute")
def permute(layer: Layer, x: Node) -> Node:
    return operations.transpose(x, [axis - 1 for axis in layer["dims"]])  # the batch is 0


@translates("RepeatVector")
def repeat_vector(layer: Layer, x: Node) -> Node:
    return operations.concatenate([operations.reshape(x, (1, *x.shape))] * layer["n"], 0)


@translates("EinsumDense")
def einsum_dense(layer: Layer, x: Node) -> Node:
    equation = layer["equation"].replace(" ", "")
    given, _, output = equation.partition("->")
    letters, kernel_letters = given.split(",")
    # The kernel gives the lengths that the image does not: of axes that only it has.
    lengths = dict(zip(letters[1:], x.shape, strict=False))
    shape = layer["output_shape"]
    shape = [shape] if isinstance(shape, int) else shape
    lengths |= {letter: n for letter, n in zip(output[1:], shape, strict=False) if n is not None}
    if "." in equation or not set(kernel_letters) <= lengths.keys():
        raise NoTranslationError(f"equation {equation}")
    kernel = layer.take(*(lengths[letter] for letter in kernel_letters))
    y = operations.einsum(equation, x, kernel)
    if bias_axes := layer["bias_axes"]:
        bias = layer.take(*(lengths[letter] for letter in output if letter in bias_axes))
        across = [lengths[letter] if letter in bias_axes else 1 for letter in output[1:]]
        y = operations.affine(y, 1.0, bias.reshape(across))
    return activate(y, layer["activation"])


@translates("Embedding")
def embedding(layer: Layer, x: Node) -> Node:
    if layer["mask_zero"]:
        raise NoTranslationError("mask_zero")
    return operations.look_up(x, layer.take(layer["input_dim"], layer["output_dim"]))


@translates("MultiHeadAttention")
def multi_head_attention(layer: Layer, query: Node, value: Node, key: Node | None = None) -> Node:
    """Attend as Vaswani et al. do, "Attention is all you need", NIPS 2017."""
    for setting in ("output_shape", "attention_axes", "use_gate", "sliding_window"):
        if layer.config.get(setting) not in (None, False, [1]):
            raise NoTranslationError(f"{setting} {layer[setting]}")
    heads, width = layer["num_heads"], layer["key_dim"]
    depth = layer["value_dim"] or width

    def project(x: Node, name: str, n: int) -> Node:
        part = layer.part(name)
        y = operations.einsum("btc,chd->bthd", x, part.take(x.shape[-1], heads, n))
        if layer["use_bias"]:
            y = operations.affine(y, 1.0, part.take(heads, n))
        part.require_all_taken()
        return y

    given = project(query, "query_dense", width)
    keys = project(value if key is None else key, "key_dense", width)
    values = project(value, "value_dense", depth)
    given = operations.affine(given, 1 / np.sqrt(width), 0.0)
    scores = operations.softmax(operations.einsum("bshd,bthd->bhts", keys, given), 2)
    y = operations.einsum("bhts,bshd->bthd", scores, values)
    part = layer.part("output_dense")
    n_out = query.shape[-1]
    y = operations.einsum("bthd,hdc->btc", y, part.take(heads, depth, n_out))
    if layer["use_bias"]:
        y = operations.affine(y, 1.0, part.take(n_out))
    part.require_all_taken()
    return y


@translates(
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "StochasticDepth",  # of ConvNeXt
)
def only_while_training(layer: Layer, x: Node) -> Node:
    """Pass on what is given: the layer does something to it in training only."""
    return x


def _bias(layer: Layer, n_out: int) -> np.ndarray | None:
    return layer.take(n_out) if layer["use_bias"] else None


def _depthwise_kernel(layer: Layer, x: Node) -> np.ndarray:
    """Return a kernel (height, width, 1, channels * multiplier)."""
    _require_pixels(x)
    kernel = layer.take(*layer["kernel_size"], x.shape[2], layer["depth_multiplier"])
    return kernel.reshape(*kernel.shape[:2], 1, -1)


def _depthwise(layer: Layer, x: Node, kernel: np.ndarray, bias: np.ndarray | None) -> Node:
    where = (layer["strides"], layer["dilation_rate"], layer["padding"], x.shape[2])
    return operations.convolution(x, kernel, bias, *where)


def _resize(x: Node, kind: str, size: list[int]) -> Node:
    if kind not in ("nearest", "bilinear"):
        raise NoTranslationError(f"interpolation '{kind}'")
    return operations.resize(x, kind, size)


def _require_pixels(x: Node) -> None:
    if len(x.shape) != 3:
        raise NoTranslationError(f"an array of {x.shape}")


def _length_of_last_axis(layer: Layer, x: Node) -> int:
    axes = layer["axis"] if isinstance(layer["axis"], list) else [layer["axis"]]
    if [_axis(axis, x) for axis in axes] != [len(x.shape) - 1]:
        raise NoTranslationError(f"axis {layer['axis']}")
    return x.shape[-1]


def _axis(axis: int, x: Node) -> int:
    """Return an axis of one image's array for Keras's, which counts the batch as 0."""
    axis = axis - 1 if axis > 0 else axis + len(x.shape)
    if not 0 <= axis < len(x.shape):
        raise NoTranslationError("an axis that is the batch's, or does not exist")
    return axis
