"""Where the graph of a network comes from: a name and its weights, or a whole saved file."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from pyimagesearch.nn import zoo
from pyimagesearch.nn.choice import NetworkChoice
from pyimagesearch.nn.cutting import feature_shape
from pyimagesearch.nn.description import Weights
from pyimagesearch.nn.graph import (
    Graph,
    NoTranslationError,
    archive,
    fold,
    input_shape,
    layer_nodes,
    layer_paths,
    operations,
    read_graph,
)
from pyimagesearch.nn.graph.layer import Arrays
from pyimagesearch.nn.graph.reading import Config, last_layer
from pyimagesearch.nn.keraslayers import HEAD_ENDS
from pyimagesearch.nn.weights import sha256_of
from pyimagesearch.nn.zoo import vgg
from pyimagesearch.nn.zoo.topology import Topology, zoo_topology
from pyimagesearch.nn.zoo.weights import load_zoo, unfilled

CLASSIFIERS = ("Dense", "Softmax")


@dataclass(frozen=True)
class Source:
    """A network that can be read as a graph.

    Attributes
    ----------
    config : dict
        Its layers and their calls.
    arrays, shapes : Arrays
        Its weights; arrays that have the shapes of its weights, and no numbers.
    size : tuple of int
        Height and width of its images, in pixels.
    weights : Weights
        Their name and digest.
    has_head : bool
        Whether it may end in a classifier.
    """

    config: Config
    arrays: Arrays
    shapes: Arrays
    size: tuple[int, int]
    weights: Weights
    has_head: bool

    def layer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of what each layer gives for one image, by its path."""
        nodes = layer_nodes(self.config, self.shapes, self.size)
        return {path: node.shape for path, node in nodes.items()}

    def default_layer(self) -> str:
        """Name the last layer that is not part of a classifier, as `last_before_head` does."""
        if not self.has_head:
            return layer_paths(self.config)[-1]
        shapes = self.layer_shapes()
        last = last_layer(self.config)
        if last["class_name"] in CLASSIFIERS or last["config"].get("activation") in HEAD_ENDS:
            with_pixels = [
                path for path, shape in shapes.items() if len(shape) == 3 and shape[:2] != (1, 1)
            ]
            if with_pixels:
                return with_pixels[-1]
        return list(shapes)[-1]

    def cut(self, network: str, layer: str, pooling: str) -> tuple[Graph, tuple[int, ...]]:
        """Return the graph up to and with a layer, folded, and the shape of the features.

        Pooling is not in the graph yet, see `pooled`.

        Raises
        ------
        InputError
            If there is no such layer, or it gives no rows and columns to pool.
        NoTranslationError
            If it needs a layer without a translation.
        """
        if layer not in layer_paths(self.config):
            feature_shape(network, dict.fromkeys(layer_paths(self.config), ()), layer, pooling)
        graph = read_graph(self.config, self.arrays, self.size, layer)
        shape = feature_shape(network, {layer: graph.output.shape}, layer, pooling)
        return fold(graph), shape


def pooled(graph: Graph, pooling: str) -> Graph:
    """Return a graph with a pooling over rows and columns behind it, or as it is."""
    if pooling == "none":
        return graph
    return Graph(operations.reduce(graph.output, pooling, (0, 1)))


@contextlib.contextmanager
def opened(choice: NetworkChoice, jobs: int) -> Iterator[Source]:
    """Open the network that a user asks for, its weights checked and read.

    Raises
    ------
    InputError
        If the weights cannot be obtained, are damaged, or are not this network's.
    NoTranslationError
        If it is a file that cannot be read without Keras.
    """
    if choice.file is None:
        topologies = partial(_topology, choice, jobs)
        topology, filled, weights = load_zoo(zoo.find(choice.network), topologies, choice.weights)
        shapes = partial(_arrays_of, unfilled(topology))
        arrays = partial(_arrays_of, filled)
        yield Source(topology.config, arrays, shapes, choice.size, weights, has_head=False)
        return
    with archive.opened(choice.file, choice.part) as (config, arrays, shapes):
        size = choice.size or input_shape(config)[:2]
        if None in size or input_shape(config)[2:] != (3,):
            raise NoTranslationError(f"it takes {input_shape(config)}")
        yield Source(config, arrays, shapes, size, file_weights(choice), has_head=True)


def file_weights(choice: NetworkChoice) -> Weights:
    """Name the weights in a ``.keras`` file; those of a part of one have no digest."""
    return Weights(choice.file.name, "" if choice.part else sha256_of(choice.file))


def layer_shapes(choice: NetworkChoice, jobs: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer gives for one image, without any weights."""
    if choice.file is None:
        topology = _topology(choice, jobs, published=False)
        arrays = partial(_arrays_of, unfilled(topology))
        nodes = layer_nodes(topology.config, arrays, choice.size)
        return {path: node.shape for path, node in nodes.items()}
    with opened(choice, jobs) as source:
        return source.layer_shapes()


def _topology(choice: NetworkChoice, jobs: int, published: bool) -> Topology:
    if choice.network in vgg.VGG:
        return vgg.vgg_topology(choice.network, choice.size)
    return zoo_topology(zoo.find(choice.network), choice.size, published, jobs)


def _arrays_of(filled: dict, path: str) -> list:
    return filled.get(path, [])
