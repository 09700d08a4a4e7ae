"""Choose an engine, and load the network that a user asks for."""

import dataclasses
import importlib.util

from pyimagesearch.nn import keraslayers, kerasmodel, presets, source, zoo
from pyimagesearch.nn.backend import accelerator_devices, import_keras, sees_accelerator
from pyimagesearch.nn.choice import NetworkChoice
from pyimagesearch.nn.conversion import Conversion
from pyimagesearch.nn.cutting import feature_shape
from pyimagesearch.nn.description import Description, Weights
from pyimagesearch.nn.graph import NoTranslationError
from pyimagesearch.nn.kerasnetwork import (
    PROCESSOR_BATCH_SIZE,
    TOKENS_BATCH_SIZE,
    KerasNetwork,
)
from pyimagesearch.nn.ncnn import NcnnNetwork, plain_chain
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.openvinonetwork import OpenVINONetwork
from pyimagesearch.nn.preprocessing import PREPROCESSINGS
from pyimagesearch.nn.presets import model as presetmodel
from pyimagesearch.nn.tokens import default_pooling, is_of_keras_hub
from pyimagesearch.nn.weights import check_weights
from pyimagesearch.nn.zoo.vgg import VGG
from pyimagesearch.utils import InputError
from pyimagesearch.utils.memory import large_blocks_returned

ENGINES = ("auto", "keras", "ncnn", "openvino")
OPTIONAL = ("ncnn", "openvino")  # each in a package of its name


def load_network(
    choice: NetworkChoice, engine: str = "auto", batch_size: int = 32, jobs: int = 1
) -> Network:
    """Load a headless network with its weights.

    Parameters
    ----------
    choice : NetworkChoice
        Which network, cut where, with which weights.
    engine : str
        One of `ENGINES`. ``"auto"`` is Keras where it sees an accelerator,
        else ncnn for a simple convolutional network, else OpenVINO for every
        network that it can compute whole, else Keras. What is not installed is
        skipped. Keras computes the presets of KerasHub.
    batch_size : int
        The largest batch wanted.
    jobs : int
        How many threads the network may use on a processor.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the weights cannot be obtained or do not fit, if the network has no such
        layer or cannot take images of that size, or if the engine cannot
        compute it.
    """
    if engine in OPTIONAL and not is_installed(engine):
        raise InputError(
            f"engine '{engine}' is not installed: pip install {engine}, or use the engine keras"
        )
    if choice.weights is not None:
        check_weights(choice.weights)
    if choice.file is not None:
        kerasmodel.check_saved(choice.file)
    why_keras = _why_keras(engine, jobs)
    if why_keras is None:
        try:
            if choice.is_preset:
                raise NoTranslationError("it is a preset of KerasHub")
            return _load_graph(choice, engine, jobs)
        except NoTranslationError as error:
            if engine != "auto":
                raise InputError(
                    f"engine '{engine}' cannot compute {choice.network}: {error}; "
                    "use the engine keras"
                ) from error
            why_keras = str(error)
    return _load_with_keras(choice, batch_size, jobs, why_keras)


def list_layers(choice: NetworkChoice, jobs: int = 1) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer of a network gives for one image, by name.

    The weights of a network of ``keras.applications`` or of a preset are not needed.
    """
    if choice.is_preset:
        preset = presets.find(choice.network, with_weights=False)
        built = presetmodel.build(preset, choice.size, jobs, with_weights=False)
        return keraslayers.layer_shapes(built.model)
    if choice.file is not None:
        kerasmodel.check_saved(choice.file)
    try:
        return source.layer_shapes(choice, jobs)
    except NoTranslationError:
        return keraslayers.layer_shapes(_keras_model(choice, jobs))


def is_installed(engine: str) -> bool:
    """Return whether an optional engine is there, without importing it."""
    return importlib.util.find_spec(engine) is not None


def _load_graph(choice: NetworkChoice, engine: str, jobs: int) -> Network:
    """Load a network without Keras, unless its layers are not known yet.

    Raises
    ------
    NoTranslationError
        If no engine that may be taken can compute it.
    """
    may = [name for name in OPTIONAL if engine in ("auto", name) and is_installed(name)]
    is_branched = choice.file is None and choice.network not in VGG
    if not may or (may == ["ncnn"] and engine == "auto" and is_branched):
        raise NoTranslationError("OpenVINO is not installed")
    choice = dataclasses.replace(choice, pooling=choice.pooling or "none")
    with large_blocks_returned(), source.opened(choice, jobs) as opened:
        layer = choice.layer or opened.default_layer()
        graph, shape = opened.cut(choice.network, layer, choice.pooling)
        description = _describe(choice, layer, opened.size, shape, opened.weights)
    chain = plain_chain(graph) if "ncnn" in may else None
    if chain is not None:
        return NcnnNetwork(chain, description, _why("simple convolutional network", engine))
    if "openvino" not in may:
        raise NoTranslationError(
            "it is not a simple convolutional network"
            if engine == "ncnn"
            else "OpenVINO is not installed"
        )
    graph = source.pooled(graph, choice.pooling)
    return OpenVINONetwork(graph, description, _why("every layer supported", engine))


def _load_with_keras(choice: NetworkChoice, batch_size: int, jobs: int, why: str) -> Network:
    if choice.is_preset:
        preset = presets.find(choice.network)
        weights = preset.weights()
        built = presetmodel.build(preset, choice.size, jobs)
        model = built.model
        choice = dataclasses.replace(
            choice, preprocessing=choice.preprocessing or _conversion(built, preset)
        )
    elif choice.file is None:
        import_keras(jobs)
        network = zoo.find(choice.network)
        model, weights = kerasmodel.zoo_model(network, choice.size, choice.weights)
    else:
        model = _keras_model(choice, jobs)
        weights = source.file_weights(choice)
    places = keraslayers.places(model)
    name_last = keraslayers.last if choice.file is None else keraslayers.last_before_head
    layer = choice.layer or name_last(model, places)
    n_leading = places[layer].n_leading if layer in places else None
    layer_shapes = {path: place.shape for path, place in places.items()}
    pooling = choice.pooling or default_pooling(layer_shapes.get(layer, ()), n_leading)
    shape = feature_shape(choice.network, layer_shapes, layer, pooling, n_leading)
    choice = dataclasses.replace(choice, pooling=pooling)
    description = _describe(choice, layer, tuple(model.inputs[0].shape[1:3]), shape, weights)
    cut_there = keraslayers.cut_at(model, places[layer], pooling)
    if choice.file is not None:
        kerasmodel.require_numbers(cut_there, choice.file)
    on_processor = PROCESSOR_BATCH_SIZE if n_leading is None else TOKENS_BATCH_SIZE
    whole = model if is_of_keras_hub(model) else None
    return KerasNetwork(cut_there, description, batch_size, why, on_processor, whole)


def _conversion(built: presetmodel.PresetModel, preset: presets.Preset) -> Conversion:
    """Return how a preset prepares images."""
    if built.conversion is None:
        raise InputError(
            f"preset '{preset.name}' does not record its preprocessing: expected "
            f"{presets.CONVERTER} in its folder; give the preprocessing, one of "
            f"{', '.join(PREPROCESSINGS)}"
        )
    return built.conversion


def _why_keras(engine: str, jobs: int) -> str | None:
    """Return why Keras computes the network even if others could; None if it does not."""
    if engine == "keras":
        return "as asked"
    if engine == "auto" and accelerator_devices():
        import_keras(jobs)
        if sees_accelerator():
            return "Keras sees an accelerator"
    return None


def _why(found: str, engine: str) -> str:
    return f"no GPU; {found}" if engine == "auto" else "as asked"


def _keras_model(choice: NetworkChoice, jobs: int):
    """Return a network as Keras has it; one of its own has no weights yet."""
    import_keras(jobs)
    if choice.file is None:
        return zoo.build(zoo.find(choice.network), choice.size)
    model = kerasmodel.saved_model(choice.file, choice.part)
    size = choice.size or tuple(model.inputs[0].shape[1:3])
    if None in size:
        raise InputError(
            f"'{choice.network}' takes images of any size: give the size, in pixels, "
            "preferably that of its training"
        )
    return keraslayers.resized(model, size, choice.network)


def _describe(
    choice: NetworkChoice,
    layer: str,
    size: tuple[int, int],
    shape: tuple[int, ...],
    weights: Weights,
) -> Description:
    return Description(
        network=choice.name,
        layer=layer,
        pooling=choice.pooling,
        size=size,
        preprocessing=choice.preprocessing,
        feature_shape=shape,
        weights=weights,
    )
