"""Choose an engine, and load the network that a user asks for."""

import dataclasses
import importlib.util
from pathlib import Path

from pyimagesearch.nn import keraslayers, kerasmodel, vgg, zoo
from pyimagesearch.nn.backend import accelerator_devices, import_keras, sees_accelerator
from pyimagesearch.nn.chain import Chain, cut, plain_chain, shapes
from pyimagesearch.nn.choice import NetworkChoice
from pyimagesearch.nn.cutting import feature_shape
from pyimagesearch.nn.description import Description, Weights
from pyimagesearch.nn.kerasnetwork import KerasNetwork
from pyimagesearch.nn.ncnnnetwork import NcnnNetwork
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.vgg import VGG
from pyimagesearch.nn.weights import IMAGENET, RANDOM, check_weights, sha256_of
from pyimagesearch.utils import InputError
from pyimagesearch.utils.pathchecks import require_readable

ENGINES = ("auto", "keras", "ncnn")


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
        else ncnn where it is installed and can compute the network, else Keras.
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
        If the weights cannot be had or do not fit, if the network has no such
        layer or cannot take pictures of that size, or if the engine cannot
        compute it.
    """
    if engine == "ncnn" and not ncnn_is_installed():
        raise InputError("engine 'ncnn' is not installed: pip install ncnn, or use --engine keras")
    if choice.weights is not None:
        check_weights(choice.weights)
    load = _load_vgg if choice.network in VGG else _load_with_keras
    return load(choice, engine, batch_size, jobs)


def load_described(
    description: Description,
    weights_file: Path | None = None,
    engine: str = "auto",
    batch_size: int = 32,
    jobs: int = 1,
) -> Network:
    """Load exactly the network that a description tells of.

    Parameters
    ----------
    description : Description
        As it was recorded.
    weights_file : Path or None
        Where the file is, if the weights were in one or have been put into one.
    engine, batch_size, jobs
        As of `load_network`.

    Raises
    ------
    InputError
        As of `load_network`; and if the weights are others than were recorded.
    """
    recorded = description.weights
    if weights_file is not None or recorded.name not in (IMAGENET, RANDOM):
        expected = (
            f"the one that the features were made with, of SHA-256 {recorded.sha256}; "
            "give --weights FILE"
        )
        if weights_file is None:
            raise InputError(f"no weights file '{recorded.name}': expected {expected}")
        require_readable(weights_file, "weights file", expected)
        # Before a network that may be quite another is built.
        _require_same(sha256_of(weights_file), recorded, str(weights_file))
    choice = NetworkChoice.again(description, weights_file)
    network = load_network(choice, engine, batch_size, jobs)
    found = network.description
    _require_same(found.weights.sha256, recorded, found.weights.name)
    # A file may have another name by now.
    if dataclasses.replace(found, network=description.network, weights=recorded) != description:
        raise InputError(
            f"the network comes out as {found}, and {description} was recorded: "
            "use the versions of Keras and of this project that it was made with"
        )
    network.description = description
    return network


def list_layers(choice: NetworkChoice, jobs: int = 1) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer of a network gives for one picture, by name.

    The weights of a network of ``keras.applications`` are not needed.
    """
    if choice.network in VGG:
        return _vgg_shapes(choice)
    if choice.file is not None:
        return keraslayers.layer_shapes(_saved_model(choice, jobs))
    import_keras(jobs)
    return keraslayers.layer_shapes(zoo.build(zoo.find(choice.network), choice.size))


def ncnn_is_installed() -> bool:
    """Tell whether the engine for plain chains is there, without importing it."""
    return importlib.util.find_spec("ncnn") is not None


def _load_vgg(choice: NetworkChoice, engine: str, batch_size: int, jobs: int) -> Network:
    """Load a plain chain, which needs no Keras unless Keras is to compute it."""
    layer_shapes = _vgg_shapes(choice)
    layer = choice.layer or list(layer_shapes)[-1]
    shape = feature_shape(choice.network, layer_shapes, layer, choice.pooling)
    why = _why_keras(engine, jobs)
    arrays, weights = vgg.load_weights(choice.network, choice.weights)
    description = _describe(choice, layer, choice.size, shape, weights)
    if why is None:
        return _ncnn_network(cut(VGG[choice.network].chain(arrays), layer), description, engine)
    import_keras(jobs)
    model = zoo.build(zoo.find(choice.network), choice.size)
    kerasmodel.fill(model, arrays)
    return _keras_network(model, description, batch_size, why)


def _load_with_keras(choice: NetworkChoice, engine: str, batch_size: int, jobs: int) -> Network:
    """Load a network with Keras; compute it with ncnn if it turns out a plain chain."""
    if choice.file is None:
        import_keras(jobs)
        network = zoo.find(choice.network)
        model, weights = kerasmodel.zoo_model(network, choice.size, choice.weights)
        default = list(keraslayers.layer_shapes(model))[-1]
    else:
        model = _saved_model(choice, jobs)
        weights = Weights(choice.file.name, sha256_of(choice.file))
        default = keraslayers.last_before_head(model)
    layer = choice.layer or default
    layer_shapes = keraslayers.layer_shapes(model)
    shape = feature_shape(choice.network, layer_shapes, layer, choice.pooling)
    description = _describe(choice, layer, tuple(model.inputs[0].shape[1:3]), shape, weights)
    if choice.file is not None:
        kerasmodel.require_numbers(keraslayers.cut_model(model, layer), choice.file)

    why = _why_keras(engine, jobs)
    if why is None:
        chain = plain_chain(keraslayers.cut_model(model, layer))
        if chain is not None:
            return _ncnn_network(chain, description, engine)
    if engine == "ncnn":
        raise InputError(
            f"engine 'ncnn' computes plain chains of convolutions only, and {choice.network} "
            "is none: use --engine keras"
        )
    return _keras_network(model, description, batch_size, why or "not a plain chain")


def _why_keras(engine: str, jobs: int) -> str | None:
    """Say why Keras computes the network even if ncnn could; None if it does not."""
    if engine == "keras":
        return "as asked"
    if not ncnn_is_installed():
        return "ncnn is not installed"
    if engine == "auto" and accelerator_devices():
        import_keras(jobs)
        if sees_accelerator():
            return "Keras sees an accelerator"
    return None


def _ncnn_network(chain: Chain, description: Description, engine: str) -> Network:
    why = "as asked" if engine == "ncnn" else "no accelerator, and a plain chain"
    return NcnnNetwork(chain, description, why)


def _keras_network(model, description: Description, batch_size: int, why: str) -> Network:
    cut_there = keraslayers.cut_model(model, description.layer, description.pooling)
    return KerasNetwork(cut_there, description, batch_size, why)


def _vgg_shapes(choice: NetworkChoice) -> dict[str, tuple[int, ...]]:
    vgg.check_size(choice.network, choice.size)
    return shapes(VGG[choice.network].unfilled(), choice.size)


def _saved_model(choice: NetworkChoice, jobs: int):
    kerasmodel.check_saved(choice.file)
    import_keras(jobs)
    model = kerasmodel.saved_model(choice.file)
    size = choice.size or tuple(model.inputs[0].shape[1:3])
    if None in size:
        raise InputError(
            f"'{choice.network}' takes pictures of any size: give --size, in pixels, "
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
        network=choice.network if choice.file is None else choice.file.name,
        layer=layer,
        pooling=choice.pooling,
        size=size,
        preprocessing=choice.preprocessing,
        feature_shape=shape,
        weights=weights,
    )


def _require_same(sha256: str, recorded: Weights, where: str) -> None:
    if sha256 != recorded.sha256:
        raise InputError(
            f"weights '{where}' have SHA-256 {sha256}, and {recorded.sha256} was recorded: "
            "give the file that the features were made with"
        )
