"""Build a graph as a model of OpenVINO, in memory, for one image at a time."""

from collections.abc import Callable

import numpy as np

from pyimagesearch.nn.graph.node import Node, Part, put_together

ACTIVATIONS: dict[str, Callable] = {
    "relu": lambda op, x: op.relu(x),
    "clip": lambda op, x, low, high: op.clamp(x, low, high),
    "at_least": lambda op, x, low: op.maximum(x, np.float32(low)),
    "at_most": lambda op, x, high: op.minimum(x, np.float32(high)),
    "leaky_relu": lambda op, x, slope: op.prelu(x, np.array([slope], np.float32)),
    "elu": lambda op, x, alpha: op.elu(x, alpha),
    "selu": lambda op, x, alpha, scale: op.selu(x, np.float32(alpha), np.float32(scale)),
    "sigmoid": lambda op, x: op.sigmoid(x),
    "tanh": lambda op, x: op.tanh(x),
    "exp": lambda op, x: op.exp(x),
    "softplus": lambda op, x: op.softplus(x),
    "softsign": lambda op, x: op.softsign(x),
    "swish": lambda op, x: op.swish(x),
    "mish": lambda op, x: op.mish(x),
    "gelu": lambda op, x: op.gelu(x, "erf"),
    "gelu_tanh": lambda op, x: op.gelu(x, "tanh"),
    "hard_sigmoid": lambda op, x: op.hard_sigmoid(x, np.float32(1 / 6), np.float32(0.5)),
    "hard_swish": lambda op, x: op.hswish(x),
}
CHANNELS_AT_ONCE = 64  # of a kernel that is turned
TO_FIRST = {3: (2, 0, 1)}  # axes of an image's array when channels come first


def openvino_model(parts: list[Part]):
    """Return an ``openvino.Model`` that takes float32 (1, height, width, channels).

    It gives what the graph's output gives, with channels last. The list of the
    graph's parts is emptied, so that its arrays are never there twice.
    """
    import openvino

    builder = _Builder()
    for node in put_together(parts.pop(0) for _ in range(len(parts))):
        builder.add(node)
        node.arrays.clear()
    return openvino.Model([builder.last(node)], [builder.parameter], "network")


class _Builder:
    """Makes the operations, each with its channels where they cost least.

    OpenVINO has the channels of pixels first. An operation that needs them
    there asks for `first`, one that needs Keras's order for `last`, and any
    other takes them as they are: so few arrays are turned.
    """

    def __init__(self):
        import openvino.opset13 as op

        self.op = op
        self.parameter = None
        self._first: dict[Node, object] = {}
        self._last: dict[Node, object] = {}

    def first(self, node: Node):
        """Return the array of pixels that a node gives, as (1, channels, height, width)."""
        if node not in self._first:
            self._first[node] = self.op.transpose(self._last[node], np.array([0, 3, 1, 2]))
        return self._first[node]

    def last(self, node: Node):
        """Return the array that a node gives, as (1, ...) in Keras's order."""
        if node not in self._last:
            self._last[node] = self.op.transpose(self._first[node], np.array([0, 2, 3, 1]))
        return self._last[node]

    def add(self, node: Node) -> None:
        """Make the operation of a node, whose inputs have been made."""
        getattr(self, f"_{node.operation}")(node)

    def _input(self, node: Node) -> None:
        self.parameter = self.op.parameter([1, *node.shape], np.float32)
        self._last[node] = self.parameter

    def _constant(self, node: Node) -> None:
        self._last[node] = self.op.constant(_single(node.arrays["value"])[None])

    def _convolution(self, node: Node) -> None:
        a, groups = node.attributes, node.attributes["groups"]
        kernel = _channels_first(_single(node.arrays["kernel"]))  # (out, in, h, w)
        where = self._window(a)
        if groups > 1:
            kernel = kernel.reshape(groups, len(kernel) // groups, *kernel.shape[1:])
        convolve = self.op.group_convolution if groups > 1 else self.op.convolution
        y = convolve(self.first(node.inputs[0]), self._weights(kernel), *where)
        y = self._with_bias(node, y)
        if a["activation"]:
            kind, *parameters = a["activation"]
            y = ACTIVATIONS[kind](self.op, y, *parameters)
        self._first[node] = y

    def _deconvolution(self, node: Node) -> None:
        a = node.attributes
        kernel = _channels_first(_single(node.arrays["kernel"]))  # (in, out, h, w)
        strides, begin, end, dilation = self._window(a)
        added = [max(-n, 0) for n in end]
        y = self.op.convolution_backprop_data(
            self.first(node.inputs[0]),
            self._weights(kernel),
            strides,
            pads_begin=begin,
            pads_end=[max(n, 0) for n in end],
            dilations=dilation,
            output_padding=added,
        )
        self._first[node] = self._with_bias(node, y)

    def _dense(self, node: Node) -> None:
        kernel = self._weights(_single(node.arrays["kernel"]))
        y = self.op.matmul(self.last(node.inputs[0]), kernel, False, False)
        if "bias" in node.arrays:
            y = self.op.add(y, self._weights(_single(node.arrays["bias"])))
        self._last[node] = y

    def _affine(self, node: Node) -> None:
        (x,) = node.inputs
        values = self._values(x)
        rank = len(x.shape)
        y = values[x]
        if (node.arrays["scale"] != 1).any():
            y = self.op.multiply(y, self._broadcast(node.arrays["scale"], rank, values))
        if node.arrays["offset"].any():
            y = self.op.add(y, self._broadcast(node.arrays["offset"], rank, values))
        values[node] = y

    def _activation(self, node: Node) -> None:
        (x,), a = node.inputs, node.attributes
        values = self._values(x)
        values[node] = ACTIVATIONS[a["kind"]](self.op, values[x], *a["parameters"])

    def _prelu(self, node: Node) -> None:
        (x,) = node.inputs
        values = self._values(x)
        slope = self._broadcast(node.arrays["slope"], len(x.shape), values)
        negative = self.op.multiply(self.op.minimum(values[x], np.float32(0)), slope)
        values[node] = self.op.add(self.op.relu(values[x]), negative)

    def _merge(self, node: Node) -> None:
        values = self._values(*node.inputs)
        values[node] = getattr(self.op, node.operation)(*(values[x] for x in node.inputs))

    _add = _subtract = _multiply = _divide = _maximum = _minimum = _merge

    def _pool(self, node: Node) -> None:
        a, x = node.attributes, self.first(node.inputs[0])
        strides, begin, end = self._window({**a, "dilation": (1, 1)})[:3]
        size = list(a["size"])
        if a["kind"] == "max":
            self._first[node] = self.op.max_pool(x, strides, [1, 1], begin, end, size).output(0)
        else:
            counted = not a["counts_pads"]
            self._first[node] = self.op.avg_pool(x, strides, begin, end, size, counted)

    def _reduce(self, node: Node) -> None:
        a, (x,) = node.attributes, node.inputs
        reduce = {"avg": self.op.reduce_mean, "max": self.op.reduce_max}[a["kind"]]
        values = self._first if a["axes"] == (0, 1) and x in self._first else self._last
        axes = [2, 3] if values is self._first else [axis + 1 for axis in a["axes"]]
        given = self.first(x) if values is self._first else self.last(x)
        self._last[node] = reduce(given, np.array(axes), False)

    def _pad(self, node: Node) -> None:
        top, bottom, left, right = node.attributes["pads"]
        begin, end = np.array([0, 0, top, left]), np.array([0, 0, bottom, right])
        x = self.first(node.inputs[0])
        self._first[node] = self.op.pad(x, begin, end, "constant", np.float32(0))

    def _concatenate(self, node: Node) -> None:
        axis = node.attributes["axis"]
        values = self._values(*node.inputs)
        if values is self._first:
            axis = TO_FIRST[3].index(axis)
        values[node] = self.op.concat([values[x] for x in node.inputs], axis + 1)

    def _reshape(self, node: Node) -> None:
        (x,) = node.inputs
        if x.shape[:-1] == (1, 1) and x in self._first:  # no pixel changes its place
            given = self._first[x]
        else:
            given = self.last(x)
        if node.shape[:-1] == (1, 1):
            shape = np.array([1, node.shape[2], 1, 1])
            self._first[node] = self.op.reshape(given, shape, False)
        else:
            self._last[node] = self.op.reshape(given, np.array([1, *node.shape]), False)

    def _transpose(self, node: Node) -> None:
        order = np.array([0, *(axis + 1 for axis in node.attributes["order"])])
        self._last[node] = self.op.transpose(self.last(node.inputs[0]), order)

    def _slice(self, node: Node) -> None:
        (x,), a = node.inputs, node.attributes
        axes = range(len(x.shape))
        stops = [a["starts"][i] + (node.shape[i] - 1) * a["steps"][i] + 1 for i in axes]
        given = (self.last(x), np.array(a["starts"]), np.array(stops), np.array(a["steps"]))
        self._last[node] = self.op.slice(*given, np.array([axis + 1 for axis in axes]))

    def _normalize(self, node: Node) -> None:
        (x,), a = node.inputs, node.attributes
        values = self._values(x)
        order = TO_FIRST[3] if values is self._first else range(len(x.shape))
        axes = [list(order).index(axis) + 1 for axis in a["axes"]]
        y = self.op.mvn(values[x], np.array(axes), True, a["epsilon"], "inside_sqrt")
        values[node] = y

    def _softmax(self, node: Node) -> None:
        x = self.last(node.inputs[0])
        self._last[node] = self.op.softmax(x, node.attributes["axis"] + 1)

    def _resize(self, node: Node) -> None:
        kind = node.attributes["kind"]
        self._first[node] = self.op.interpolate(
            self.first(node.inputs[0]),
            np.array(node.shape[:2]),
            "nearest" if kind == "nearest" else "linear_onnx",
            "sizes",
            coordinate_transformation_mode="half_pixel",
            nearest_mode="round_prefer_ceil",
            axes=np.array([2, 3]),
        )

    def _einsum(self, node: Node) -> None:
        given = [self.last(x) for x in node.inputs]
        if "kernel" in node.arrays:
            given.append(self._weights(_single(node.arrays["kernel"])))
        self._last[node] = self.op.einsum(given, node.attributes["equation"])

    def _look_up(self, node: Node) -> None:
        table = _single(node.arrays["table"])
        no_row = np.full((1, table.shape[1]), np.nan, np.float32)
        rows = self._weights(np.concatenate([table, no_row]))  # number -1 is the last
        clamped = self.op.clamp(self.last(node.inputs[0]), -1.0, float(len(table)))
        self._last[node] = self.op.gather(rows, self.op.convert(clamped, np.int32), np.int32(0))

    def _values(self, *nodes: Node) -> dict[Node, object]:
        """Return where some arrays are in the same order, and will be from now on."""
        if any(node in self._first for node in nodes):
            for node in nodes:
                self.first(node)
            return self._first
        return self._last

    def _broadcast(self, array: np.ndarray, rank: int, values: dict):
        """Return a constant for arrays in the order of `values`."""
        array = _single(array)
        array = array.reshape((1,) * (rank - array.ndim) + array.shape)
        if values is self._first:
            array = array.transpose(TO_FIRST[3])
        return self._weights(array[None])

    def _with_bias(self, node: Node, y):
        if "bias" not in node.arrays:
            return y
        return self.op.add(y, self._weights(_single(node.arrays["bias"]).reshape(1, -1, 1, 1)))

    def _weights(self, array: np.ndarray):
        return self.op.constant(np.ascontiguousarray(array))

    @staticmethod
    def _window(attributes) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return the strides, the pads before and behind, and the dilation."""
        top, bottom, left, right = attributes["pads"]
        strides, dilation = (list(attributes[key]) for key in ("strides", "dilation"))
        return strides, [top, left], [bottom, right], dilation


def _channels_first(kernel: np.ndarray) -> np.ndarray:
    """Return a copy of (height, width, a, b) in the order (b, a, height, width).

    In parts that stay in the processor's cache, which takes half as long.
    """
    turned = kernel.transpose(3, 2, 0, 1)
    copy = np.empty(turned.shape, kernel.dtype)
    for start in range(0, copy.shape[1], CHANNELS_AT_ONCE):
        part = slice(start, start + CHANNELS_AT_ONCE)
        copy[:, part] = turned[:, part]
    return copy


def _single(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32)
