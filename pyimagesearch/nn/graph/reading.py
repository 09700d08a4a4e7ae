"""Read the graph of a network from the config that Keras saves, without Keras."""

from collections.abc import Iterator, Mapping

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

    Layers that are called more than once, or that give several arrays, are
    left out: a network cannot be cut there.

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
    return {path: reader.found[path] for path in layer_paths(config) if path in reader.found}


def read_graph(config: Config, arrays: Arrays, size: tuple[int, int], layer: str) -> Graph:
    """Translate a network up to and with a layer; parameters and errors as of `layer_nodes`."""
    reader = _Reader(arrays)
    reader.read(config, [_image(config, size)], "", layer)
    if layer not in reader.found:
        raise NoTranslationError(f"no single array that layer '{layer}' gives")
    return Graph(reader.found[layer])


def layers_of(config: Config, path: str = "") -> Iterator[tuple[str, Config]]:
    """Yield the path and the config of each layer, in Keras's order; first of those within it."""
    for each in config["config"]["layers"]:
        name = path + each["config"]["name"]
        if is_model(each):
            yield from layers_of(each, f"{name}/")
        yield name, each


def layer_paths(config: Config) -> list[str]:
    """List the paths of the layers that a network can be cut after, in Keras's order."""
    return [
        path
        for path, layer in layers_of(config)
        if layer["class_name"] != INPUT and not is_operation(layer)
    ]


def is_model(config: Config) -> bool:
    """Tell whether a layer is a network itself."""
    return "layers" in config["config"] and config["class_name"] in ("Functional", "Sequential")


def is_operation(config: Config) -> bool:
    """Tell whether what a config tells of is a function of ``keras.ops``, no layer."""
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

    def read(self, config: Config, given: list[Node], path: str, cut: str | None) -> Value:
        """Return what a model gives for its inputs, or stop after the layer of a path."""
        if config["class_name"] == "Sequential":
            return self._sequential(config, given, path, cut)
        if config["class_name"] != "Functional":
            raise NoTranslationError(f"a network of the class {config['class_name']}")
        return self._functional(config, given, path, cut)

    def _sequential(self, config: Config, given: list[Node], path: str, cut: str | None) -> Value:
        value: Value = given[0]
        for layer in config["config"]["layers"]:
            if layer["class_name"] == INPUT:
                continue
            value = self._call(layer, [value], {}, path, cut)
            self._keep(path + layer["config"]["name"], value)
            if cut is not None and cut.split("/")[0] == layer["config"]["name"]:
                break
        return value

    def _functional(self, config: Config, given: list[Node], path: str, cut: str | None) -> Value:
        settings = config["config"]
        layers = {layer["config"]["name"]: layer for layer in settings["layers"]}
        entries = _histories(settings["input_layers"])
        values: dict[Call, Value] = {
            (name, 0): node for (name, *_), node in zip(entries, given, strict=True)
        }
        calls: dict[Call, Config] = {
            (name, i): call
            for name, layer in layers.items()
            for i, call in enumerate(layer.get("inbound_nodes", ()))
        }
        ends = [(cut.split("/")[0], 0)] if cut else [_end(layers, h) for h in _outputs(settings)]
        for name, i in _in_order(calls, values.keys(), ends if cut else calls.keys()):
            layer, call = layers[name], calls[name, i]
            args, kwargs = (_given(call.get(key), values) for key in ("args", "kwargs"))
            values[name, i] = self._call(layer, args, kwargs, path, cut)
            if len(layer["inbound_nodes"]) == 1 and not is_operation(layer):
                self._keep(path + name, values[name, i])
        if cut:
            return values[ends[0]]
        outputs = [
            _part(values[end], history[2])
            for end, history in zip(ends, _outputs(settings), strict=True)
        ]
        return outputs[0] if len(outputs) == 1 else outputs

    def _keep(self, path: str, value: Value) -> None:
        if isinstance(value, Node):
            self.found[path] = value

    def _call(self, config: Config, args: list, kwargs: dict, path: str, cut: str | None) -> Value:
        name, kind = config["config"]["name"], config["class_name"]
        try:
            kwargs.pop("training", None)  # Keras puts its own in, that of `predict`
            if kwargs.pop("mask", None) is not None:
                raise NoTranslationError("it is called with a mask")
            if is_model(config):
                inner = cut.partition("/")[2] if cut and cut.split("/")[0] == name else ""
                given = [each for arg in args for each in (arg if isinstance(arg, list) else [arg])]
                return self.read(config, given, f"{path}{name}/", inner or None)
            if is_operation(config):
                return _translation(OPERATIONS, kind)(config["config"], *args, **kwargs)
            translation = _translation(LAYERS, kind)
            _require_plain(config["config"])
            layer = Layer(path + name, config["config"], self._arrays)
            node = translation(layer, *args, **kwargs)
            layer.require_all_taken()
        except NoTranslationError as error:
            if str(error).startswith("layer "):  # of a model within
                raise
            raise NoTranslationError(f"layer '{path}{name}' ({kind}): {error}") from error
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise NoTranslationError(
                f"layer '{path}{name}' ({kind}): settings that are not understood ({error!r})"
            ) from error
        return node


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
    if kind == "__slice__":
        return slice(*(value["config"][key] for key in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    return {key: _given(each, values) for key, each in value.items()}


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


def _in_order(calls: Mapping[Call, Config], known, ends) -> list[Call]:
    """List the calls that some need, each behind those that it takes from, as Keras has them."""
    sources = {call: set(_sources(dict(config))) for call, config in calls.items()}
    needed: set[Call] = set()
    stack = [end for end in ends if end not in known]
    while stack:
        call = stack.pop()
        if call not in needed:
            if call not in calls:
                raise NoTranslationError(f"no layer '{call[0]}'")
            needed.add(call)
            stack += [source for source in sources[call] if source not in known]
    ordered: dict[Call, None] = {}
    waiting = [call for call in calls if call in needed]
    while waiting:
        left = []
        for call in waiting:
            if all(source in known or source in ordered for source in sources[call]):
                ordered[call] = None
            else:
                left.append(call)
        if len(left) == len(waiting):
            raise NoTranslationError(f"layer '{left[0][0]}' takes what it gives")
        waiting = left
    return list(ordered)


def _outputs(settings: Config) -> list[list]:
    return _histories(settings["output_layers"])


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
