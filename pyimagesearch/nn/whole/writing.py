"""Write whole models, each of which is read back by a fresh process before it gets its name."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pyimagesearch.nn import keraslayers
from pyimagesearch.nn.kerasnetwork import KerasNetwork
from pyimagesearch.nn.preprocessing import as_convolution
from pyimagesearch.nn.whole.builtin import require_built_in
from pyimagesearch.nn.whole.file import NETWORK, WholeClassifier, pack, read_whole
from pyimagesearch.nn.whole.suffixes import PHONE, WHOLE
from pyimagesearch.utils import InputError
from pyimagesearch.utils.files import replacing
from pyimagesearch.utils.temporary import temporary_folder

TOLERANCE = 1e-4  # of a probability
PROGRAMS = Path(__file__).with_name("programs")


def write_whole(
    paths: Sequence[Path],
    network: KerasNetwork,
    classifier: WholeClassifier,
    predict: Callable[[np.ndarray], np.ndarray],
    pixels: np.ndarray,
) -> dict[Path, float]:
    """Write a network with a classifier behind it as one model, in one kind of file or several.

    Parameters
    ----------
    paths : sequence of Path
        The files: ``.keras`` for Keras, ``.tflite`` for phones.
    network : KerasNetwork
        What computes the features. Its layers are frozen.
    classifier : WholeClassifier
        The classifier behind it.
    predict : callable
        Takes rows of features, and gives the probabilities that are expected of them.
    pixels : ndarray of uint8, shape (n, height, width, 3)
        Images to compare them on.

    Returns
    -------
    dict of Path to float
        By how much the probabilities of each file differ from those expected, at most.

    Raises
    ------
    InputError
        If a file cannot be written, is read back with other probabilities, or if the network
        cannot be converted or has layers of other packages than Keras. There is no file then, or
        the one that was there before.
    """
    require_built_in(network)
    model, output_layer = build(network, classifier)
    classifier = replace(classifier, output_layer=output_layer)
    expected = predict(_features(network, pixels))
    differences = {}
    with temporary_folder() as folder:
        whole = folder / f"whole{WHOLE}"
        model.save(whole)
        pack(whole, classifier)
        _require_readable_without_keras(whole, classifier)
        for path in paths:
            with replacing(path) as temporary:
                if path.suffix == PHONE:
                    _convert(whole, temporary)
                    pack(temporary, classifier)
                else:
                    shutil.copyfile(whole, temporary)
                differences[path] = _compare(temporary, path, folder, pixels, expected)
    return differences


def build(network: KerasNetwork, classifier: WholeClassifier):
    """Put preprocessing, network and classifier into one Keras model; all but the last is frozen.

    Returns
    -------
    keras.Model
        Takes RGB pixels from 0 to 255, (b, height, width, 3), and gives the probabilities of the
        classes, (b, n_classes). It is not compiled.
    str
        The last layer of the network, by its path within it.
    """
    import keras

    layers, description = keras.layers, network.description
    start = keras.Input((*description.size, 3), name="image")
    prepared, convolution = start, as_convolution(description.preprocessing)
    if convolution is not None:
        scaling = layers.Conv2D(3, 1, trainable=False, name="preprocessing")
        prepared = scaling(start)
        scaling.set_weights(convolution)
    headless = _without_pooling(network)
    features = headless(prepared, training=False)  # frozen averages, also once it is unfrozen
    if description.pooling == "avg":
        features = layers.GlobalAveragePooling2D(name="pooling")(features)
    elif description.pooling == "max":
        features = layers.GlobalMaxPooling2D(name="pooling")(features)
    head = layers.Dense(len(classifier.label_names), activation="softmax", name="classes")
    model = keras.Model(start, head(layers.Flatten(name="flatten")(features)), name="whole")
    head.set_weights([classifier.kernel, classifier.bias])
    return model, list(keraslayers.places(headless))[-1]


def _without_pooling(network: KerasNetwork):
    """Return the network up to the layer that it is cut after, frozen."""
    import keras

    output = network.model.outputs[0]
    if network.description.pooling != "none":
        output = network.model.layers[-1].input
    headless = keras.Model(network.model.inputs[0], output, name=NETWORK)
    headless.trainable = False
    return headless


def _features(network: KerasNetwork, pixels: np.ndarray) -> np.ndarray:
    size = network.batch_size
    prepared = network.preprocess(pixels)
    return np.concatenate([network(prepared[i : i + size]) for i in range(0, len(pixels), size)])


def _require_readable_without_keras(whole: Path, classifier: WholeClassifier) -> None:
    """Raise if Keras names the parts of its files in another way than is expected here."""
    found = read_whole(whole)
    if not np.array_equal(found.kernel, classifier.kernel):
        raise RuntimeError("Keras does not save the classifier where it is looked for")


def _convert(whole: Path, phone: Path) -> None:
    done = _in_a_fresh_process("convert.py", whole, phone, KERAS_BACKEND="tensorflow")
    if done.returncode != 0:
        raise InputError(
            f"cannot convert the network to {PHONE}: {_last_line(done)}; "
            f"write a model for Keras, FILE{WHOLE}"
        )


def _compare(
    temporary: Path, path: Path, folder: Path, pixels: np.ndarray, expected: np.ndarray
) -> float:
    given, answers = folder / "pixels.npy", folder / "probabilities.npy"
    np.save(given, pixels)
    done = _in_a_fresh_process("readback.py", temporary, given, answers)
    if done.returncode != 0:
        raise InputError(
            f"'{path}' is not written: a fresh process cannot use it, {_last_line(done)}; "
            "give another kind of file"
        )
    difference = float(np.abs(np.load(answers) - expected).max())
    if not difference <= TOLERANCE:
        raise InputError(
            f"'{path}' is not written: in a fresh process its probabilities differ from the "
            f"classifier's by up to {difference:.2g}, expected at most {TOLERANCE:g}; "
            "give another kind of file"
        )
    return difference


def _in_a_fresh_process(program: str, *paths: Path, **environment: str):
    # With -P the folder of the program, and its modules, are not on Python's path.
    command = [sys.executable, "-P", PROGRAMS / program, *paths]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        command,
        env=os.environ | quiet | environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _last_line(done: subprocess.CompletedProcess) -> str:
    if done.returncode < 0:  # the end of stderr is older
        return f"it was ended by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1].rstrip(".:")
