"""Read the graph of a network from the config that Keras saves, without Keras."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from pyimagesearch.nn.graph import operations
from pyimagesearch.nn.graph.kerasoperations import OPERATIONS
from pyimagesearch.nn.graph.layer import Arrays, Layer
from pyimagesearch.nn.graph.layers import LAYERS
from pyimagesearch.nn.graph.node import Graph, Node, NoTranslationError

Config = Mapping[str, object]
Value = Node | list[Node]  # a model within the network may give several arrays
Call = tuple[str, int]  # the name of a layer, and which of its calls

INPUT = "InputLayer"
OPERATION_MODULES = ("keras.src.ops", "keras.ops")
COMPUTED_IN = "float32"
CONSTANTS = ("__numpy__", "__tensor__")
COUNTED = re.compile(r".+:[1-9]\d*")  # the second or a later call of a layer


def input_shape(config: Config) -> tuple[int | None, ...]:
    """Return the shape of an image that a network takes; None where any length will do.

    Raises
    ------
    NoTranslationError
        If it takes several arrays, or none that is known.
    """
    inputs = [each for each in config["config"]["layers"] if each["class_name"] == INPUT]
    shapes = [each["config"].get("batch_shape") for each in inputs]
    if not inputs:
        shapes = [config["config"].get("build_input_shape")]
    if len(shapes) != 1 or not shapes[0]:
        raise NoTranslationError(f"{len(shapes)} inputs")
    if any(each["config"].get("dtype", COMPUTED_IN) != COMPUTED_IN for each in inputs):
        raise NoTranslationError("an input that is not float32")
    return tuple(shapes[0][1:])


def layer_nodes(config: Config, arrays: Arrays, size: tuple[int, int]) -> dict[str, Node]:
    """Translate a whole network; return what each layer gives, by its path.

    Paths are those of `pyimagesearch.nn.keraslayers`. Layers that give several
    arrays are left out: a network cannot be cut there.

    Parameters
    ----------
    config : mapping
        The network's config, as ``keras.Model.to_json`` and ``.keras`` files have it.
    arrays : Arrays
        Where its weights are.
    size : tuple of int
        Height and width of an image, in pixels.

    Raises
    ------
    NoTranslationError
        If there is a layer without a translation; names it.
    """
    reader = _Reader(arrays)
    reader.read(config, [_image(config, size)], "", None)
    return reader.found


def read_graph(config: Config, arrays: Arrays, size: tuple[int, int], layer: str) -> Graph:
    """Translate a network up to and with a layer; parameters and errors as of `layer_nodes`."""
    reader = _Reader(arrays)
    reader.read(config, [_image(config, size)], "", layer)
    if layer not in reader.found:
        raise NoTranslationError(f"no single array that layer '{layer}' gives")
    return Graph(reader.found[layer])


def layer_paths(config: Config, above: str = "") -> list[str]:
    """List the paths of the layers that a network may be cut after, in order."""
    paths = []
    for call, layer in _calls(config):
        path = above + _label(call)
        if is_model(layer):
            paths += layer_paths(layer, f"{path}/")
        if not is_operation(layer):
            paths.append(path)
    return paths


def last_layer(config: Config) -> Config:
    """Return the last layer of a network, or of the network that is its last layer."""
    last = [each for each in config["config"]["layers"] if not is_operation(each)][-1]
    return last_layer(last) if is_model(last) else last


def is_model(config: Config) -> bool:
    """Return whether a layer is a network itself."""
    return "layers" in config["config"] and config["class_name"] in ("Functional", "Sequential")


def is_operation(config: Config) -> bool:
    """Return whether a config describes a function of ``keras.ops``, not a layer."""
    return str(config.get("module", "")).startswith(OPERATION_MODULES)


class _Reader:
    """Follows the calls of a config's layers.

    Attributes
    ----------
    found : dict of str to Node
        What each layer gives, by its path.
    """

    def __init__(self, arrays: Arrays):
        self.found: dict[str, Node] = {}
        self._arrays = arrays

    def read(self, config: Config, given: list[Node], above: str, cut: str | None) -> Value:
        """Return what a model below a path gives, or what its layer at a further path gives."""
        if config["class_name"] == "Sequential":
            return self._sequential(config, given, above, cut)
        if config["class_name"] != "Functional":
            raise NoTranslationError(f"a network of the class {config['class_name']}")
        return self._functional(config, given, above, cut)

    def _sequential(self, config: Config, given: list[Node], above: str, cut: str | None) -> Value:
        value: Value = given[0]
        end, within = _split(cut)
        for call, layer in _calls(config):
            value = self._call(layer, above + _label(call), [value], {}, call == end and within)
            if call == end:
                break
        return value

    def _functional(self, config: Config, given: list[Node], above: str, cut: str | None) -> Value:
        settings = config["config"]
        values: dict[Call, Value] = {
            (name, 0): node
            for (name, *_), node in zip(_histories(settings["input_layers"]), given, strict=True)
        }
        layers = {layer["config"]["name"]: layer for layer in settings["layers"]}
        end, within = _split(cut)
        for call in _in_order(config, [end] if cut else None):
            arguments = layers[call[0]]["inbound_nodes"][call[1]]
            args, kwargs = (_given(arguments.get(key), values) for key in ("args", "kwargs"))
            values[call] = self._call(
                layers[call[0]], above + _label(call), args, kwargs, call == end and within
            )
        if cut:
            return values[end]
        histories = _histories(settings["output_layers"])
        outputs = [_part(values[_end(layers, history)], history[2]) for history in histories]
        return outputs[0] if len(outputs) == 1 else outputs

    def _call(
        self, config: Config, path: str, args: list, kwargs: dict, within: str | None
    ) -> Value:
        """Translate a call, and note what it gives; `within` is where to cut, if in a model."""
        kind = config["class_name"]
        try:
            kwargs.pop("training", None)  # Keras puts its own in, that of `predict`
            if kwargs.pop("mask", None) is not None:
                raise NoTranslationError("it is called with a mask")
            if is_model(config):
                given = [each for arg in args for each in (arg if isinstance(arg, list) else [arg])]
                value = self.read(config, given, f"{path}/", within or None)
            elif is_operation(config):
                return _translation(OPERATIONS, kind)(config["config"], *args, **kwargs)
            else:
                translation = _translation(LAYERS, kind)
                _require_no_constants([*args, *kwargs.values()])
                _require_plain(config["config"])
                layer = Layer(_without_counts(path), config["config"], self._arrays)
                value = translation(layer, *args, **kwargs)
                layer.require_all_taken()
        except NoTranslationError as error:
            if str(error).startswith("layer "):  # of a model within
                raise
            raise NoTranslationError(f"layer '{path}' ({kind}): {error}") from error
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise NoTranslationError(
                f"layer '{path}' ({kind}): settings that are not understood ({error!r})"
            ) from error
        if isinstance(value, Node) and not within:
            self.found[path] = value
        return value


def _image(config: Config, size: tuple[int, int]) -> Node:
    return operations.image((*size, input_shape(config)[2]))


def _translation(table: Mapping, kind: str):
    if kind not in table:
        raise NoTranslationError("there is no translation of its kind")
    return table[kind]


def _require_plain(settings: Config) -> None:
    """Refuse what changes the numbers of any layer."""
    policy = settings.get("dtype")
    if isinstance(policy, Mapping):
        policy = policy["config"].get("name")
    if policy not in (None, COMPUTED_IN):
        raise NoTranslationError(f"it computes in {policy}")
    if settings.get("data_format") == "channels_first":
        raise NoTranslationError("its channels come first")


def _require_no_constants(given: list) -> None:
    """Refuse arrays that are not nodes: only functions are called with such."""
    for each in given:
        if isinstance(each, list):
            _require_no_constants(each)
        elif isinstance(each, np.ndarray):
            raise NoTranslationError("it is called with a constant")


def _given(value: object, values: Mapping[Call, Value]) -> object:
    """Put nodes in the place of the tensors of a call's arguments."""
    if isinstance(value, list):
        return [_given(each, values) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name")
    if kind == "__keras_tensor__":
        name, i, part = value["config"]["keras_history"]
        return _part(values[name, i], part)
    if kind in CONSTANTS:
        return _constant(value["config"])
    if kind == "__slice__":
        return slice(*(value["config"][key] for key in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    return {key: _given(each, values) for key, each in value.items()}


def _constant(config: Config) -> np.ndarray:
    if config["dtype"] != COMPUTED_IN:
        raise NoTranslationError(f"a constant of {config['dtype']}")
    return np.asarray(config["value"], np.float32)


def _part(value: Value, i: int) -> Node:
    return value[i] if isinstance(value, list) else value


def _sources(value: object) -> Iterator[Call]:
    """Yield the calls that give the tensors of a call's arguments."""
    if isinstance(value, list):
        for each in value:
            yield from _sources(each)
    elif isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            name, i, _ = value["config"]["keras_history"]
            yield name, i
        else:
            yield from _sources(list(value.values()))


def _calls(config: Config) -> list[tuple[Call, Config]]:
    """List the calls of a model's layers in order, the input left out."""
    layers = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    if config["class_name"] == "Sequential":
        return [((name, 0), each) for name, each in layers.items() if each["class_name"] != INPUT]
    return [((name, i), layers[name]) for name, i in _in_order(config, None)]


def _in_order(config: Config, ends: list[Call] | None) -> list[Call]:
    """List the calls that some need, or the outputs, each behind those that it takes from.

    As Keras does, by how many calls lie behind: a layer counts where it is called first.
    """
    layers = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    sources = {
        (name, i): list(_sources([call.get("args"), call.get("kwargs")]))
        for name, layer in layers.items()
        for i, call in enumerate(layer.get("inbound_nodes", ()))
    }
    known = {(name, 0) for name, *_ in _histories(config["config"]["input_layers"])}
    if ends is None:
        ends = [_end(layers, each) for each in _histories(config["config"]["output_layers"])]
    depths: dict[Call, int] = {}
    depth_of_layer: dict[str, int] = {}
    for call in reversed(_behind_their_sources(sources, known, ends)):
        depth = max(depths.setdefault(call, 0), depth_of_layer.get(call[0], 0))
        depths[call] = depth_of_layer[call[0]] = depth
        for source in sources[call]:
            if source not in known:
                depths[source] = max(depth + 1, depths.get(source, 0))
    position = {name: i for i, name in enumerate(layers)}
    return sorted(depths, key=lambda call: (-depths[call], position[call[0]]))


def _behind_their_sources(
    sources: Mapping[Call, list[Call]], known: set[Call], ends: list[Call]
) -> list[Call]:
    """List the calls that some need, depth first."""
    found: dict[Call, None] = {}
    entered: set[Call] = set()
    stack = [(end, False) for end in reversed(ends)]
    while stack:  # a recursion would be as deep as the network
        call, sources_are_there = stack.pop()
        if sources_are_there:
            found[call] = None
        elif call not in found and call not in known:
            if call not in sources:
                raise NoTranslationError(f"no layer '{_label(call)}'")
            if call in entered:
                raise NoTranslationError(f"layer '{_label(call)}' takes what it gives")
            entered.add(call)
            stack.append((call, True))
            stack.extend((source, False) for source in reversed(sources[call]))
    return list(found)


def _label(call: Call) -> str:
    """Name a call as `pyimagesearch.nn.keraslayers` does: ``relu``, ``relu:2``."""
    name, number = call
    return f"{name}:{number + 1}" if number else name


def _split(cut: str | None) -> tuple[Call | None, str]:
    """Return the call that a path begins with, and the path within what it calls."""
    if cut is None:
        return None, ""
    first, _, within = cut.partition("/")
    name, _, number = first.rpartition(":") if COUNTED.fullmatch(first) else (first, "", "1")
    return (name, int(number) - 1), within


def _without_counts(path: str) -> str:
    """Return where the weights of a layer lie, whichever of its calls a path names."""
    return re.sub(r":\d+(?=/|$)", "", path)


def _histories(value: object) -> list[list]:
    """List the (layer, call, part) of a structure of lists and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if value and isinstance(value[0], str):
        return [value]
    return [history for each in value for history in _histories(each)]


def _end(layers: Mapping[str, Config], history: list) -> Call:
    """Return the call that gives an output.

    There Keras counts the call that made a functional model, which it does not
    save, as the first (keras 3.15).
    """
    name, i, _ = history
    return name, i - (layers[name]["class_name"] == "Functional")
