"""The layers of a Keras network: list them, find where its head begins, cut it there."""

from collections.abc import Iterator

from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line

HEAD_ENDS = ("softmax", "sigmoid")


def layer_shapes(model) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer gives for one picture, by name.

    The input, and layers that give several arrays, are left out: a network
    cannot be cut there.
    """
    import keras

    return {
        layer.name: tuple(layer.output.shape[1:])
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer) and hasattr(layer.output, "shape")
    }


def last_before_head(model) -> str:
    """Name the last layer of a saved network that is not part of its classifier.

    A network that ends in a dense layer, a softmax or a sigmoid has a
    classifier: it begins where the rows and columns of pixels end. Any other
    network is used whole.
    """
    shapes = layer_shapes(model)
    if _is_classifier(model.layers[-1]):
        with_pixels = [
            name for name, shape in shapes.items() if len(shape) == 3 and shape[:2] != (1, 1)
        ]
        if with_pixels:
            return with_pixels[-1]
    return list(shapes)[-1]


def cut_model(model, layer: str, pooling: str = "none"):
    """Return the network up to and with a layer, and a global pooling behind it.

    Parameters
    ----------
    model : keras.Model
        The network.
    layer : str
        One of its own layers.
    pooling : str
        ``"none"``, ``"avg"`` or ``"max"``.

    Returns
    -------
    keras.Model
        Shares its weights with `model`.
    """
    import keras

    output = model.get_layer(layer).output
    if pooling == "avg":
        output = keras.layers.GlobalAveragePooling2D()(output)
    elif pooling == "max":
        output = keras.layers.GlobalMaxPooling2D()(output)
    return keras.Model(model.inputs[0], output)


def resized(model, size: tuple[int, int], network: str):
    """Return the network for pictures of another size, with weights of its own.

    Raises
    ------
    InputError
        If it cannot take pictures of that size.
    """
    import keras

    if tuple(model.inputs[0].shape[1:3]) == size:
        return model
    try:
        other = keras.models.clone_model(model, input_tensors=keras.Input((*size, 3)))
        other.set_weights(model.get_weights())
        for leaf in leaves(other):
            finish(leaf)
    except ValueError as error:
        raise InputError(
            f"{network} cannot take pictures of {size[0]} x {size[1]} pixels: "
            f"{first_line(error)}; give another --size"
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


def _is_classifier(layer) -> bool:
    import keras

    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    return isinstance(layer, keras.layers.Dense | keras.layers.Softmax) or activation in HEAD_ENDS
