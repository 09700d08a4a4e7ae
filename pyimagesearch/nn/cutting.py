"""Where a network is cut, and the features that this gives, whatever computes them."""

from collections.abc import Mapping

from pyimagesearch.nn.zoo import nearest
from pyimagesearch.utils import InputError


def feature_shape(
    network: str, layer_shapes: Mapping[str, tuple[int, ...]], layer: str, pooling: str
) -> tuple[int, ...]:
    """Return the shape of one picture's features.

    Parameters
    ----------
    network : str
        Its name, for messages.
    layer_shapes : mapping of str to tuple of int
        What each of its layers gives for one picture.
    layer : str
        The layer after which it is cut.
    pooling : str
        ``"none"``, or ``"avg"`` or ``"max"`` over rows and columns.

    Raises
    ------
    InputError
        If there is no such layer, or it gives no rows and columns to pool.
    """
    if layer not in layer_shapes:
        raise InputError(
            f"{network} has no layer '{layer}' to cut after: expected "
            f"{nearest(layer, list(layer_shapes))}, or another that --list-layers prints"
        )
    shape = layer_shapes[layer]
    if pooling == "none":
        return shape
    if len(shape) != 3:
        raise InputError(
            f"--pooling {pooling} has nothing to pool: layer '{layer}' gives {shape}, "
            "expected (height, width, channels); leave it out"
        )
    return shape[-1:]
