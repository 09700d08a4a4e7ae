"""Find VGG16's weights and load them, completely or not at all."""

import contextlib
import hashlib
import mmap
import os
import socket
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyimagesearch.utils import InputError

IMAGENET_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
IMAGENET_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{IMAGENET_FILE}"
IMAGENET_MD5 = "6d6bbae143d832006294945121d1f1fc"  # Keras publishes no other digest
RANDOM_SEED = 42
DOWNLOAD_TIMEOUT_S = 30.0
SUFFIXES = (".h5", ".hdf5", ".keras")


@dataclass(frozen=True)
class Weights:
    """Which weights a network has.

    Attributes
    ----------
    name : str
        ``"imagenet"``, ``"random"`` or the name of a file.
    sha256 : str
        Digest of the file; of the numbers, layer by layer, for ``"random"``.
    """

    name: str
    sha256: str


def imagenet_path() -> Path:
    """Return where Keras keeps VGG16's ImageNet weights on this machine."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    return home.expanduser() / "models" / IMAGENET_FILE


def check_weights(weights: str) -> None:
    """Refuse a weights file that cannot be one, before Keras is imported.

    Parameters
    ----------
    weights : str
        ``"imagenet"``, ``"random"`` or the path of a file.

    Raises
    ------
    InputError
        If it is a path, and there is no such file.
    """
    if weights in ("imagenet", "random"):
        return
    if not Path(weights).is_file():
        raise InputError(
            f"no weights file '{weights}': expected imagenet, random or a file of VGG16's weights"
        )
    if Path(weights).suffix not in SUFFIXES:
        raise InputError(
            f"weights file '{weights}' ends in '{Path(weights).suffix}': "
            "expected .h5, .weights.h5 or .keras"
        )


def load_into(model, weights: str) -> Weights:
    """Fill a headless network with weights.

    Parameters
    ----------
    model : keras.Model
        The network to fill.
    weights : str
        ``"imagenet"`` (downloaded once, into Keras's own folder), ``"random"``
        (He et al., "Delving Deep into Rectifiers", ICCV 2015; always the same
        numbers) or the path of a file with the weights of VGG16, with or
        without its head.

    Returns
    -------
    Weights
        Their name and digest.

    Raises
    ------
    InputError
        If the weights cannot be had, are damaged, or are not VGG16's. The
        network must not be used then.
    """
    if weights == "random":
        return Weights("random", _fill_with_random(model))
    check_weights(weights)
    path = _imagenet_file() if weights == "imagenet" else Path(weights)
    _fill_from_file(model, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Weights("imagenet" if weights == "imagenet" else path.name, digest)


def _fill_with_random(model) -> str:
    """Draw weights with numpy, so that every machine and backend has the same."""
    rng = np.random.default_rng(RANDOM_SEED)
    digest = hashlib.sha256()
    for layer in model.layers:  # one by one: copies of all weights are large
        arrays = [_he(given.shape, rng) for given in layer.get_weights()]
        for array in arrays:
            digest.update(array)
        layer.set_weights(arrays)
    return digest.hexdigest()


def _he(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if len(shape) == 1:
        return np.zeros(shape, np.float32)  # a bias
    fan_in = np.prod(shape[:-1])
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in))


def _fill_from_file(model, path: Path) -> None:
    """Load a file into the network, and see that it reached every number."""
    # A loader that skips a layer leaves what was there before: NaN gives it away.
    for layer in model.layers:
        layer.set_weights([np.full(w.shape, np.nan, np.float32) for w in layer.get_weights()])
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is checked below
            _load(model, path)
    except Exception as error:  # Keras and h5py raise a dozen types for a bad file
        raise InputError(_misfit(path, _first_line(error))) from error
    arrays = (array for layer in model.layers for array in layer.get_weights())
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError(_misfit(path, "some layers are missing from it, or are not finite"))


def _misfit(path: Path, why: str) -> str:
    return (
        f"weights file '{path}' is damaged or not VGG16's: {why}; "
        "expected VGG16's convolutional base, or the whole VGG16"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")


def _load(model, path: Path) -> None:
    if path.suffix == ".keras":
        with _weights_inside(path) as inside:
            model.load_weights(inside)
    elif path.name.endswith(".weights.h5"):
        model.load_weights(path)
    else:
        # The older format. By name, since a file of the whole network has more.
        if _mentions(path, b"block3_conv4"):
            raise ValueError("it is of VGG19, whose layers have the same names and shapes")
        model.load_weights(path, by_name=True)


def _mentions(path: Path, name: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        return contents.find(name) >= 0


@contextlib.contextmanager
def _weights_inside(path: Path) -> Iterator[Path]:
    """Unpack the weights of a whole saved model; its code stays untouched."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        yield Path(archive.extract("model.weights.h5", folder))


def _imagenet_file() -> Path:
    """Return the ImageNet weights, downloaded if need be, and not damaged."""
    path = imagenet_path()
    if not path.exists():
        _download(path)
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    if md5 != IMAGENET_MD5:
        # Keras would delete the file, even where it cannot fetch another.
        raise InputError(
            f"weights file '{path}' is damaged (its MD5 is {md5}, expected {IMAGENET_MD5}): "
            f"delete it, or replace it by {IMAGENET_URL}"
        )
    return path


def _download(path: Path) -> None:
    import keras

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # Keras waits for ever without one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=path.parent) as folder,
            contextlib.redirect_stdout(sys.stderr),  # Keras's progress bar
        ):
            got = keras.utils.get_file(
                IMAGENET_FILE, IMAGENET_URL, cache_dir=folder, file_hash=IMAGENET_MD5
            )
            Path(got).replace(path)
    except Exception as error:  # urllib, ssl, sockets and Keras each have their own
        raise InputError(
            f"cannot download VGG16's ImageNet weights: {_first_line(error).split(' -- ')[-1]}; "
            f"fetch {IMAGENET_URL} by hand, then put it at '{path}' or give --weights FILE"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
