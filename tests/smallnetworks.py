"""Networks so small that files of their weights are written and read in no time."""

from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.nn import zoo
from pyimagesearch.nn.zoo import vgg
from pyimagesearch.nn.zoo.topology import zoo_topology
from pyimagesearch.nn.zoo.weights import load_zoo

SMALL = zoo.ZOO["MobileNet"]
SIZE = (32, 32)


def narrow_model(name: str = "VGG16", head: bool = False, seed: int = 1):
    """Build what `narrow` makes of a network with Keras, layers named as Keras does."""
    import keras

    x = start = keras.Input((32, 32, 3))
    _, *layers = vgg.vgg_topology(name, SIZE).config["config"]["layers"]
    for layer in layers:
        layer_name = layer["config"]["name"]
        if layer_name.endswith("pool"):
            x = keras.layers.MaxPooling2D(2, name=layer_name)(x)
        else:
            n_out = layer["config"]["filters"]
            x = keras.layers.Conv2D(n_out, 3, padding="same", name=layer_name)(x)
    if head:
        x = keras.layers.Dense(2, name="predictions")(keras.layers.Flatten(name="flatten")(x))
    model = keras.Model(start, x)
    return with_numbers(model, seed)


def load_vgg(weights: str):
    """Return the arrays of each convolution of VGG16, and their name and digest."""
    topology, filled, loaded = load_zoo(
        zoo.ZOO["VGG16"], lambda published: vgg.vgg_topology("VGG16", SIZE), weights
    )
    return [filled[path] for path in topology.variables], loaded


def load_small(weights: str):
    """Return the arrays of each layer of the small network, and their name and digest."""
    topology, filled, loaded = load_zoo(
        SMALL, lambda published: zoo_topology(SMALL, SIZE, published), weights
    )
    return [filled[path] for path in topology.variables], loaded


def with_numbers(model, seed: int = 1):
    """Give a network weights that differ in every layer, and none of which is negative."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype(variable.dtype))
    return model


def write_first_format(model, path: Path) -> None:
    """Write the file that Keras's own download is: names and arrays, layer by layer."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            variables = layer.trainable_weights + layer.non_trainable_weights
            names = [f"{layer.name}_{i}:0".encode() for i in range(len(variables))]
            group.attrs["weight_names"] = names
            for name, variable in zip(names, variables, strict=True):
                group[name.decode()] = variable.numpy()
