"""A whole model's file, and what can be read from it without Keras.

It is a ``.keras`` archive, whose model Keras loads by itself in safe mode. Two more files lie
in the archive, which Keras ignores: ``labels.txt``, the names of the classes, a line each, and
``classifier.json``, the description of the network and what else `WholeClassifier` has. The
layers of the model are named after what they do:

    image -> preprocessing -> network -> pooling -> flatten -> classes
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyimagesearch.nn.choice import NetworkChoice
from pyimagesearch.nn.description import Description
from pyimagesearch.nn.loading import load_network
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.weights.reading import open_weights
from pyimagesearch.nn.whole.suffixes import PHONE, check_suffix
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.pathchecks import require_readable

RECORD, LABELS = "classifier.json", "labels.txt"
NETWORK = "network"
HEAD_GROUP = "layers/dense/vars"  # Keras calls it after the class of the layer (keras 3.15)


@dataclass(frozen=True)
class WholeClassifier:
    """The classifier behind the network of a whole model, and the record of both.

    Attributes
    ----------
    kernel : ndarray of float32, shape (n_features, n_classes)
    bias : ndarray of float32, shape (n_classes,)
        The probabilities of a row of features are softmax(row @ kernel + bias).
    label_names : list of str
        Names of the classes, in the order of the columns.
    extraction : mapping
        How the features are made, as JSON has it: the keys of `Description`, and others.
    training_digests : list of str
        Digests of the images that trained it, 16 hexadecimal digits each; empty if not known.
    output_layer : str
        The last layer of the network, by its path within it.
    """

    kernel: np.ndarray
    bias: np.ndarray
    label_names: list[str]
    extraction: Mapping[str, object]
    training_digests: list[str]
    output_layer: str = ""


def pack(path: Path, classifier: WholeClassifier) -> None:
    """Add the names of the classes and the record to a model's file.

    A file that is not an archive, such as a ``.tflite``, gets one appended.
    """
    record = {
        "label_names": classifier.label_names,
        "extraction": dict(classifier.extraction),
        "training_digests": classifier.training_digests,
        "output_layer": classifier.output_layer,
    }
    with zipfile.ZipFile(path, "a") as archive:
        # With ZipInfo they have no date: files repeat byte by byte.
        for name, text in [(LABELS, labels_text(classifier)), (RECORD, json.dumps(record))]:
            archive.writestr(zipfile.ZipInfo(name), text)


def labels_text(classifier: WholeClassifier) -> str:
    """Return the names of the classes, a line each, in the order of the columns."""
    return "".join(" ".join(name.split()) + "\n" for name in classifier.label_names)


def read_whole(path: Path) -> WholeClassifier:
    """Read the classifier of a whole model, without Keras.

    Raises
    ------
    InputError
        If the file is missing or damaged, or was not written by `write_whole`.
    """
    require_readable(path, "classifier", "a file made by train_model.py")
    if path.suffix.lower() == PHONE:
        raise InputError(
            f"'{path}' is a model for apps on phones: expected the pickle, .skops or .keras file "
            "of the same training; train_model.py writes several of them at once"
        )
    check_suffix(path)
    if not zipfile.is_zipfile(path):
        raise _damaged(path, "it is not an archive")
    try:
        with zipfile.ZipFile(path) as archive:
            if RECORD not in archive.namelist():
                raise InputError(
                    f"'{path}' has no '{RECORD}', the record of how its features are made: "
                    "expected a file as train_model.py writes it; use what Keras has saved, as "
                    "after fine-tuning, with Keras"
                )
            record = json.loads(archive.read(RECORD))
        with open_weights(path) as file:
            kernel, bias = (file[HEAD_GROUP][number][()] for number in "01")
        return WholeClassifier(
            kernel=np.asarray(kernel, np.float32),
            bias=np.asarray(bias, np.float32),
            label_names=[str(name) for name in record["label_names"]],
            extraction=dict(record["extraction"]),
            training_digests=list(record["training_digests"]),
            output_layer=str(record["output_layer"]),
        )
    except InputError:
        raise
    except Exception as error:  # zipfile, json and h5py raise a dozen types for a damaged file
        raise _damaged(path, first_line(error)) from error


def load_whole_network(
    path: Path,
    description: Description,
    output_layer: str,
    engine: str = "auto",
    batch_size: int = 32,
    jobs: int = 1,
) -> Network:
    """Load the network of a whole model, for whatever engine computes it best.

    Parameters
    ----------
    path : Path
        The file.
    description : Description
        What it computes.
    output_layer : str
        As of `WholeClassifier`.
    engine, batch_size, jobs
        As of `pyimagesearch.nn.load_network`.

    Raises
    ------
    InputError
        If the file is damaged, or the engine cannot compute the network.
    """
    choice = NetworkChoice(
        str(path),
        layer=output_layer,
        pooling=description.pooling,
        size=description.size,
        preprocessing=description.preprocessing,
        part=NETWORK,
    )
    network = load_network(choice, engine, batch_size, jobs)
    if network.description.feature_shape != description.feature_shape:
        raise _damaged(path, f"its network gives {network.description.feature_shape}")
    network.description = description
    return network


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"'{path}' is not a valid whole model: {why}; expected a file made by train_model.py"
    )
