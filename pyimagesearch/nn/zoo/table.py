"""The networks of ``keras.applications``: what each takes, and how it is built.

The table answers without importing Keras; tests hold it equal to Keras's own.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line


@dataclass(frozen=True)
class ZooNetwork:
    """A network of ``keras.applications``.

    Attributes
    ----------
    name : str
        As Keras spells it.
    size : int
        Height and width that its images have by default, in pixels.
    preprocessing : str
        One of `pyimagesearch.nn.preprocessing.PREPROCESSINGS`.
    """

    name: str
    size: int
    preprocessing: str


def _networks(preprocessing: str, **sizes: int) -> dict[str, ZooNetwork]:
    return {name: ZooNetwork(name, size, preprocessing) for name, size in sizes.items()}


ZOO = {
    **_networks("caffe", VGG16=224, VGG19=224),
    **_networks("caffe", ResNet50=224, ResNet101=224, ResNet152=224),
    **_networks("tf", ResNet50V2=224, ResNet101V2=224, ResNet152V2=224),
    **_networks("tf", InceptionV3=299, InceptionResNetV2=299, Xception=299),
    **_networks("tf", MobileNet=224, MobileNetV2=224, NASNetMobile=224, NASNetLarge=331),
    **_networks("torch", DenseNet121=224, DenseNet169=224, DenseNet201=224),
    # These scale the pixels in their own first layers.
    **_networks("none", MobileNetV3Small=224, MobileNetV3Large=224),
    **_networks("none", EfficientNetB0=224, EfficientNetB1=240, EfficientNetB2=260),
    **_networks("none", EfficientNetB3=300, EfficientNetB4=380, EfficientNetB5=456),
    **_networks("none", EfficientNetB6=528, EfficientNetB7=600),
    **_networks("none", EfficientNetV2B0=224, EfficientNetV2B1=240, EfficientNetV2B2=260),
    **_networks("none", EfficientNetV2B3=300),
    **_networks("none", EfficientNetV2S=384, EfficientNetV2M=480, EfficientNetV2L=480),
    **_networks("none", ConvNeXtTiny=224, ConvNeXtSmall=224, ConvNeXtBase=224),
    **_networks("none", ConvNeXtLarge=224, ConvNeXtXLarge=224),
}


def find(name: str, presets: Iterable[str] = ()) -> ZooNetwork:
    """Return the network of a name, whose letter case does not matter.

    Parameters
    ----------
    name : str
        The name.
    presets : iterable of str
        What else there is, for the message; none if KerasHub is not installed.

    Raises
    ------
    InputError
        If there is none; names the nearest.
    """
    by_lower_case = {known.lower(): network for known, network in ZOO.items()}
    if name.lower() in by_lower_case:
        return by_lower_case[name.lower()]
    known = [*ZOO, *presets]
    presets_too = (
        "a preset of KerasHub or its folder"
        if len(known) > len(ZOO)
        else "a preset of KerasHub, which is not installed: pip install -r requirements-hub.txt"
    )
    raise InputError(
        f"no network '{name}': expected {nearest(name, known)}, another of keras.applications, a "
        f".keras file, or {presets_too}"
    )


def nearest(name: str, known: list[str], n: int = 3) -> str:
    """List the known names that are most like a wrong one, by their last part too.

    Examples
    --------
    >>> nearest("block5pool", ["block4_conv1", "block5_pool", "block4_pool"], n=2)
    "'block5_pool' or 'block4_pool'"
    >>> nearest("relu", ["base/conv", "base/relu", "dense"], n=1)
    "'base/relu'"
    """
    spelt = {candidate.rpartition("/")[2].lower(): candidate for candidate in reversed(known)}
    spelt |= {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), spelt, 2 * n, cutoff=0)
    names = list(dict.fromkeys(spelt[match] for match in close))[:n]
    return " or ".join(f"'{each}'" for each in names)


def build(network: ZooNetwork, size: tuple[int, int], weights: str | None = None):
    """Build a headless network with Keras.

    Parameters
    ----------
    network : ZooNetwork
        Which one.
    size : tuple of int
        Height and width of its images, in pixels.
    weights : str or None
        ``"imagenet"`` has Keras fetch and load its own, None leaves them
        as Keras initialises them.

    Returns
    -------
    keras.Model
        Takes (b, height, width, 3), gives what is before the head.

    Raises
    ------
    InputError
        If it cannot be built for images of that size.
    """
    import keras

    # Keras numbers layers without a name, such as conv2d_7, through all networks
    # that it has built, and the number is part of their names.
    keras.utils.clear_session()
    constructor = getattr(keras.applications, network.name)
    try:
        return constructor(include_top=False, weights=weights, input_shape=(*size, 3))
    except ValueError as error:
        if weights is not None or size == (network.size, network.size):
            raise
        raise InputError(
            f"{network.name} cannot take images of {size[0]} x {size[1]} pixels: "
            f"{first_line(error)}; give another size, its own is {network.size}"
        ) from error
