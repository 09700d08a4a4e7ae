"""The error of a file that does not hold the weights of a network."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.temporary import full_disk_named


def misfit(path: Path, network: str, why: str) -> InputError:
    """Return the error of a file that does not hold a network's weights."""
    return InputError(
        f"weights file '{path}' is damaged or not {network}'s: {why}; "
        f"expected the weights of {network}, with or without its head"
    )


@contextlib.contextmanager
def named_misfit(path: Path, network: str) -> Iterator[None]:
    """Raise `misfit` of a file, whatever is raised within; but not if a disk is full."""
    try:
        with full_disk_named():
            yield
    except InputError:
        raise
    except Exception as error:  # Keras, h5py and zipfile raise a dozen types for a bad file
        raise misfit(path, network, first_line(error)) from error
