"""Build the network of a preset, and fill it with its weights."""

import contextlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from pyimagesearch.nn import keraslayers
from pyimagesearch.nn.backend import import_keras_hub
from pyimagesearch.nn.conversion import Conversion
from pyimagesearch.nn.kerasmodel import fill_whole
from pyimagesearch.nn.presets.files import CONFIG, CONVERTER, Preset
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.temporary import full_disk_named

# The part for images of a network that takes or gives something else besides.
TOWERS = ("vision_encoder", "vit_encoder", "image_encoder", "backbone")


@dataclass(frozen=True)
class PresetModel:
    """What a preset builds.

    Attributes
    ----------
    model : keras.Model
        Its network, or the part of it that is for images.
    conversion : Conversion or None
        How images become what it takes; None if the preset does not record it.
    """

    model: object
    conversion: Conversion | None


def build(
    preset: Preset, size: tuple[int, int] | None, jobs: int, with_weights: bool = True
) -> PresetModel:
    """Build a preset's network for images of a size.

    Parameters
    ----------
    preset : Preset
        Its files.
    size : tuple of int or None
        Height and width of an image, in pixels; None is the preset's own.
    jobs : int
        How many threads it may use on a processor.
    with_weights : bool
        Whether to fill it.

    Raises
    ------
    InputError
        If the files are damaged, if they hold no network for images, or if that cannot take
        images of this size.
    """
    keras_hub = import_keras_hub(jobs)
    import keras

    keras.utils.clear_session()  # or names of layers would count all networks that were built
    with _named_damage(preset):
        converter = _converter(preset)
        config = json.loads((preset.folder / CONFIG).read_bytes())["config"]
        declared = tuple(config.get("image_shape") or (None, None))[:2]
    own = converter and converter.image_size
    own = tuple(own) if own else None if None in declared else declared
    wanted = size or own
    with _named_size(preset, wanted, own) if wanted != own else _named_damage(preset):
        other = {"image_shape": (*wanted, 3)} if wanted and "image_shape" in config else {}
        folder = str(preset.folder)
        whole = keras_hub.models.Backbone.from_preset(folder, load_weights=False, **other)
        model = _for_images(whole)
    shape = _image_shape(model, preset)
    conversion = None if converter is None else _conversion(converter, preset)
    if wanted is None and None in shape:
        raise InputError(
            f"preset '{preset.name}' takes images of any size: give the size, in pixels, "
            "preferably that of its training"
        )
    if with_weights:
        with _named_size(preset, wanted, own) if wanted != own else contextlib.nullcontext():
            fill_whole(whole, preset.weights_path, preset.name)
    if wanted is not None and None in shape:
        model = keraslayers.resized(model, wanted, preset.name)
    elif wanted is not None and shape != wanted:
        raise InputError(
            f"preset '{preset.name}' takes images of {shape[0]} x {shape[1]} pixels only, "
            f"not of {wanted[0]} x {wanted[1]}: leave the size out"
        )
    return PresetModel(model, conversion)


def _for_images(whole):
    """Return a network, or its part for images if it takes or gives something else besides."""
    if len(whole.inputs) == len(whole.outputs) == 1:
        return whole
    parts = (getattr(whole, name, None) for name in TOWERS)
    return next((part for part in parts if part is not None), whole)


def _image_shape(model, preset: Preset) -> tuple[int | None, int | None]:
    """Return height and width of a network's images; None of what may be any.

    Raises
    ------
    InputError
        If it is no network for images.
    """
    is_graph = keraslayers.graph_of(model) is not None
    shapes = [tuple(tensor.shape) for tensor in model.inputs] if is_graph else []
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        takes = f"takes {', '.join(map(str, shapes))}" if is_graph else "is no graph of layers"
        raise InputError(
            f"preset '{preset.name}' is no network for single images: its {type(model).__name__} "
            f"{takes}, expected one that takes (None, height, width, 3)"
        )
    return shapes[0][1:3]


def _converter(preset: Preset):
    """Return KerasHub's layer that prepares images; None if the preset has none."""
    import keras

    if not preset.has_converter:
        return None
    config = json.loads((preset.folder / CONVERTER).read_bytes())
    return keras.saving.deserialize_keras_object(config)


def _conversion(converter, preset: Preset) -> Conversion:
    """Describe what a converter does.

    Raises
    ------
    InputError
        If it does more than `Conversion` describes.
    """
    from keras_hub.layers import ImageConverter

    if type(converter).call is not ImageConverter.call:
        raise InputError(
            f"preset '{preset.name}' prepares images by {type(converter).__name__}: expected one "
            "that resizes, scales and shifts; use another network"
        )
    return Conversion.of(converter)


@contextlib.contextmanager
def _named_damage(preset: Preset) -> Iterator[None]:
    try:
        with warnings.catch_warnings(action="ignore"), full_disk_named():
            yield
    except InputError:
        raise
    except Exception as error:  # Keras, KerasHub and json raise a dozen types
        raise InputError(
            f"cannot build the network of preset '{preset.name}': {first_line(error)}; expected a "
            f"folder as KerasHub's save_to_preset makes it, and no code"
        ) from error


@contextlib.contextmanager
def _named_size(
    preset: Preset, size: tuple[int, int], own: tuple[int, int] | None
) -> Iterator[None]:
    try:
        with full_disk_named():
            yield
    except Exception as error:
        its_own = f", its own is {own[0]}" if own else ""
        raise InputError(
            f"preset '{preset.name}' cannot take images of {size[0]} x {size[1]} pixels: "
            f"{first_line(error)}; give another size{its_own}"
        ) from error
