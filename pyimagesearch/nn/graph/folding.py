"""Fold operations into their neighbours: the same numbers, but for rounding, in fewer steps.

Batch normalisation and scales go into the convolutions before or behind them,
in double precision; activations and zeros around the pixels become part of what
they belong to.
"""

from collections import Counter

import numpy as np

from pyimagesearch.nn.graph.activations import NEVER_NEGATIVE
from pyimagesearch.nn.graph.node import Graph, Node

WITH_KERNEL = ("convolution", "dense")


def fold(graph: Graph) -> Graph:
    """Return a graph that computes the same in fewer operations."""
    n_users = Counter(x for node in graph.nodes for x in set(node.inputs))
    folded: dict[Node, Node] = {}
    for node in graph.nodes:
        # A node goes into the one that it takes from only if nothing else takes from that.
        alone = bool(node.inputs) and n_users[node.inputs[0]] == 1
        node_now = node.but(inputs=[folded[x] for x in node.inputs])
        folded[node] = _folded(node_now) if alone else node_now
    return Graph(folded[graph.output])


def _folded(node: Node) -> Node:
    before = node.inputs[0]
    pair = (before.operation, node.operation)
    if pair == ("affine", "affine"):
        return _joined(before, node)
    if node.operation == "affine" and before.operation in WITH_KERNEL:
        return _scaled(before, node)
    if before.operation == "affine" and node.operation in WITH_KERNEL:
        return _scaling_before(before, node)
    if pair == ("convolution", "activation") and before.attributes["activation"] is None:
        kind, parameters = node.attributes["kind"], node.attributes["parameters"]
        return before.but(activation=(kind, *parameters))
    if before.operation == "pad":
        return _padded(before, node)
    return node


def _joined(first: Node, second: Node) -> Node:
    scale, offset = (second.arrays[name] for name in ("scale", "offset"))
    return first.but(
        scale=np.asarray(first.arrays["scale"] * scale),
        offset=np.asarray(first.arrays["offset"] * scale + offset),
    )


def _per_channel(affine: Node, n: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the scale and offset of each channel; None if they differ from pixel to pixel."""
    arrays = [affine.arrays[name] for name in ("scale", "offset")]
    if any(array.size != array.shape[-1] for array in arrays if array.shape):
        return None
    return tuple(np.broadcast_to(array.reshape(-1), (n,)) for array in arrays)


def _scaled(before: Node, affine: Node) -> Node:
    """Scale the outputs of a kernel."""
    kernel = before.arrays["kernel"]
    found = _per_channel(affine, kernel.shape[-1])
    if found is None or before.attributes.get("activation"):
        return affine
    scale, offset = found
    bias = before.arrays.get("bias", np.float64(0)) * scale + offset
    return before.but(kernel=_times(kernel, scale), bias=_single(bias))


def _scaling_before(affine: Node, node: Node) -> Node:
    """Scale the inputs of a kernel; zeros around the pixels must not be moved by an offset."""
    if node.attributes.get("groups", 1) > 1 or any(node.attributes.get("pads", ())):
        return node
    kernel = node.arrays["kernel"]
    found = _per_channel(affine, kernel.shape[-2])
    if found is None:
        return node
    scale, offset = found
    moved = np.tensordot(offset, kernel.astype(np.float64), axes=(0, kernel.ndim - 2))
    moved = moved.sum(axis=tuple(range(moved.ndim - 1)))
    return node.but(
        inputs=affine.inputs,
        kernel=_times(kernel, scale[:, None]),
        bias=_single(moved + node.arrays.get("bias", np.float64(0))),
    )


def _padded(pad: Node, node: Node) -> Node:
    """Turn zeros around pixels into pads of the window that slides over them."""
    pads = pad.attributes["pads"]
    if node.operation == "pad":
        return _padded_twice(pad, node)
    if node.operation not in ("convolution", "pool") or min(pads) < 0:
        return node
    changes = {}
    if node.operation == "pool":
        if node.attributes["kind"] == "max" and not _is_never_negative(pad.inputs[0]):
            return node
        if node.attributes["kind"] == "avg":
            if any(node.attributes["pads"]):  # which are not counted, unlike these
                return node
            changes["counts_pads"] = True
    both = tuple(a + b for a, b in zip(pads, node.attributes["pads"], strict=True))
    return node.but(inputs=pad.inputs, pads=both, **changes)


def _padded_twice(first: Node, second: Node) -> Node:
    pads = first.attributes["pads"]
    if min(pads) < 0:  # what is cropped first does not come back
        return second
    both = tuple(a + b for a, b in zip(pads, second.attributes["pads"], strict=True))
    return second.but(inputs=first.inputs, pads=both)


def _is_never_negative(node: Node) -> bool:
    if node.operation == "activation":
        kind, parameters = node.attributes["kind"], node.attributes["parameters"]
    else:
        kind, *parameters = node.attributes.get("activation") or [None]
    return kind in NEVER_NEGATIVE or (kind == "clip" and parameters[0] >= 0)


def _times(kernel: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Scale a kernel in double precision and round it once, without an array of doubles."""
    return np.multiply(kernel, scale, out=np.empty(kernel.shape, np.float32), casting="same_kind")


def _single(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32)
