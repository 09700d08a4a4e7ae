"""The layers of a Keras network, and of networks within it: list them, cut behind one.

Keras's guides to transfer learning use a whole network as one layer of another. A layer of
the inner one is named by a path, ``mobilenetv2/out_relu``; Keras allows no ``/`` in a name. A
layer that is called several times has a place behind each call: ``relu``, ``relu:2``, in the
order in which Keras keeps the calls, and saves them. ``base:2/relu`` is a layer of a network in
its second call.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyimagesearch.nn.tokens import is_of_keras_hub, leading_tokens, pooled_tokens
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line

HEAD_ENDS = ("softmax", "sigmoid")


@dataclass(frozen=True)
class Place:
    """Where a network can be cut: behind a call of a layer that gives one array.

    Attributes
    ----------
    calls : tuple of keras.Node
        The call, after those of the networks that it lies in, the outermost first.
    shape : tuple of int
        What it gives for one image.
    n_leading : int or None
        How many tokens it gives before those of patches, see `leading_tokens`.
    """

    calls: tuple
    shape: tuple[int, ...]
    n_leading: int | None = None

    @property
    def gives_tokens(self) -> bool:
        """Whether it is known to give tokens, and which of them are patches."""
        return len(self.shape) == 2 and self.n_leading is not None

    @property
    def is_tower(self) -> bool:
        """Whether it is a whole vision transformer: some pool their tokens themselves."""
        return self.n_leading is not None and graph_of(self.calls[-1].operation) is not None


def graph_of(model):
    """Return the graph of a network; None for a layer, or a network that code defines."""
    graph = getattr(model, "_functional", model)  # of a Sequential
    return graph if hasattr(graph, "_nodes_by_depth") else None


def places(model) -> dict[str, Place]:
    """Find where a network can be cut, in the order of computation.

    The layers of a network within it come before that network itself. The
    input, and layers that give several arrays, are left out.
    """
    return dict(_places(model, "", ()))


def layer_shapes(model) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer gives for one image, by its path."""
    return {path: place.shape for path, place in places(model).items()}


def last(model, found: dict[str, Place]) -> str:
    """Name the place that gives what a network gives; the last one if it gives several arrays."""
    for path, place in found.items():
        if len(place.calls) == 1 and place.calls[0].outputs[0] is model.outputs[0]:
            return path
    return list(found)[-1]


def last_before_head(model, found: dict[str, Place]) -> str:
    """Name the last layer of a saved network that is not part of its classifier.

    A network that ends in a dense layer, a softmax or a sigmoid has a
    classifier: it begins where the rows and columns of pixels end, or the tokens, which may be
    within a network that is one of its layers. Any other network is used whole.
    """
    if _is_classifier(_last_layer(model)):
        with_pixels = [
            name
            for name, place in found.items()
            if (len(place.shape) == 3 and place.shape[:2] != (1, 1))
            or place.gives_tokens
            or place.is_tower
        ]
        if with_pixels:
            return with_pixels[-1]
    return list(found)[-1]


def cut_model(model, layer: str, pooling: str = "none"):
    """Return the network up to and with a layer, and a global pooling behind it.

    Parameters
    ----------
    model : keras.Model
        The network.
    layer : str
        One of `places`.
    pooling : str
        ``"none"``, ``"avg"``, ``"max"`` or ``"cls"``.

    Returns
    -------
    keras.Model
        Shares its weights with `model`.
    """
    return cut_at(model, places(model)[layer], pooling)


def cut_at(model, place: Place, pooling: str = "none"):
    """Return the network up to and with one of its places, as `cut_model` does."""
    import keras

    output = _output(place.calls)
    if pooling != "none" and place.gives_tokens:
        output = pooled_tokens(output, pooling, place.n_leading)
    elif pooling == "avg":
        output = keras.layers.GlobalAveragePooling2D()(output)
    elif pooling == "max":
        output = keras.layers.GlobalMaxPooling2D()(output)
    return keras.Model(model.inputs[0], output)


def resized(model, size: tuple[int, int], network: str):
    """Return the network for images of a size, with weights of its own if it takes another.

    Networks within it are made for the size of what they get, too: otherwise
    they would not give the shapes of what their layers give.

    Raises
    ------
    InputError
        If it cannot take images of that size.
    """
    import keras

    if tuple(model.inputs[0].shape) == (None, *size, 3) and _fits_within(model):
        return model
    copies: dict[int, tuple] = {}

    def copy(layer):
        if id(layer) not in copies:
            copies[id(layer)] = layer, layer.__class__.from_config(layer.get_config())
        return copies[id(layer)][1]

    try:
        other = _rebuilt(model, [keras.Input((*size, 3))], copy)
        for layer, its_copy in copies.values():
            if isinstance(layer, keras.Layer):
                its_copy.set_weights(layer.get_weights())
                for leaf in leaves(its_copy):
                    finish(leaf)
    except ValueError as error:
        raise InputError(
            f"{network} cannot take images of {size[0]} x {size[1]} pixels: "
            f"{first_line(error)}; give another size"
        ) from error
    return other


def leaves(layer) -> Iterator:
    """Yield the layers of a network, and of the networks within it."""
    parts = getattr(layer, "layers", None)
    if parts is None:
        yield layer
    for part in parts or ():
        yield from leaves(part)


def finish(layer) -> None:
    """Have a layer use its new weights: ``Normalization`` computes with a copy.

    Keras forgets this when it is given weights otherwise than by its newer kinds
    of files (keras 3.15).
    """
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def _places(network, prefix: str, above: tuple) -> Iterator[tuple[str, Place]]:
    around = [*(call.operation for call in above), network]
    for name, call in _calls(network):
        if graph_of(call.operation) is not None:
            yield from _places(call.operation, f"{prefix}{name}/", (*above, call))
        blocks, gives_result = _blocks(call)
        for block in blocks:
            shape = tuple(block.outputs[0].shape[1:])
            if None not in shape:
                place = Place((*above, block), shape, leading_tokens(around))
                yield f"{prefix}{name}/{block.operation.name}", place
        shape = tuple(call.outputs[0].shape[1:])
        if (len(call.outputs) == 1 or gives_result) and None not in shape:
            n_leading = leading_tokens([*around, call.operation])
            yield prefix + name, Place((*above, call), shape, n_leading)


def _blocks(call) -> tuple[list, bool]:
    """Return the calls of the blocks within a layer of KerasHub, whose encoders are one layer.

    Returns
    -------
    list of keras.Node
        One for each block, in the order of computation.
    bool
        Whether what the layer gives first comes from them: encoders give their result, and what is
        in their blocks besides; HGNetV2's begins with what it gets.
    """
    import keras

    encoder = call.operation
    if not is_of_keras_hub(encoder) or graph_of(encoder) is not None:
        return [], False
    lists = (
        value
        for name, value in vars(encoder).items()
        if isinstance(value, list) and not name.startswith("_")
    )
    blocks = [block for each in lists for block in each if isinstance(block, keras.Layer)]
    if not blocks:
        return [], False
    options = dict(call.arguments.kwargs)
    if "return_attention_scores" in inspect.signature(encoder.call).parameters:
        options["return_attention_scores"] = True  # or its blocks would give None, too
    try:
        given = encoder.call(*call.arguments.args, **options)  # adds a node to each of them
    except (TypeError, ValueError):  # D-FINE's are called otherwise than other layers
        return [], False
    nodes = [block._inbound_nodes[-1] for block in blocks if block._inbound_nodes]
    return nodes, all(keras.tree.flatten(given)[0] is not tensor for tensor in call.input_tensors)


def _calls(network) -> Iterator[tuple[str, object]]:
    """Yield the calls of a network's layers, in the order of ``network.layers``, with names."""
    import keras

    graph = graph_of(network)
    position = {id(operation): i for i, operation in enumerate(graph.operations)}
    calls = [
        call
        for depth in sorted(graph._nodes_by_depth, reverse=True)
        for call in sorted(graph._nodes_by_depth[depth], key=lambda c: position[id(c.operation)])
    ]
    here = set(map(id, calls))
    for call in calls:
        layer = call.operation
        if call.is_input or not isinstance(layer, keras.Layer):
            continue
        number = [id(each) for each in layer._inbound_nodes if id(each) in here].index(id(call))
        yield f"{layer.name}:{number + 1}" if number else layer.name, call


def _output(calls: tuple):
    """Return what the innermost of some calls gives, within the outermost network."""
    import keras

    call, *within = calls
    if not within:
        return call.outputs[0]
    network = call.operation
    part = keras.Model(graph_of(network).input, _output(within), name=f"{network.name}_cut")
    return part(*call.arguments.args, **call.arguments.kwargs)


def _fits_within(network) -> bool:
    """Return whether each network within one is made for just what it gets."""
    inner = [call for _, call in _calls(network) if graph_of(call.operation) is not None]
    return all(
        [tensor.shape for tensor in call.operation.inputs]
        == [tensor.shape for tensor in call.input_tensors]
        and _fits_within(call.operation)
        for call in inner
    )


def _rebuilt(network, inputs: list, copy: Callable):
    """Return a network on other inputs, with copies of its layers."""
    import keras

    made: dict[tuple, object] = {}

    def call(layer, *args, **kwargs):
        if graph_of(layer) is None:
            return layer(*args, **kwargs)
        given = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        key = (id(layer), *(tensor.shape for tensor in given))
        if key not in made:
            starts = [keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in given]
            made[key] = _rebuilt(layer, starts, copy)
            n_before = sum(id(layer) == other for other, *_ in made) - 1
            if n_before:  # it is called with several sizes
                made[key].name += f"_{n_before + 1}"
        return made[key](*args, **kwargs)

    graph = graph_of(network)
    rebuilt = keras.models.clone_model(
        graph,
        input_tensors=keras.tree.pack_sequence_as(graph.input, inputs),
        clone_function=lambda layer: copy(layer) if graph_of(layer) is None else layer,
        call_function=call,
    )
    rebuilt.name = network.name
    return rebuilt


def _last_layer(network):
    last = network.layers[-1]
    return last if graph_of(last) is None else _last_layer(last)


def _is_classifier(layer) -> bool:
    import keras

    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    return isinstance(layer, keras.layers.Dense | keras.layers.Softmax) or activation in HEAD_ENDS
