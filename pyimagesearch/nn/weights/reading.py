"""Read the arrays of a file of weights, in the order of the layers, without Keras.

Keras has written three kinds of files. ``.h5``, the oldest, names layers and
arrays in attributes; whole models have them in a group ``model_weights``.
``.weights.h5`` names layers after their class and a count. ``.keras`` is an
archive with such a file in it. Which one a file is, its contents say.
"""

import contextlib
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.utils.temporary import temporary_folder

WEIGHTS_IN_ARCHIVE = "model.weights.h5"


@contextlib.contextmanager
def open_weights(path: Path) -> Iterator[h5py.File]:
    """Open a weights file of any kind for reading.

    Raises
    ------
    Exception
        If it is damaged, or none: h5py, zipfile and zlib raise a dozen types.
    InputError
        If there is no room to unpack it.
    """
    with contextlib.ExitStack() as stack:
        if zipfile.is_zipfile(path):
            folder = stack.enter_context(temporary_folder())
            archive = stack.enter_context(zipfile.ZipFile(path))
            path = archive.extract(WEIGHTS_IN_ARCHIVE, folder)
        yield stack.enter_context(h5py.File(path, "r"))


def names_its_layers(file: h5py.File) -> bool:
    """Return whether a file is of the oldest kind."""
    return "layer_names" in _top(file).attrs


def read_named_layers(
    file: h5py.File, shapes: list[list[tuple[int, ...]]]
) -> list[list[np.ndarray]]:
    """Read the first layers of a file of the oldest kind.

    Parameters
    ----------
    file : h5py.File
        The file; what it has beyond `shapes` is a head, and stays unread.
    shapes : list of list of tuple of int
        The shapes of the arrays of each layer that has any, in order.

    Returns
    -------
    list of list of ndarray of float32
        Arrays of these shapes.

    Raises
    ------
    ValueError
        If the file has fewer layers, or arrays of other shapes.
    """
    top = _top(file)
    groups = (top[name] for name in _strings(top, "layer_names"))
    with_weights = [group for group in groups if _strings(group, "weight_names")]
    if len(with_weights) < len(shapes):
        raise ValueError(
            f"it has {len(with_weights)} layers with weights, expected {len(shapes)}: "
            "some layers are missing from it"
        )
    return [
        _read([group[name] for name in _strings(group, "weight_names")], expected, group.name)
        for group, expected in zip(with_weights, shapes, strict=False)
    ]


def _read(arrays: list[h5py.Dataset], shapes: list[tuple[int, ...]], name: str):
    given = [array.shape for array in arrays]
    if given != shapes:
        raise ValueError(f"'{name.strip('/')}' has shapes {given}, expected {shapes}")
    return [array[()].astype(np.float32, copy=False) for array in arrays]


def _top(file: h5py.File) -> h5py.Group:
    return file.get("model_weights", file)


def _strings(group: h5py.Group, attribute: str) -> list[str]:
    """Read a list of names, which is in several parts where it is long."""
    values = group.attrs.get(attribute)
    if values is None:
        parts = (group.attrs.get(f"{attribute}{i}") for i in itertools.count())
        values = list(itertools.chain.from_iterable(itertools.takewhile(np.ndim, parts)))
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
