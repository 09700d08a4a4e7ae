"""Where the labels of images come from: their folders, their names or a table."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pyimagesearch.preprocessing.labeltable import read_label_table
from pyimagesearch.utils import InputError
from pyimagesearch.utils.filenames import why_no_text
from pyimagesearch.utils.wording import counted, listed

SOURCES = ("folder", "name")  # besides a table
NUMBER = re.compile(r"[\W_]*\d.*", re.DOTALL)  # from the first digit on, with separators


@dataclass(frozen=True)
class Labelling:
    """What is known about labelled images besides their labels.

    Attributes
    ----------
    source : str
        Where the labels come from: ``folder``, ``name`` or ``table``.
    test : frozenset of str or None
        The images to test with, by a given split; None if there is none.
    group_of : mapping of str to str
        The group of each image that has one.
    notes : tuple of str
        What to report, a line each.
    """

    source: str = "folder"
    test: frozenset[str] | None = None
    group_of: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def record(self, label_of: Mapping[str, str]) -> dict[str, str] | None:
        """Return a record that differs if the labels do; None where the paths determine them.

        For a table, the digest of its entries for the images, in any order.
        """
        if self.source != "table":
            return None if self.source == "folder" else {"from": self.source}
        entries = [
            (path, label, self.test is not None and path in self.test, self.group_of.get(path))
            for path, label in sorted(label_of.items())
        ]
        text = json.dumps([self.test is not None, entries])
        return {"from": "table", "sha256": hashlib.sha256(text.encode()).hexdigest()}


def labels_of_folders(dataset: Path, paths: Sequence[str]) -> dict[str, str]:
    """Label each image with the name of its folder."""
    for path in paths:
        _require_class_folder(dataset, path)
    return {path: PurePosixPath(path).parent.name for path in paths}


def labels_of_names(dataset: Path, paths: Sequence[str]) -> dict[str, str]:
    """Label each image with the beginning of its own name: see `label_of_name`."""
    found = {path: label_of_name(PurePosixPath(path).stem) for path in paths}
    if unnamed := sorted(path for path in paths if not found[path]):
        raise InputError(
            f"{counted(len(unnamed), 'image')} under '{dataset}' "
            f"{'has' if len(unnamed) == 1 else 'have'} no class in the name, {listed(unnamed)}: "
            "expected names such as dog.123.jpg or dog_123.jpg; rename them, or label them in a "
            "table"
        )
    for path in paths:
        _require_text(dataset / path, found[path], "its images")
    return found


def label_of_name(stem: str) -> str:
    """Return the class in the name of an image: what precedes a dot, else a number.

    Examples
    --------
    >>> [label_of_name(stem) for stem in ("dog.123", "great_dane_12", "cat7", "cat (2)", "owl")]
    ['dog', 'great_dane', 'cat', 'cat', 'owl']
    """
    if "." in stem:
        return stem.split(".", 1)[0].strip()
    return NUMBER.sub("", stem, count=1).strip()


def labels_of_table(
    table: str | Path, dataset: Path, paths: Sequence[str], skip_bad: bool
) -> tuple[dict[str, str], Labelling]:
    """Label the images that have a line in a table.

    Parameters
    ----------
    table : str or Path
        The file, see `pyimagesearch.preprocessing.labeltable`.
    dataset : Path
        The folder of the images.
    paths : sequence of str
        The images, relative to it.
    skip_bad : bool
        Whether lines without an image are skipped.

    Raises
    ------
    InputError
        If the table is wrong, or lines have no image and are not skipped.
    """
    table = read_label_table(table)
    matched = table.match(paths, dataset)
    if matched.without_image and not skip_bad:
        raise InputError(
            f"{table.unmatched(matched)}: expected images under '{dataset}'; correct the paths, "
            "or have such lines skipped"
        )
    test = table.test_images(matched.line_of)
    label_of = {path: line.label for path, line in matched.line_of.items()}
    group_of = {path: line.group for path, line in matched.line_of.items() if line.group}
    return label_of, Labelling("table", test, group_of, tuple(table.notes(matched, test)))


def _require_class_folder(dataset: Path, path: str) -> None:
    """Refuse an image that is in no class folder, or in one whose name is not text."""
    folder = PurePosixPath(path).parent
    if not folder.name:
        raise InputError(
            f"{(dataset / path).as_posix()!r} lies outside a class folder: "
            f"move it into {(dataset / '<class>').as_posix()}/, or label the images in a table "
            "or by their own names"
        )
    _require_text(dataset / folder, folder.name, "its folder")


def _require_text(path: Path, name: str, named_after: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        why = why_no_text(path.as_posix())
        raise InputError(f"a class is named after {named_after}, and {why}") from error
