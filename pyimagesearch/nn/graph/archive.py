"""Read a whole saved network, a ``.keras`` file, without Keras and without running anything."""

import contextlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.nn.graph.layer import Arrays
from pyimagesearch.nn.graph.node import NoTranslationError
from pyimagesearch.nn.graph.reading import Config, is_model, is_operation
from pyimagesearch.utils.errors import first_line

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# Where the classes and functions lie that Keras itself has.
KERAS_MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|dtype_policies"
    r"|src\.models\.(functional|sequential)|src\.ops\.\w+|src\.applications\.\w+))?"
)
CODE = ("Lambda", "__lambda__", "function", "TFSMLayer", "TorchModuleWrapper")


@contextlib.contextmanager
def opened(path: Path, part: str | None = None) -> Iterator[tuple[Config, Arrays, Arrays]]:
    """Open a network; yield its config, and what reads its arrays, or only their shapes.

    Parameters
    ----------
    path : Path
        The file.
    part : str or None
        The layer that is the network; None is all of it.

    Raises
    ------
    NoTranslationError
        If it holds anything that is not Keras's own, or is damaged: what to do then is up to
        Keras, whose error names what is wrong.
    """
    with contextlib.ExitStack() as stack:
        with _damage_named():
            archive = stack.enter_context(zipfile.ZipFile(path))
            config = json.loads(archive.read(CONFIG))
            require_keras_only(config)
            weights = io.BytesIO(archive.read(WEIGHTS))
            file = stack.enter_context(h5py.File(weights, "r"))
            archive.close()
            groups = layer_groups(config)
            if part is not None:
                config = next(each for each in config["config"]["layers"] if each["name"] == part)
                groups = _below(part, groups)
        yield config, saved_arrays(groups, file), saved_arrays(groups, file, unread)


def _below(part: str, groups: Mapping[str, str]) -> dict[str, str]:
    """Return the groups of the layers of a part, by their paths within it."""
    start = f"{part}/"
    return {
        path.removeprefix(start): group for path, group in groups.items() if path.startswith(start)
    }


@contextlib.contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except NoTranslationError:
        raise
    except Exception as error:  # h5py, json, zipfile and zlib raise a dozen types
        raise NoTranslationError(f"the file cannot be read: {first_line(error)}") from error


def require_keras_only(config: object) -> None:
    """Refuse a config with code, or with a class or function that Keras itself does not have."""
    if isinstance(config, list):
        for each in config:
            require_keras_only(each)
    elif isinstance(config, dict):
        kind, module = config.get("class_name"), config.get("module")
        if kind in CODE:
            raise NoTranslationError(f"a {kind}, which is code")
        if module is not None and not KERAS_MODULES.fullmatch(str(module)):
            raise NoTranslationError(f"a {kind} of {module}, which is not Keras's own")
        for each in config.values():
            require_keras_only(each)


def read_array(array: h5py.Dataset) -> np.ndarray:
    """Return the numbers of an array, those with a fraction in single precision."""
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise NoTranslationError(f"'{array.name}' is not an array in the file itself")
    if array.dtype.kind not in "fiu" or "dtype" in array.attrs:  # such as bfloat16
        raise NoTranslationError(f"'{array.name}' has numbers of the type {array.dtype}")
    numbers = array[()]
    if np.isnan(numbers).any():
        raise NoTranslationError(f"'{array.name}' has NaN")
    return numbers.astype(np.float32, copy=False) if array.dtype.kind == "f" else numbers


def unread(array: h5py.Dataset) -> np.ndarray:
    """Return an array that has the right shape, takes no memory, and is 0."""
    return np.broadcast_to(np.float32(0), array.shape)


def saved_arrays(
    groups: Mapping[str, str], file: h5py.File, read_array: Callable = read_array
) -> Arrays:
    """Return what reads the arrays of layers from a file of the newer kinds.

    Parameters
    ----------
    groups : mapping of str to str
        The group of each layer's path, see `layer_groups`.
    file : h5py.File
        The file.
    read_array : callable
        Takes an array of the file, gives its numbers.
    """

    def read(path: str) -> list[np.ndarray]:
        layer, part = path, ""
        while layer not in groups and "/" in layer:  # a part of a layer
            layer, _, last = layer.rpartition("/")
            part = f"/{last}{part}"
        if layer not in groups:
            return []
        with _damage_named():
            values = file.get(f"{groups[layer]}{part}/vars", {})
            return [read_array(values[str(i)]) for i in range(len(values))]

    return read


def layer_groups(config: Config) -> dict[str, str]:
    """Return where a file of the newer kinds has each layer's arrays, by the layer's path."""
    return dict(_groups(config, "layers"))


def _groups(config: Config, above: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each layer, and its group: called after its class, and numbered."""
    seen: Counter[str] = Counter()
    for layer in config["config"]["layers"]:
        if is_operation(layer):
            continue
        kind = _snake_case(layer["class_name"])
        group = f"{above}/{kind}_{seen[kind]}" if seen[kind] else f"{above}/{kind}"
        seen[kind] += 1
        name = layer["config"]["name"]
        if is_model(layer):
            for path, inner in _groups(layer, f"{group}/layers"):
                yield f"{name}/{path}", inner
        yield name, group


def _snake_case(name: str) -> str:
    """Write a class's name as Keras does in its files.

    Examples
    --------
    >>> _snake_case("DepthwiseConv2D")
    'depthwise_conv2d'
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
