"""Whether a network has layers of Keras alone, so that its whole model loads without more."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.nn import zoo
from pyimagesearch.nn.described import load_described
from pyimagesearch.nn.description import Description
from pyimagesearch.nn.keraslayers import graph_of
from pyimagesearch.nn.kerasnetwork import KerasNetwork
from pyimagesearch.nn.layerpackages import has_foreign_classes
from pyimagesearch.utils import InputError


def check_built_in(description: Description, weights_file: Path | None, jobs: int) -> None:
    """Refuse a network that `write_whole` would, before there is a classifier for it.

    Only a network that may have layers of other packages is built for that.

    Parameters
    ----------
    description, weights_file
        As of `load_described`.
    jobs : int
        How many threads it may use.

    Raises
    ------
    InputError
        As of `load_described` and `require_built_in`.
    """
    if description.network not in zoo.ZOO and not _is_of_keras(weights_file):
        require_built_in(load_described(description, weights_file, engine="keras", jobs=jobs))


def require_built_in(network: KerasNetwork) -> None:
    """Refuse a network with layers that Keras alone does not have.

    What has been cut off does not count.

    Raises
    ------
    InputError
        Names the first of them.
    """
    for layer in _layers(network.model):
        package = type(layer).__module__.partition(".")[0]
        if package != "keras":
            raise InputError(
                f"layer '{layer.name}' of '{network.description.network}' is of the package "
                f"{package}, and a whole model holds none but Keras's own: write the classifier "
                "alone, as a pickle or FILE.skops"
            )


def _is_of_keras(file: Path | None) -> bool:
    """Return whether a saved network names nothing but Keras's own classes."""
    return file is not None and zipfile.is_zipfile(file) and not has_foreign_classes(file)


def _layers(network) -> Iterator:
    """Yield the layers of a network, with those of networks within it."""
    for layer in network.layers:
        yield layer
        if graph_of(layer) is not None:
            yield from _layers(layer)
