"""Translations of the functions of ``keras.ops`` that a functional network may hold.

Each takes its settings, and what it is called with: nodes, and numbers. Axes
are Keras's, with the batch as the first.
"""

from collections.abc import Callable, Mapping

import numpy as np

from pyimagesearch.nn.graph import operations
from pyimagesearch.nn.graph.activations import activate
from pyimagesearch.nn.graph.node import Node, NoTranslationError

Settings = Mapping[str, object]
Constant = np.ndarray | np.float64
Operand = Node | np.ndarray | float
OPERATIONS: dict[str, Callable[..., Node]] = {}


def translates(*kinds: str) -> Callable:
    """Register the translation of some functions."""

    def register(function: Callable) -> Callable:
        OPERATIONS.update(dict.fromkeys(kinds, function))
        return function

    return register


def _arithmetic(operation: str, with_constant: Callable[[Node, Constant], Node]) -> Callable:
    def translated(settings: Settings, first: Operand, second: Operand) -> Node:
        if isinstance(first, Node) and isinstance(second, Node):
            return operations.merge(operation, first, second)
        if isinstance(first, Node):
            return with_constant(first, _constant(second, first))
        if operation == "divide":
            raise NoTranslationError("a constant divided by an array")
        if operation == "subtract":
            return operations.affine(second, -1.0, _constant(first, second))
        return with_constant(second, _constant(first, second))

    return translated


OPERATIONS |= {
    "Add": _arithmetic("add", lambda x, n: operations.affine(x, 1.0, n)),
    "Subtract": _arithmetic("subtract", lambda x, n: operations.affine(x, 1.0, -n)),
    "Multiply": _arithmetic("multiply", lambda x, n: operations.affine(x, n, 0.0)),
    "TrueDivide": _arithmetic("divide", lambda x, n: operations.affine(x, 1 / n, 0.0)),
    "Maximum": _arithmetic("maximum", lambda x, n: operations.activation(x, "at_least", float(n))),
    "Minimum": _arithmetic("minimum", lambda x, n: operations.activation(x, "at_most", float(n))),
}
OPERATIONS["Divide"] = OPERATIONS["TrueDivide"]

for _kind, _name in {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Exp": "exponential",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Silu": "silu",
    "Mish": "mish",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
}.items():
    OPERATIONS[_kind] = lambda settings, x, name=_name: activate(x, name)


@translates("Gelu")
def gelu(settings: Settings, x: Node) -> Node:
    return operations.activation(x, "gelu_tanh" if settings["approximate"] else "gelu")


@translates("Negative")
def negative(settings: Settings, x: Node) -> Node:
    return operations.affine(x, -1.0, 0.0)


@translates("Clip")
def clip(settings: Settings, x: Node) -> Node:
    limits = _number(settings["x_min"]), _number(settings["x_max"])
    return operations.activation(x, "clip", *limits)


@translates("Softmax")
def softmax(settings: Settings, x: Node) -> Node:
    return operations.softmax(x, _axis(settings["axis"], x))


@translates("Mean", "Max")
def reduction(settings: Settings, x: Node, kind: str) -> Node:
    if settings.get("initial") is not None:
        raise NoTranslationError(f"initial {settings['initial']}")
    axes = settings["axis"]
    axes = axes if isinstance(axes, list | tuple) else [axes]
    axes = [_axis(axis, x) for axis in axes]
    return operations.reduce(x, kind, axes, settings["keepdims"])


for _kind, _name in (("Mean", "avg"), ("Max", "max")):
    OPERATIONS[_kind] = lambda settings, x, kind=_name: reduction(settings, x, kind)


@translates("Concatenate")
def concatenate(settings: Settings, values: list[Node]) -> Node:
    return operations.concatenate(values, _axis(settings["axis"], values[0]))


@translates("Reshape")
def reshape(settings: Settings, x: Node) -> Node:
    batch, *shape = settings["newshape"]
    if batch not in (None, -1) or None in shape:
        raise NoTranslationError(f"newshape {settings['newshape']}")
    return operations.reshape(x, shape)


@translates("Transpose")
def transpose(settings: Settings, x: Node) -> Node:
    axes = settings["axes"]
    if not axes or axes[0] != 0:
        raise NoTranslationError(f"axes {axes}")
    return operations.transpose(x, [axis - 1 for axis in axes[1:]])


@translates("ExpandDims")
def expand_dims(settings: Settings, x: Node) -> Node:
    axis = settings["axis"]
    if not isinstance(axis, int):
        raise NoTranslationError(f"axis {axis}")
    axis = axis - 1 if axis > 0 else axis + len(x.shape) + 1
    if axis < 0:
        raise NoTranslationError("an axis before the batch's")
    return operations.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


@translates("Squeeze")
def squeeze(settings: Settings, x: Node) -> Node:
    if not isinstance(settings["axis"], int):
        raise NoTranslationError(f"axis {settings['axis']}")
    axis = _axis(settings["axis"], x)
    return operations.reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


@translates("Matmul")
def matmul(settings: Settings, first: Node, second: Node) -> Node:
    if (len(first.shape), len(second.shape)) != (2, 2):
        raise NoTranslationError(f"arrays of {first.shape} and {second.shape}")
    return operations.einsum("bij,bjk->bik", first, second)


@translates("GetItem")
def get_item(settings: Settings, x: Node, key: object) -> Node:
    """Take part of an array: whole numbers, slices and ``...``, but for the batch."""
    key = list(key) if isinstance(key, list | tuple) else [key]
    if any(each is None or isinstance(each, Node) for each in key):
        raise NoTranslationError("an index that is neither a number nor a slice")
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key[at : at + 1] = [slice(None)] * (len(x.shape) + 1 - (len(key) - 1))
    key += [slice(None)] * (len(x.shape) + 1 - len(key))
    if key[0] != slice(None) or len(key) != len(x.shape) + 1:
        raise NoTranslationError("an index of the batch")
    starts, steps, kept, shape = [], [], [], []
    for each, n in zip(key[1:], x.shape, strict=True):
        places = range(n)[each] if isinstance(each, slice) else range(n)[each : each + 1 or None]
        if not places or places.step < 1:
            raise NoTranslationError(f"an index {each} of {n}")
        starts.append(places.start)
        steps.append(places.step)
        kept.append(len(places))
        shape += [len(places)] if isinstance(each, slice) else []
    return operations.reshape(operations.slice_of(x, starts, kept, steps), shape)


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise NoTranslationError(f"an operand {type(value).__name__}")
    return float(value)


def _constant(value: object, x: Node) -> Constant:
    """Return what an array is combined with: a number, or the same array for all images."""
    if not isinstance(value, np.ndarray):
        return np.float64(_number(value))
    if value.ndim == len(x.shape) + 1 and len(value) == 1:  # its axis of the batch
        value = value[0]
    return value.astype(np.float64)


def _axis(axis: object, x: Node) -> int:
    if not isinstance(axis, int):
        raise NoTranslationError(f"axis {axis}")
    axis = axis - 1 if axis > 0 else axis + len(x.shape)
    if not 0 <= axis < len(x.shape):
        raise NoTranslationError("an axis that is the batch's, or does not exist")
    return axis
