"""Which weights may be asked for, and whether a file can be one of weights at all."""

from pathlib import Path

from pyimagesearch.utils import InputError
from pyimagesearch.utils.pathchecks import require_readable

IMAGENET, RANDOM = "imagenet", "random"
SUFFIXES = (".h5", ".hdf5", ".keras")


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
    if weights in (IMAGENET, RANDOM):
        return
    if not weights:  # which Path takes for the current folder
        raise InputError("no weights file '': expected imagenet, random or a file of weights")
    require_readable(Path(weights), "weights file", "imagenet, random or a file of weights")
    if Path(weights).suffix not in SUFFIXES:
        raise InputError(
            f"weights file '{weights}' ends in '{Path(weights).suffix}': "
            "expected .h5, .weights.h5 or .keras"
        )
