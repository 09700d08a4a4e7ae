"""Choose an engine, and load the network that a user asks for."""

import contextlib
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pyimagesearch.nn import keraslayers, kerasmodel, vgg, zoo
from pyimagesearch.nn.chain import cut, plain_chain, shapes
from pyimagesearch.nn.choice import NetworkChoice
from pyimagesearch.nn.description import Description, Weights
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.vgg import VGG
from pyimagesearch.nn.weights import check_weights, sha256_of
from pyimagesearch.utils import InputError

ENGINES = ("auto", "keras", "ncnn")
ACCELERATOR_DEVICES = ("nvidia*", "kfd", "dxg", "accel*", "vfio/[0-9]*")  # below /dev


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
    if choice.weights:
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
        Where the file is, if the weights were in one.
    engine, batch_size, jobs
        As of `load_network`.

    Raises
    ------
    InputError
        As of `load_network`; and if the weights are others than were recorded.
    """
    if weights_file is not None and weights_file.is_file():
        _require_same(sha256_of(weights_file), description, weights_file)
    choice = NetworkChoice.again(description, weights_file)
    network = load_network(choice, engine, batch_size, jobs)
    _require_same(network.description.weights.sha256, description, weights_file)
    # The file may have another name now.
    names = {"network": description.network, "weights": description.weights}
    if replace(network.description, **names) != description:
        raise InputError(
            f"the network comes out as {network.description}, and {description} was recorded: "
            "use the versions of Keras and of this project that it was made with"
        )
    return network


def list_layers(choice: NetworkChoice, jobs: int = 1) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer of a network gives for one picture, by name.

    The weights of a network of ``keras.applications`` are not needed.
    """
    if choice.network in VGG:
        vgg.check_size(choice.network, choice.size)
        return shapes(VGG[choice.network].unfilled(), choice.size)
    import_keras(jobs)
    if choice.file is None:
        return keraslayers.layer_shapes(zoo.build(zoo.find(choice.network), choice.size))
    return keraslayers.layer_shapes(_saved_model(choice))


def ncnn_is_installed() -> bool:
    """Tell whether the engine for plain chains is there, without importing it."""
    return importlib.util.find_spec("ncnn") is not None


def accelerator_devices() -> list[str]:
    """List the device files of GPUs and TPUs, without importing anything.

    An empty list spares the import of TensorFlow for a plain chain; otherwise
    Keras is asked whether it can use what is there.
    """
    if platform.system() == "Darwin":
        return ["metal"]
    return [str(path) for pattern in ACCELERATOR_DEVICES for path in Path("/dev").glob(pattern)]


def import_keras(jobs: int):
    """Import Keras and its backend for a number of threads, without the noise."""
    # TensorFlow reads these when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(jobs))
    os.environ.setdefault("OMP_NUM_THREADS", str(jobs))
    with _quiet_stderr():
        import keras

        keras.ops.zeros(1)  # the backend's first words come with its first array
    return keras


def _load_vgg(choice: NetworkChoice, engine: str, batch_size: int, jobs: int) -> Network:
    """Load a plain chain, which needs no Keras unless Keras is to compute it."""
    network = VGG[choice.network]
    vgg.check_size(choice.network, choice.size)
    layer_shapes = shapes(network.unfilled(), choice.size)
    layer = choice.layer or list(layer_shapes)[-1]
    keraslayers.check_layer(layer, layer_shapes, choice.network)
    shape = keraslayers.pooled_shape(layer_shapes[layer], choice.pooling, layer)

    why = _why_keras(engine, jobs)
    arrays, weights = vgg.load_weights(choice.network, choice.weights)
    description = _describe(choice, layer, choice.size, shape, weights)
    if why is None:
        from pyimagesearch.nn.ncnnnetwork import NcnnNetwork

        why = "as asked" if engine == "ncnn" else "no accelerator, and a plain chain"
        return NcnnNetwork(cut(network.chain(arrays), layer), description, why)
    import_keras(jobs)
    model = zoo.build(zoo.find(choice.network), choice.size)
    kerasmodel.fill(model, arrays)
    return _keras_network(model, description, batch_size, why)


def _load_with_keras(choice: NetworkChoice, engine: str, batch_size: int, jobs: int) -> Network:
    """Load a network with Keras; compute it with ncnn if it turns out a plain chain."""
    import_keras(jobs)
    if choice.file is None:
        network = zoo.find(choice.network)
        model, weights = kerasmodel.zoo_model(network, choice.size, choice.weights)
        layer = choice.layer or list(keraslayers.layer_shapes(model))[-1]
    else:
        model = _saved_model(choice)
        weights = Weights(choice.file.name, sha256_of(choice.file))
        layer = choice.layer or keraslayers.last_before_head(model)
    layer_shapes = keraslayers.layer_shapes(model)
    keraslayers.check_layer(layer, layer_shapes, choice.network)
    shape = keraslayers.pooled_shape(layer_shapes[layer], choice.pooling, layer)
    size = tuple(model.inputs[0].shape[1:3])
    description = _describe(choice, layer, size, shape, weights)

    why = _why_keras(engine, jobs)
    chain = plain_chain(keraslayers.cut_model(model, layer)) if why is None else None
    if chain is not None:
        from pyimagesearch.nn.ncnnnetwork import NcnnNetwork

        why = "as asked" if engine == "ncnn" else "no accelerator, and a plain chain"
        return NcnnNetwork(chain, description, why)
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
    if engine == "auto" and accelerator_devices() and sees_accelerator(import_keras(jobs)):
        return "Keras sees an accelerator"
    return None


def sees_accelerator(keras) -> bool:
    """Tell whether Keras puts its arrays on a GPU or TPU."""
    return "cpu" not in str(getattr(keras.ops.zeros(1), "device", "cpu")).lower()


def _keras_network(model, description: Description, batch_size: int, why: str) -> Network:
    from pyimagesearch.nn.kerasnetwork import KerasNetwork

    cut = keraslayers.cut_model(model, description.layer, description.pooling)
    return KerasNetwork(cut, description, batch_size, why)


def _saved_model(choice: NetworkChoice):
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


def _require_same(sha256: str, description: Description, weights_file: Path | None) -> None:
    recorded = description.weights
    if sha256 != recorded.sha256:
        where = f"'{weights_file}'" if weights_file else f"'{recorded.name}'"
        raise InputError(
            f"weights {where} have SHA-256 {sha256}, and {recorded.sha256} was recorded: "
            "give the file that the features were made with"
        )


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what native libraries write to stderr; show it if all fails.

    TensorFlow's first lines come from C++ and heed no setting.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(saved, log.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
