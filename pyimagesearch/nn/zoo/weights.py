"""The weights of a network of ``keras.applications``, read without Keras: all of them or none."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.nn import zoo
from pyimagesearch.nn.description import Weights
from pyimagesearch.nn.graph.archive import layer_groups, saved_arrays
from pyimagesearch.nn.weights import (
    IMAGENET,
    RANDOM,
    HeNormal,
    imagenet_file,
    is_published,
    misfit,
    named_misfit,
    sha256_of,
)
from pyimagesearch.nn.weights.reading import names_its_layers, open_weights, read_named_layers
from pyimagesearch.nn.zoo.topology import Topology, Variable

Filled = dict[str, list[np.ndarray]]  # the arrays of each layer, by its path


def load_zoo(
    network: zoo.ZooNetwork, topologies: Callable[[bool], Topology], weights: str
) -> tuple[Topology, Filled, Weights]:
    """Return a network of ``keras.applications`` and its weights.

    Parameters
    ----------
    network : ZooNetwork
        Which one.
    topologies : callable
        Takes whether the weights are those of ImageNet, gives the `Topology`.
    weights : str
        ``"imagenet"``, ``"random"`` or the path of a file.

    Returns
    -------
    Topology
        The network's layers.
    dict of str to list of ndarray
        The arrays of each, by its path.
    Weights
        Their name and digest.

    Raises
    ------
    InputError
        If the weights cannot be obtained, are damaged, or are not this network's.
    """
    if weights == RANDOM:
        topology = topologies(False)
        return topology, *_random(topology)
    if weights == IMAGENET:
        topology = topologies(True)
        path = imagenet_file(network.name, topology.url, topology.digest)
        return topology, *_read_and_named(topology, network.name, IMAGENET, path)
    path = Path(weights)
    with named_misfit(path, network.name), open_weights(path) as file:
        old = names_its_layers(file)
    topology = topologies(True) if old else None
    if topology is None or not topology.digest or not is_published(path, topology.digest):
        topology = topologies(False)
    return topology, *_read_and_named(topology, network.name, path.name, path)


def read_weights(topology: Topology, network: str, path: Path) -> Filled:
    """Read all arrays of a network from a file of any kind.

    Raises
    ------
    InputError
        If any is missing, has another shape, or is not finite.
    """
    with named_misfit(path, network), open_weights(path) as file:
        read = _read_in_order if names_its_layers(file) else _read_by_class
        filled = read(file, topology)
    if not all(np.isfinite(array).all() for arrays in filled.values() for array in arrays):
        raise misfit(path, network, "some of its numbers are not finite")
    return filled


def unfilled(topology: Topology) -> Filled:
    """Return arrays that have the right shapes, take no memory, and are 0."""
    return {
        path: [np.broadcast_to(np.float32(0), each.shape) for each in variables]
        for path, variables in topology.variables.items()
    }


def _random(topology: Topology) -> tuple[Filled, Weights]:
    """Draw weights as He et al. do; layers that normalise pass on what they get."""
    drawn = HeNormal()
    filled = {
        path: [_drawn(drawn, each) for each in variables]
        for path, variables in topology.variables.items()
    }
    return filled, Weights(RANDOM, drawn.sha256)


def _drawn(drawn: HeNormal, variable: Variable) -> np.ndarray:
    if variable.fan_in:
        return drawn.kernel(variable.shape, variable.fan_in)
    return drawn.constant(variable.shape, variable.name)


def _read_and_named(
    topology: Topology, network: str, name: str, path: Path
) -> tuple[Filled, Weights]:
    """Read the weights while another core computes their digest."""
    with ThreadPoolExecutor(1) as other_thread:
        digest = other_thread.submit(sha256_of, path)
        filled = read_weights(topology, network, path)
        return filled, Weights(name, digest.result())


def _read_in_order(file: h5py.File, topology: Topology) -> Filled:
    """Read a file of the oldest kind: the layers in order, and of each what is trained first."""
    filled = {path: [None] * len(found) for path, found in topology.variables.items()}
    layers = list(_in_oldest_order(topology))
    shapes = [[topology.variables[path][i].shape for path, i in layer] for layer in layers]
    for layer, arrays in zip(layers, read_named_layers(file, shapes), strict=True):
        for (path, i), array in zip(layer, arrays, strict=True):
            filled[path][i] = array
    return filled


def _in_oldest_order(topology: Topology) -> Iterator[list[tuple[str, int]]]:
    """Yield for each layer, which may be a network itself, the places of its arrays."""
    for _, layer in groupby(topology.variables, lambda path: path.split("/")[0]):
        places = [
            (variable.trainable, path, i)
            for path in layer
            for i, variable in enumerate(topology.variables[path])
        ]
        places.sort(key=lambda place: not place[0])  # and else as they are
        yield [(path, i) for _, path, i in places]


def _read_by_class(file: h5py.File, topology: Topology) -> Filled:
    """Read a file of the newer kinds, which calls layers after their class and a count."""
    if "layers" not in file:
        raise ValueError("it has no layers")
    groups = layer_groups(topology.config)
    read = saved_arrays(groups, file)
    filled = {}
    for path, variables in topology.variables.items():
        filled[path] = read(path)
        given = [array.shape for array in filled[path]]
        if not given:
            raise ValueError(f"it has no '{groups[path]}': some layers are missing from it")
        expected = [variable.shape for variable in variables]
        if given != expected:
            raise ValueError(f"'{groups[path]}' has shapes {given}, expected {expected}")
    return filled
