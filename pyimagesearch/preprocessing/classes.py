"""What to tell about the classes of a folder before hours are spent on them."""

import json
import shlex
from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np

from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.utils import InputError
from pyimagesearch.utils.split import N_FOLDS, n_train_rows

MOST_ROWS = 20  # of a table that shows every class
N_EXTREMES = 5  # the largest and the smallest classes, of more than that
N_NAMED = 5  # cases of one kind that are named
SPLITS = frozenset(["train", "test", "val", "valid", "validation", "training", "testing"])


def require_two_classes(images: LabelledImages) -> None:
    """Refuse a folder whose pictures are all of one class: nothing could be trained on it.

    Raises
    ------
    InputError
        With the folders that the one class was collected from.
    """
    if len(images.label_names) > 1:
        return
    (name,) = images.label_names
    found_in = _parents(images)[name]
    advice = "put the pictures of each class into a folder of its own"
    if len(found_in) > 1:  # cats/batch1 and dogs/batch1
        above = _quoted(str(PurePosixPath(folder).parent) for folder in found_in)
        advice = f"move the pictures up into {above}"
    raise InputError(
        f"the {len(images):,} images under {str(images.root)!r} are of one class, {name!r}, "
        f"the name of the folder they lie in ({_quoted(found_in)}): "
        f"expected at least two classes; {advice}"
    )


def class_table(images: LabelledImages) -> str:
    """Return a table of the classes and how many pictures each has.

    Examples
    --------
    >>> from pathlib import Path
    >>> labels = np.array([0, 1, 1])
    >>> print(class_table(LabelledImages(Path(), ("a/1", "b/2", "b/3"), labels, ("a", "b"))))
        a  1
        b  2
    """
    counts = np.bincount(images.labels, minlength=len(images.label_names)).tolist()
    rows = [
        (_printable(name), f"{n:,}") for name, n in zip(images.label_names, counts, strict=True)
    ]
    if len(rows) > MOST_ROWS:
        order = sorted(range(len(rows)), key=lambda label: -counts[label])
        ends = (order[:N_EXTREMES], order[-N_EXTREMES:])
        between = (f"... {len(rows) - 2 * N_EXTREMES:,} more", "")
        rows = [*(rows[i] for i in ends[0]), between, *(rows[i] for i in ends[1])]
    wide, count = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"    {name:<{wide}}  {n:>{count}}".rstrip() for name, n in rows)


def class_warnings(images: LabelledImages) -> list[str]:
    """Say where the folders may mean something else than classes, a line each."""
    parents = _parents(images)
    splits = [name for name in images.label_names if name.lower() in SPLITS]
    merged = [name for name in images.label_names if len(parents[name]) > 1]
    lines = []
    if splits:
        folders = [folder for name in splits for folder in parents[name]]
        lines.append(
            f"{_are(splits, 'a class has the name', 'classes have the names')} of a split, "
            f"{_quoted(splits)}, from {_quoted(folders)}: put the pictures into one folder per "
            f"class, such as {folders[0]}/<class>/, and give {_option(images, folders[0])}"
        )
    if merged:
        folders = parents[merged[0]]
        lines.append(
            f"{len(merged):,} of {len(images.label_names):,} classes are collected from several "
            f"folders, such as {merged[0]!r} from {_quoted(folders)}: for the pictures of one "
            f"of them, give {_option(images, str(PurePosixPath(folders[0]).parent))}"
        )
    return lines


def small_classes(images: LabelledImages) -> list[str]:
    """Say which classes have too few pictures among the rows that train, a line each."""
    n_train = n_train_rows(len(images))
    counts = np.bincount(images.labels[:n_train], minlength=len(images.label_names))
    small = [label for label, n in enumerate(counts) if n < N_FOLDS]
    lines = [
        f"class {images.label_names[label]!r} has {counts[label]} of its "
        f"{(images.labels == label).sum():,} images among the first {n_train:,} rows, which "
        f"train: training needs at least {N_FOLDS}; add pictures, or remove the class"
        for label in small[:N_NAMED]
    ]
    if len(small) > N_NAMED:
        lines.append(f"{len(small) - N_NAMED:,} more classes are as small")
    return lines


def left_aside_warnings(images: LabelledImages) -> list[str]:
    """Name the folders that might have been classes, but hold no picture."""
    folders = images.left_aside.folders
    if not folders:
        return []
    return [
        f"no pictures were found in {_quoted(folders)}: {_are(folders, 'it is', 'they are')} "
        "not among the classes"
    ]


def _parents(images: LabelledImages) -> dict[str, list[str]]:
    """Return the folders that each class was collected from, in code point order."""
    folders = defaultdict(set)
    for path in images.paths:
        folder = PurePosixPath(path).parent
        folders[folder.name].add(str(folder))
    return {name: sorted(found) for name, found in folders.items()}


def _quoted(names) -> str:
    names = list(names)
    text = ", ".join(repr(name) for name in names[:N_NAMED])
    return text if len(names) <= N_NAMED else f"{text} and {len(names) - N_NAMED:,} more"


def _are(names, one: str, several: str) -> str:
    return one if len(names) == 1 else several


def _option(images: LabelledImages, folder: str) -> str:
    return f"--dataset {shlex.quote(str(images.root / folder))}"


def _printable(name: str) -> str:
    """Keep a name that holds a line break or a control character in its row."""
    return name if name.isprintable() else json.dumps(name)
