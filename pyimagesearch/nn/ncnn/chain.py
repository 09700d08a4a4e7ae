"""A graph that is a simple convolutional network and poolings, which ncnn computes fastest."""

from pyimagesearch.nn.graph.node import Graph, Node


def plain_chain(graph: Graph) -> list[Node] | None:
    """Return the operations of a graph in order, the image left out, if all are simple.

    Parameters
    ----------
    graph : Graph
        Folded, or else activations stand by themselves.

    Returns
    -------
    list of Node, or None
        Convolutions with stride 1 and at most a ReLU behind, and poolings that
        keep the largest of each square; None if there is anything else, or the
        graph branches.
    """
    previous, *nodes = graph.nodes
    for node in nodes:
        if node.inputs != (previous,) or not (is_plain_convolution(node) or _is_plain_pool(node)):
            return None
        previous = node
    return nodes or None


def is_plain_convolution(node: Node) -> bool:
    """Return whether a node is a convolution without anything special."""
    if node.operation != "convolution":
        return False
    a, (height, width, _, _) = node.attributes, node.arrays["kernel"].shape
    return (
        height == width
        and a["strides"] == a["dilation"] == (1, 1)
        and a["groups"] == 1
        and a["activation"] in (None, ("relu",))
        and len(set(a["pads"])) == 1
    )


def _is_plain_pool(node: Node) -> bool:
    a = node.attributes
    return (
        node.operation == "pool"
        and a["kind"] == "max"
        and a["size"] == a["strides"]
        and len(set(a["size"])) == 1
        and not any(a["pads"])
    )
