"""Which tokens of a vision transformer stand for patches of the image.

Only the class of a network says that: where KerasHub's have a cls token, it is the first, and
other tokens that stand for no patch, such as registers, are between it and the patches.
"""

from collections.abc import Callable, Iterable

# How many tokens stand before those of the patches, by the class of KerasHub's network.
_LEADING: dict[str, Callable[[object], int]] = {
    "BLIP2VisionEncoder": lambda network: int(network.use_class_token),
    "CLIPVisionEncoder": lambda network: 1,
    "DINOV2Backbone": lambda network: 1 + network.num_register_tokens,
    "DINOV3Backbone": lambda network: 1 + network.num_register_tokens,
    "DeiTBackbone": lambda network: 2,  # the second is for distillation
    "MetaCLIP2VisionEncoder": lambda network: 1,
    "MiTBackbone": lambda network: 0,
    "PaliGemmaVit": lambda network: 0,
    "SigLIPVisionEncoder": lambda network: 0,
    "SwinTransformerBackbone": lambda network: 0,
    "ViTBackbone": lambda network: int(network.use_class_token),
}


def is_of_keras_hub(layer) -> bool:
    """Return whether a layer or a network is KerasHub's, without importing that."""
    return type(layer).__module__.startswith("keras_hub.")


def leading_tokens(networks: Iterable) -> int | None:
    """Count the tokens before those of the patches; none of them is a cls token if 0.

    Parameters
    ----------
    networks : iterable of keras.Model
        What a layer lies in, the outermost first.

    Returns
    -------
    int or None
        None if it is unknown which tokens are what, or if there are none.
    """
    for network in reversed(list(networks)):
        if is_of_keras_hub(network) and type(network).__name__ in _LEADING:
            return _LEADING[type(network).__name__](network)
    return None


def default_pooling(shape: tuple[int, ...], n_leading: int | None) -> str:
    """Return the pooling of what a layer gives for one image, if the user asks for none.

    Examples
    --------
    >>> default_pooling((257, 384), 1), default_pooling((49, 768), 0), default_pooling((7, 7, 8), 0)
    ('cls', 'avg', 'none')
    """
    if len(shape) != 2 or n_leading is None:
        return "none"
    return "cls" if n_leading else "avg"


def pooled_tokens(output, pooling: str, n_leading: int):
    """Reduce tokens (b, n, d) to (b, d): the cls token, or an average or maximum of patches."""
    from keras import ops

    if pooling == "cls":
        return output[:, 0]
    patches = output[:, n_leading:]
    return ops.mean(patches, axis=1) if pooling == "avg" else ops.max(patches, axis=1)
