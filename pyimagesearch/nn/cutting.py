"""Where a network is cut, and the features that this gives, whatever computes them."""

from collections.abc import Mapping

from pyimagesearch.nn.zoo import nearest
from pyimagesearch.utils import InputError


def feature_shape(
    network: str,
    layer_shapes: Mapping[str, tuple[int, ...]],
    layer: str,
    pooling: str,
    n_leading: int | None = None,
) -> tuple[int, ...]:
    """Return the shape of one image's features.

    Parameters
    ----------
    network : str
        Its name, for messages.
    layer_shapes : mapping of str to tuple of int
        What each of its layers gives for one image.
    layer : str
        The layer after which it is cut.
    pooling : str
        ``"none"``, or ``"avg"`` or ``"max"`` over rows and columns, or over
        the tokens of patches; or ``"cls"``, the first token.
    n_leading : int or None
        How many tokens the layer gives before those of patches, see
        `pyimagesearch.nn.tokens`; None if it gives none, or that is unknown.

    Raises
    ------
    InputError
        If there is no such layer, or it gives nothing to pool.
    """
    if layer not in layer_shapes:
        raise InputError(
            f"{network} has no layer '{layer}' to cut after: expected "
            f"{nearest(layer, list(layer_shapes))}, or another of its {len(layer_shapes)} layers"
        )
    shape = layer_shapes[layer]
    if pooling == "none":
        return shape
    are_tokens = len(shape) == 2 and n_leading is not None
    if pooling == "cls" and not (are_tokens and n_leading):
        raise InputError(
            f"pooling 'cls' has no cls token to take: layer '{layer}' of {network} gives {shape}, "
            "expected the tokens of a network that has one; leave it out"
        )
    if len(shape) != 3 and not are_tokens:
        raise InputError(
            f"pooling '{pooling}' has nothing to pool: layer '{layer}' gives {shape}, "
            "expected (height, width, channels), or tokens of a network of KerasHub; leave it out"
        )
    return shape[-1:]
