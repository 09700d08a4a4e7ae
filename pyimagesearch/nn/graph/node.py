"""The form of a network from which every engine is built: operations on arrays, and no layers.

Shapes are those of one image's array, without the batch; pixels have their
channels last: (height, width, channels). These operations there are:

=============== ================================================ ==================
operation       attributes                                       arrays
=============== ================================================ ==================
input
convolution     strides, dilation, pads, groups, activation      kernel, bias
deconvolution   strides, dilation, pads                          kernel, bias
dense                                                            kernel, bias
affine                                                           scale, offset
activation      kind, parameters
prelu                                                            slope
add, subtract, multiply, divide, maximum, minimum
pool            kind, size, strides, pads, counts_pads
reduce          kind, axes
pad             pads
concatenate     axis
reshape
transpose       order
slice           starts, steps
normalize       axes, epsilon
softmax         axis
resize          kind
einsum          equation                                         kernel, if constant
look_up                                                          table
constant                                                         value
=============== ================================================ ==================

A kernel is (height, width, channels in / groups, channels out), as Keras has
it, of a `dense` (in, out), of a `deconvolution` (height, width, out, in).
`bias` may be missing. `pads` are pixels (top, bottom, left, right): those of a
`pad` crop if they are negative, those of a `deconvolution` are what is cut off
its whole output, or added where they are negative. `activation` is a kind and
its parameters, or None. `scale`, `offset` and `slope` have the rank of their
array, or less, and are broadcast. `look_up` takes rows of a `table` by number,
without its fraction: NaN where there is no such row.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

# A node's operation, the numbers of its inputs, its shape, attributes and arrays.
Part = tuple[str, list[int], tuple[int, ...], Mapping, Mapping]


class NoTranslationError(Exception):
    """A network holds something that has no translation: Keras must compute it."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes
    ----------
    operation : str
        One of those in the module's table.
    inputs : tuple of Node
        What it takes, in order.
    shape : tuple of int
        What it gives for one image.
    attributes : mapping of str to object
        Its settings, by name.
    arrays : mapping of str to ndarray
        Its weights, by name.
    """

    operation: str
    inputs: tuple["Node", ...]
    shape: tuple[int, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def but(self, inputs: Iterable["Node"] | None = None, **changes: object) -> "Node":
        """Return this operation with other inputs, attributes or arrays."""
        arrays = {name: value for name, value in changes.items() if isinstance(value, np.ndarray)}
        others = {name: value for name, value in changes.items() if name not in arrays}
        return replace(
            self,
            inputs=self.inputs if inputs is None else tuple(inputs),
            attributes={**self.attributes, **others},
            arrays={**self.arrays, **arrays},
        )


class Graph:
    """A network as the node that gives its features, and all that this needs.

    Parameters
    ----------
    output : Node
        What gives the features.
    """

    def __init__(self, output: Node):
        self.output = output

    @property
    def nodes(self) -> list[Node]:
        """All nodes, each behind its inputs; the output is the last."""
        found: dict[Node, None] = {}
        stack = [(self.output, False)]
        while stack:  # a recursion would be as deep as the network
            node, inputs_are_there = stack.pop()
            if inputs_are_there:
                found[node] = None
            elif node not in found:
                stack.append((node, True))
                stack.extend((each, False) for each in reversed(node.inputs) if each not in found)
        return list(found)

    @property
    def input(self) -> Node:
        """The node that stands for the image."""
        return next(node for node in self.nodes if node.operation == "input")

    def parts(self) -> list[Part]:
        """Return the nodes with numbers for inputs: a network is deeper than pickle goes."""
        nodes = self.nodes
        number = {node: i for i, node in enumerate(nodes)}
        return [
            (n.operation, [number[x] for x in n.inputs], n.shape, n.attributes, n.arrays)
            for n in nodes
        ]

    def __reduce__(self):
        """Pickle it as its parts."""
        return _graph_of, (self.parts(),)


def put_together(parts: Iterable[Part]) -> Iterator[Node]:
    """Yield a node for each of a graph's parts."""
    nodes: list[Node] = []
    for operation, inputs, shape, attributes, arrays in parts:
        given = tuple(nodes[i] for i in inputs)
        nodes.append(Node(operation, given, shape, attributes, dict(arrays)))
        yield nodes[-1]


def _graph_of(parts: list[Part]) -> Graph:
    *_, output = put_together(parts)
    return Graph(output)
