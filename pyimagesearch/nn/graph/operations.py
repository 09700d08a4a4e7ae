"""Make nodes: each function knows what shape its operation gives."""

import math
from collections.abc import Sequence

import numpy as np

from pyimagesearch.nn.graph.node import Node, NoTranslationError

NO_PADS = (0, 0, 0, 0)
Pair = Sequence[int]  # of rows and of columns


def image(shape: tuple[int, ...]) -> Node:
    """Stand for the image that a network takes."""
    return Node("input", (), shape)


def constant(value: np.ndarray) -> Node:
    """Stand for an array that is the same for all images."""
    return Node("constant", (), value.shape, arrays={"value": value})


def convolution(
    x: Node,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair = (1, 1),
    dilation: Pair = (1, 1),
    padding: str = "valid",
    groups: int = 1,
) -> Node:
    """Convolve pixels with a kernel (height, width, in / groups, out)."""
    size, pads = window(x.shape[:2], kernel.shape[:2], strides, dilation, padding)
    attributes = {"strides": tuple(strides), "dilation": tuple(dilation), "pads": pads}
    attributes |= {"groups": groups, "activation": None}
    shape = (*size, kernel.shape[3])
    return Node("convolution", (x,), shape, attributes, _with_bias(kernel, bias))


def deconvolution(
    x: Node,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    dilation: Pair,
    padding: str,
    output_padding: Pair | None,
) -> Node:
    """Do what a convolution's gradient does; the kernel is (height, width, out, in)."""
    size, pads = [], []
    for axis in range(2):
        extent = (kernel.shape[axis] - 1) * dilation[axis] + 1
        whole = (x.shape[axis] - 1) * strides[axis] + extent
        added = None if output_padding is None else output_padding[axis]
        if padding == "valid":
            n_out, before = whole + (max(strides[axis] - extent, 0) if added is None else added), 0
        else:
            if added is None:
                n_out = x.shape[axis] * strides[axis]
            else:
                n_out = (x.shape[axis] - 1) * strides[axis] + extent % 2 + added
            before = max(whole - n_out, 0) // 2
        size.append(n_out)
        pads += [before, whole - before - n_out]
    attributes = {"strides": tuple(strides), "dilation": tuple(dilation), "pads": tuple(pads)}
    shape = (*size, kernel.shape[2])
    return Node("deconvolution", (x,), shape, attributes, _with_bias(kernel, bias))


def dense(x: Node, kernel: np.ndarray, bias: np.ndarray | None) -> Node:
    """Multiply the last axis with a kernel (in, out)."""
    if len(x.shape) == 3:  # of pixels, which a convolution does faster
        return convolution(x, kernel[None, None], bias)
    return Node("dense", (x,), (*x.shape[:-1], kernel.shape[1]), arrays=_with_bias(kernel, bias))


def affine(x: Node, scale: object, offset: object) -> Node:
    """Multiply with a scale, then add an offset; both are broadcast, in double precision."""
    arrays = {"scale": np.asarray(scale, np.float64), "offset": np.asarray(offset, np.float64)}
    for name, array in arrays.items():
        if np.broadcast_shapes(array.shape, x.shape) != x.shape:
            raise NoTranslationError(f"{name} of {array.shape} for an array of {x.shape}")
    return Node("affine", (x,), x.shape, arrays=arrays)


def activation(x: Node, kind: str, *parameters: float) -> Node:
    """Apply a function to each number."""
    return Node("activation", (x,), x.shape, {"kind": kind, "parameters": parameters})


def prelu(x: Node, slope: np.ndarray) -> Node:
    """Multiply negative numbers with a slope of their own."""
    return Node("prelu", (x,), x.shape, arrays={"slope": slope})


def merge(operation: str, first: Node, second: Node) -> Node:
    """Combine two arrays number by number."""
    if len(first.shape) != len(second.shape):
        raise NoTranslationError(f"{operation} of arrays of {first.shape} and {second.shape}")
    return Node(operation, (first, second), np.broadcast_shapes(first.shape, second.shape))


def pool(x: Node, kind: str, size: Pair, strides: Pair, padding: str) -> Node:
    """Take the maximum (``"max"``) or mean (``"avg"``) of each window of pixels."""
    shape, pads = window(x.shape[:2], size, strides, (1, 1), padding)
    attributes = {"kind": kind, "size": tuple(size), "strides": tuple(strides), "pads": pads}
    return Node("pool", (x,), (*shape, x.shape[2]), {**attributes, "counts_pads": False})


def reduce(x: Node, kind: str, axes: Sequence[int], keepdims: bool = False) -> Node:
    """Take the maximum (``"max"``) or mean (``"avg"``) over whole axes."""
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    reduced = Node("reduce", (x,), shape, {"kind": kind, "axes": tuple(axes)})
    if not keepdims:
        return reduced
    return reshape(reduced, tuple(1 if axis in axes else n for axis, n in enumerate(x.shape)))


def pad(x: Node, pads: Sequence[int]) -> Node:
    """Put zeros around pixels, or crop them where a number is negative."""
    top, bottom, left, right = pads
    height, width, channels = x.shape
    shape = (height + top + bottom, width + left + right, channels)
    if min(shape) < 1:
        raise NoTranslationError(f"pads {tuple(pads)} for an array of {x.shape}")
    return Node("pad", (x,), shape, {"pads": tuple(pads)})


def concatenate(values: Sequence[Node], axis: int) -> Node:
    """Join arrays along an axis."""
    first = values[0].shape
    for other in (value.shape for value in values):
        if other[:axis] != first[:axis] or other[axis + 1 :] != first[axis + 1 :]:
            raise NoTranslationError(f"Concatenate of arrays of {first} and {other}")
    length = sum(value.shape[axis] for value in values)
    shape = (*first[:axis], length, *first[axis + 1 :])
    return Node("concatenate", tuple(values), shape, {"axis": axis})


def reshape(x: Node, shape: Sequence[int]) -> Node:
    """Give the numbers another shape, one axis of which may be -1."""
    shape, n_numbers = list(shape), math.prod(x.shape)
    if -1 in shape:
        shape[shape.index(-1)] = n_numbers // -math.prod(shape)
    if math.prod(shape) != n_numbers:
        raise NoTranslationError(f"Reshape of an array of {x.shape} to {tuple(shape)}")
    return x if tuple(shape) == x.shape else Node("reshape", (x,), tuple(shape))


def transpose(x: Node, order: Sequence[int]) -> Node:
    """Put the axes into another order."""
    shape = tuple(x.shape[axis] for axis in order)
    return Node("transpose", (x,), shape, {"order": tuple(order)})


def slice_of(x: Node, starts: Sequence[int], shape: Sequence[int], steps: Sequence[int]) -> Node:
    """Keep some places along each axis."""
    return Node("slice", (x,), tuple(shape), {"starts": tuple(starts), "steps": tuple(steps)})


def normalize(x: Node, axes: Sequence[int], epsilon: float) -> Node:
    """Give mean 0 and variance 1 over some axes."""
    return Node("normalize", (x,), x.shape, {"axes": tuple(axes), "epsilon": epsilon})


def softmax(x: Node, axis: int) -> Node:
    """Turn scores into shares of 1 along an axis."""
    return Node("softmax", (x,), x.shape, {"axis": axis})


def resize(x: Node, kind: str, size: Pair) -> Node:
    """Scale pixels: ``"nearest"`` or ``"bilinear"``, their centres half a pixel from the edge."""
    return Node("resize", (x,), (*size, x.shape[2]), {"kind": kind})


def einsum(equation: str, *values: Node | np.ndarray) -> Node:
    """Sum products after an equation without dots, of arrays with the batch as first axis.

    The last of the values may be a kernel, which has no batch.
    """
    terms, _, output = equation.partition("->")
    lengths: dict[str, int] = {}
    for term, value in zip(terms.split(","), values, strict=True):
        shape = value.shape if isinstance(value, np.ndarray) else (1, *value.shape)
        if len(term) != len(shape) or not term.isalpha():
            raise NoTranslationError(f"equation {equation} with an array of {shape}")
        for letter, n in zip(term, shape, strict=True):
            if lengths.setdefault(letter, n) != n:
                raise NoTranslationError(f"equation {equation} with an array of {shape}")
    shape = tuple(lengths[letter] for letter in output[1:])
    nodes = tuple(value for value in values if isinstance(value, Node))
    kernels = [value for value in values if isinstance(value, np.ndarray)]
    arrays = {"kernel": kernels[0]} if kernels else {}
    return Node("einsum", nodes, shape, {"equation": equation}, arrays)


def look_up(x: Node, table: np.ndarray) -> Node:
    """Put a row of a table in the place of each number."""
    return Node("look_up", (x,), (*x.shape, table.shape[1]), arrays={"table": table})


def window(
    shape: Pair, size: Pair, strides: Pair, dilation: Pair, padding: str
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Return how many rows and columns a sliding window gives, and the pads around its pixels."""
    if padding not in ("same", "valid"):
        raise NoTranslationError(f"padding '{padding}'")
    n_out, pads = [], []
    for n, k, stride, step in zip(shape, size, strides, dilation, strict=True):
        extent = (k - 1) * step + 1
        if padding == "same":  # as many pixels before as behind, one more behind if need be
            n_out.append(-(-n // stride))
            total = max((n_out[-1] - 1) * stride + extent - n, 0)
            pads += [total // 2, total - total // 2]
        else:
            n_out.append((n - extent) // stride + 1)
            pads += [0, 0]
    if min(n_out) < 1:
        raise NoTranslationError(f"a window of {tuple(size)} on pixels of {tuple(shape)}")
    return tuple(n_out), tuple(pads)


def _with_bias(kernel: np.ndarray, bias: np.ndarray | None) -> dict[str, np.ndarray]:
    return {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}
