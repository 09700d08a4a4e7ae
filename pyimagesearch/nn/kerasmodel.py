"""Build networks with Keras, and fill them with weights: completely or not at all."""

import contextlib
import re
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pyimagesearch.nn import zoo
from pyimagesearch.nn.description import Weights
from pyimagesearch.nn.keraslayers import finish, graph_of, leaves
from pyimagesearch.nn.layerpackages import missing_package
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
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.pathchecks import require_readable
from pyimagesearch.utils.temporary import full_disk_named, temporary_folder

SHARDS = ".weights.json"  # a list of several files


class _NotPublishedError(InputError):
    """A file is not the one that Keras publishes."""


def zoo_model(network: zoo.ZooNetwork, size: tuple[int, int], weights: str):
    """Build a headless network of ``keras.applications`` with its weights.

    Parameters
    ----------
    network : ZooNetwork
        Which one.
    size : tuple of int
        Height and width of its images, in pixels.
    weights : str
        ``"imagenet"``, ``"random"`` or the path of a file.

    Returns
    -------
    keras.Model
        The network.
    Weights
        The name and the digest of its weights.

    Raises
    ------
    InputError
        If the weights cannot be obtained, are damaged, or are not this network's.
    """
    if weights == RANDOM:
        model = zoo.build(network, size)
        return model, Weights(RANDOM, fill_with_random(model))
    if weights == IMAGENET:
        model, path = _with_published_weights(network, size, imagenet_file)
        return model, Weights(IMAGENET, sha256_of(path))
    path = Path(weights)
    model = _with_weights_of(network, size, path)
    return model, Weights(path.name, sha256_of(path))


def check_saved(path: Path) -> None:
    """Refuse a file that cannot be a whole saved network, before Keras is imported."""
    require_readable(path, "network file", "a .keras file")
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"'{path}' is not a complete .keras file: save the network again with Keras"
        )


def saved_model(path: Path, part: str | None = None):
    """Open a whole saved network, or a layer of one, without running code that came with it.

    Raises
    ------
    InputError
        If the file is damaged, holds what Keras's safe mode refuses, or is not
        a network for images.
    """
    import keras

    try:
        with warnings.catch_warnings(action="ignore"), full_disk_named():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
            if part is not None:
                model = model.get_layer(part)
    except InputError:
        raise
    except Exception as error:  # Keras, h5py, json and zipfile raise a dozen types
        raise InputError(
            f"cannot load the network of '{path}': {_why_refused(error, path)}"
        ) from error
    if graph_of(model) is None:
        raise InputError(
            f"the network of '{path}' is not a graph of layers: expected a Functional or "
            "Sequential network that knows the shape of its input; give it a keras.Input, or "
            "call it once, and save it again"
        )
    inputs = [tuple(tensor.shape) for tensor in model.inputs]
    if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][3] != 3:
        raise InputError(
            f"the network of '{path}' takes {inputs}: expected images, (None, height, width, 3)"
        )
    return model


def require_numbers(model, path: Path) -> None:
    """Refuse a network with weights that are NaN: its features would be NaN, too.

    Infinite ones may have a meaning, as in the masks of attention.

    Raises
    ------
    InputError
        Names the layer.
    """
    for layer in leaves(model):
        if any(np.isnan(array).any() for array in layer.get_weights()):
            raise InputError(
                f"layer '{layer.name}' of '{path}' has weights that are NaN: the file is damaged, "
                "or its training has diverged; use another one"
            )


def fill_with_random(model) -> str:
    """Draw weights as He et al. do; layers that normalise leave their input unchanged.

    Returns
    -------
    str
        SHA-256 of the numbers.
    """
    drawn = HeNormal()
    for layer in leaves(model):
        for variable in layer.weights:
            if "kernel" in variable.name:
                value = drawn.kernel(variable.shape, fan_in(layer, variable))
            else:
                value = drawn.constant(variable.shape, variable.name)
            variable.assign(value.astype(variable.dtype))
        finish(layer)
    return drawn.sha256


def fill_whole(model, path: Path, network: str) -> None:
    """Fill a network from a file that was saved from one like it.

    Raises
    ------
    InputError
        If the file is damaged, another network's, or lacks a layer.
    """
    with named_misfit(path, network):
        _load_newer(model, path)
    _require_finite(model, path, network)


def fill(model, layers: list[list[np.ndarray]]) -> None:
    """Put the arrays of each layer that has any into a network, in order."""
    for layer, arrays in zip(_layers_with_weights(model), layers, strict=True):
        for variable, array in zip(_as_saved(layer), arrays, strict=True):
            variable.assign(array.astype(variable.dtype))
        for leaf in leaves(layer):
            finish(leaf)


def fan_in(layer, variable) -> int:
    """Count the inputs of each output of a kernel: one channel, in a depthwise layer.

    0 for any other array.
    """
    import keras

    if "kernel" not in variable.name:
        return 0
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D) or "depthwise" in variable.name
    return int(np.prod(variable.shape[:2] if depthwise else variable.shape[:-1]))


def _with_published_weights(
    network: zoo.ZooNetwork, size: tuple[int, int], find: Callable[..., Path]
):
    """Have Keras build a network with its ImageNet weights, from a file that we find.

    Where these weights are asked for, Keras itself knows what to build: an
    EfficientNetB0 then has a layer more, a MobileNet other weights for each size.
    """
    import keras

    found: list[Path] = []

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_) -> str:
        found.append(find(network.name, origin, file_hash))
        return str(found[0])

    module = sys.modules[getattr(keras.applications, network.name).__module__]
    with replaced(module.file_utils, "get_file", get_file):
        try:
            with warnings.catch_warnings(action="ignore"):  # of sizes other than the usual
                model = zoo.build(network, size, weights="imagenet")
        except InputError:
            raise
        except Exception as error:
            if not found:
                zoo.build(network, size)  # whose error names what is wrong with the size
                raise
            raise misfit(found[0], network.name, first_line(error)) from error
    for leaf in leaves(model):
        finish(leaf)
    _require_finite(model, found[0], network.name)
    return model, found[0]


def _with_weights_of(network: zoo.ZooNetwork, size: tuple[int, int], path: Path):
    """Build a network with the weights of a file of any kind."""

    def find(name: str, url: str, digest: str | None) -> Path:
        if digest and is_published(path, digest):
            return path
        raise _NotPublishedError

    with named_misfit(path, network.name), open_weights(path) as file:
        old = names_its_layers(file)
    if old:
        # The file that Keras publishes, but somewhere else.
        with contextlib.suppress(_NotPublishedError):
            return _with_published_weights(network, size, find)[0]
    model = zoo.build(network, size)
    with named_misfit(path, network.name):
        if old:
            with open_weights(path) as file:
                fill(model, read_named_layers(file, _saved_shapes(model)))
        else:
            _load_newer(model, path)
    _require_finite(model, path, network.name)
    return model


def _load_newer(model, path: Path) -> None:
    # A loader that skips a layer leaves what was there before: NaN reveals it.
    for variable in model.weights:
        if "float" in variable.dtype:
            variable.assign(np.full(variable.shape, np.nan, variable.dtype))
    with (
        _named_as_keras_expects(path) as file,
        warnings.catch_warnings(action="ignore"),  # of what is checked afterwards
    ):
        model.load_weights(file)


@contextlib.contextmanager
def _named_as_keras_expects(path: Path) -> Iterator[Path]:
    """Give a file of a newer kind the name of its kind, by which alone Keras knows it."""
    suffix = ".keras" if zipfile.is_zipfile(path) else ".weights.h5"
    if path.name.endswith((suffix, SHARDS)):
        yield path
        return
    with temporary_folder() as folder:
        yield Path(shutil.copyfile(path, folder / f"named{suffix}"))


def _require_finite(model, path: Path, network: str) -> None:
    if not all(np.isfinite(variable.numpy()).all() for variable in model.weights):
        raise misfit(path, network, "some layers are missing from it, or are not finite")


def _layers_with_weights(model) -> list:
    return [layer for layer in model.layers if layer.weights]


def _as_saved(layer) -> list:
    """Return a layer's variables in the order of the oldest kind of file."""
    return layer.trainable_weights + layer.non_trainable_weights


def _saved_shapes(model) -> list[list[tuple[int, ...]]]:
    return [
        [tuple(variable.shape) for variable in _as_saved(layer)]
        for layer in _layers_with_weights(model)
    ]


@contextlib.contextmanager
def replaced(module, name: str, value) -> Iterator[None]:
    """Replace an attribute of a module or class of Keras for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _why_refused(error: Exception, path: Path) -> str:
    expected = "expected layers that Keras itself has, and no code"
    if "lambda" in str(error).lower():
        return f"it has a Lambda layer, which is code; {expected}"
    unknown = re.search(
        r"Could not (?:locate|deserialize) (?:class|function) '([^']*)'", str(error)
    )
    if unknown is None:
        # Keras wraps what went wrong once for each network around it.
        innermost = str(error).rpartition("Exception encountered: ")[2]
        return f"{first_line(ValueError(innermost))}; {expected}"
    of_package = missing_package(path, unknown[1])
    if of_package is None:
        return f"{unknown[0]}; {expected}"
    return f"{unknown[0]} {of_package}" + ("" if ";" in of_package else f"; {expected}")
