"""Load a network again, exactly as it was recorded: the same weights, the same features."""

import dataclasses
from pathlib import Path

from pyimagesearch.nn import presets, zoo
from pyimagesearch.nn.choice import SAVED, NetworkChoice
from pyimagesearch.nn.description import Description, Weights
from pyimagesearch.nn.loading import load_network
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.weights import IMAGENET, RANDOM, sha256_of
from pyimagesearch.utils import InputError
from pyimagesearch.utils.pathchecks import require_readable


def load_described(
    description: Description,
    weights_file: Path | None = None,
    engine: str = "auto",
    batch_size: int = 32,
    jobs: int = 1,
) -> Network:
    """Load exactly the network of a description.

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
        As of `load_network`; and if the weights are not the recorded ones.
    """
    check_described(description, weights_file)
    recorded = description.weights
    choice = NetworkChoice.again(description, weights_file)
    network = load_network(choice, engine, batch_size, jobs)
    found = network.description
    _require_same(found.weights.sha256, recorded, found.weights.name)
    # A file may have another name by now.
    if dataclasses.replace(found, network=description.network, weights=recorded) != description:
        raise InputError(
            f"the network is now {found}, but {description} was recorded: "
            "use the versions of Keras and of this project that it was made with"
        )
    network.description = description
    return network


def check_described(description: Description, weights_file: Path | None = None) -> None:
    """Refuse missing weights, and weights other than the recorded ones, before loading anything.

    Parameters and errors are those of `load_described`.
    """
    recorded = description.weights
    if weights_file is None and recorded.name in (IMAGENET, RANDOM, presets.PRESET):
        return
    expected = (
        f"the one that the features were made with, of SHA-256 {recorded.sha256}; "
        "give its path as the weights"
    )
    if weights_file is None:
        raise InputError(f"no weights file '{recorded.name}': expected {expected}")
    # Before a network is built that may be a very different one.
    is_file = description.network in zoo.ZOO or description.network.endswith(SAVED)
    if weights_file.is_dir() and not is_file:
        sha256 = presets.Preset(weights_file.name, weights_file).weights().sha256
    else:
        require_readable(weights_file, "weights file", expected)
        sha256 = sha256_of(weights_file)
    _require_same(sha256, recorded, str(weights_file))


def _require_same(sha256: str, recorded: Weights, where: str) -> None:
    if sha256 != recorded.sha256:
        raise InputError(
            f"weights '{where}' have SHA-256 {sha256}, but {recorded.sha256} was recorded: "
            "give the file that the features were made with"
        )
