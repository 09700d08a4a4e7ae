"""The labels that images already have, to compare a classifier's answers with."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pyimagesearch.preprocessing.labelling import label_of_name
from pyimagesearch.preprocessing.labeltable import read_label_table

logger = logging.getLogger(__name__)


def given_labels(
    images: Sequence[Path],
    named: Sequence[str],
    table: str | None = None,
    labels_from: str | None = None,
) -> dict[Path, str]:
    """Return the label of each image that has one, and log what a table does not use.

    Parameters
    ----------
    images : sequence of Path
        The images.
    named : sequence of str
        The files and folders that they were listed from. The paths of a table are relative to
        the folder, or to the deepest common one of several.
    table : str or None
        A table of labels, see `pyimagesearch.preprocessing.labeltable`.
    labels_from : str or None
        Without a table: ``name`` for the beginning of the image's own name, else the folder's name.

    Raises
    ------
    InputError
        If the table is wrong, or has a line for none of the images.
    """
    if table is None:
        label_of = _name_of_folder if labels_from != "name" else _beginning_of_name
        return {path: label_of(path) for path in images}
    folder = _common_folder(named)
    relative = {path: os.path.relpath(path, folder).replace(os.sep, "/") for path in images}
    read = read_label_table(table)
    matched = read.match(list(dict.fromkeys(relative.values())), folder)
    for note in read.notes(matched, test=None):
        logger.info(note)
    lines = {path: matched.line_of.get(name) for path, name in relative.items()}
    return {path: line.label for path, line in lines.items() if line}


def _name_of_folder(path: Path) -> str:
    return _absolute(path).parent.name


def _beginning_of_name(path: Path) -> str:
    return label_of_name(path.stem)


def _common_folder(named: Sequence[str]) -> Path:
    paths = map(Path, named)
    return Path(os.path.commonpath([_absolute(p if os.path.isdir(p) else p.parent) for p in paths]))


def _absolute(path: Path) -> Path:
    """Return an absolute path, also of ../cat.jpg, without following links."""
    return Path(os.path.abspath(path))  # noqa: PTH100
