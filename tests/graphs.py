"""Graphs of networks that Keras builds, read from the files that it saves."""

from pathlib import Path

from pyimagesearch.nn.graph import Graph, fold, layer_nodes, read_graph
from pyimagesearch.nn.graph.archive import opened


def read_saved(path: Path, size: tuple[int, int], layer: str | None = None) -> Graph:
    """Return the graph of a saved network, up to and with a layer or its last one, not folded."""
    with opened(path) as (config, arrays, shapes):
        layer = layer or list(layer_nodes(config, shapes, size))[-1]
        return read_graph(config, arrays, size, layer)


def saved_graph(model, folder: Path) -> Graph:
    """Return the folded graph of a network of Keras."""
    path = folder / "net.keras"
    model.save(path)
    return fold(read_saved(path, tuple(model.input.shape[1:3])))
