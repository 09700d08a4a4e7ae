"""What to report about the classes of a folder before hours are spent on them."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from pyimagesearch.preprocessing.commandline import separate_extractions
from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.preprocessing.roworder import split_order
from pyimagesearch.utils import InputError
from pyimagesearch.utils.groups import joined_groups
from pyimagesearch.utils.names import lookalike_key, nfc
from pyimagesearch.utils.split import ENOUGH_IMAGES, N_FOLDS
from pyimagesearch.utils.texttable import display_width, padded, printable
from pyimagesearch.utils.wording import counted, first_lines, listed, shortened

MOST_ROWS = 20  # of a table that shows every class
N_EXTREMES = 5  # the largest and the smallest classes, of more than that
TRAIN = frozenset(["train", "training"])
SPLITS = TRAIN | {"test", "val", "valid", "validation", "testing"}


def require_two_classes(images: LabelledImages) -> None:
    """Refuse a folder whose images are all of one class: a classifier needs two.

    Raises
    ------
    InputError
        Naming the folders that the one class was collected from.
    """
    if len(images.label_names) > 1:
        return
    (name,) = images.label_names
    whose = (
        f"the {counted(len(images), 'image')} under {str(images.root)!r} "
        f"{_are(range(len(images)), 'is', 'are')} of one class"
    )
    if images.labelling.source != "folder":
        where = "the table of labels" if images.labelling.source == "table" else "their own names"
        raise InputError(
            f"{whose}, {name!r}, by {where}: expected at least two classes; correct {where}"
        )
    found_in = _parents(images)[name]
    advice = "put the images of each class into their own folder"
    if len(found_in) > 1:  # cats/batch1 and dogs/batch1
        above = listed(str(PurePosixPath(folder).parent) for folder in found_in)
        advice = f"move the images up into {above}"
    raise InputError(
        f"{whose}, {name!r}, the name of their folder ({listed(found_in)}): "
        f"expected at least two classes; {advice}"
    )


def class_table(images: LabelledImages) -> str:
    """Return a table of the classes and how many images each has.

    Examples
    --------
    >>> from pathlib import Path
    >>> labels = np.array([0, 1, 1])
    >>> print(class_table(LabelledImages(Path(), ("a/1", "b/2", "b/3"), labels, ("a", "b"))))
        a  1
        b  2
    """
    counts = np.bincount(images.labels, minlength=len(images.label_names)).tolist()
    rows = [(printable(name), f"{n:,}") for name, n in zip(images.label_names, counts, strict=True)]
    if len(rows) > MOST_ROWS:
        order = sorted(range(len(rows)), key=lambda label: -counts[label])
        ends = (order[:N_EXTREMES], order[-N_EXTREMES:])
        between = (f"... {len(rows) - 2 * N_EXTREMES:,} more", "")
        rows = [*(rows[i] for i in ends[0]), between, *(rows[i] for i in ends[1])]
    wide, count = (max(display_width(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"    {padded(name, wide)}  {n:>{count}}".rstrip() for name, n in rows)


def class_warnings(images: LabelledImages) -> list[str]:
    """Return where folders may not be classes, a line each."""
    if images.labelling.source != "folder":
        parents = {name: [name] for name in images.label_names}
        return _lookalikes(parents, "the labels", "give them one spelling")
    parents = _parents(images)
    lines = (
        _splits(images, parents),
        _merged(images, parents),
        *_lookalikes(parents),
        _nested(images),
    )
    return [line for line in lines if line]


def _splits(images: LabelledImages, parents: Mapping[str, list[str]]) -> str | None:
    splits = [name for name in images.label_names if lookalike_key(name) in SPLITS]
    if not splits:
        return None
    folders = [folder for name in splits for folder in parents[name]]
    return (
        f"{_are(splits, 'a class has the name', 'classes have the names')} of a split, "
        f"{listed(splits)}, from {listed(folders)}: put the images into one folder per "
        f"class, such as {folders[0]}/<class>/, and give {_path(images, folders[0])} as the "
        "dataset"
    )


def _merged(images: LabelledImages, parents: Mapping[str, list[str]]) -> str | None:
    merged = [name for name in images.label_names if len(parents[name]) > 1]
    if not merged:
        return None
    folders = parents[merged[0]]
    parts = sorted({PurePosixPath(folder).parent for name in merged for folder in parents[name]})
    if len(parts) > 1 and all(lookalike_key(part.name) in SPLITS for part in parts):
        # The training part first: a stable sort by whether a part is another.
        train, test, *_ = sorted(parts, key=lambda part: lookalike_key(part.name) not in TRAIN)
        commands = separate_extractions(images.root / train, images.root / test)
        return (
            f"{listed(map(str, parts))} look like the parts of a split, but their classes are "
            f"merged: to keep them apart, extract each separately, {commands}"
        )
    above = PurePosixPath(folders[0]).parent
    return (
        f"{len(merged):,} of {len(images.label_names):,} classes are collected from several "
        f"folders, such as {merged[0]!r} from {listed(folders)}: to use only "
        f"one, give {_path(images, above)} as the dataset"
    )


def _lookalikes(
    parents: Mapping[str, list[str]],
    source: str = "the folders",
    advice: str = "move their images into one folder",
) -> list[str]:
    """Name the classes whose names a reader would take for one, a line for each such name."""
    alike = defaultdict(list)
    for name in parents:
        alike[lookalike_key(name)].append(name)
    lines = []
    for names in alike.values():
        if len(names) > 1:
            folders = [folder for name in sorted(names) for folder in parents[name]]
            quote = ascii if len(set(map(nfc, folders))) < len(folders) else repr
            lines.append(
                f"{len(names)} classes have names that look alike, from {source} "
                f"{', '.join(map(quote, folders))}: if they are one class, {advice}"
            )
    return first_lines(lines, "more classes have names that look alike")


def _nested(images: LabelledImages) -> str | None:
    """Name the class folders that are inside the folder of another class."""
    n_images = Counter(PurePosixPath(path).parent for path in images.paths)
    above = {
        folder: [one for one in folder.parents if one in n_images and one.name != folder.name]
        for folder in sorted(n_images)
    }
    inside = [folder for folder in above if above[folder]]
    if not inside:
        return None
    folder, outer = inside[0], above[inside[0]][0]
    return (
        f"{counted(len(inside), 'class folder is', 'class folders are')} inside that of another "
        f"class, such as {str(folder)!r}: its {counted(n_images[folder], 'image')} "
        f"{_are(range(n_images[folder]), 'is', 'are')} of class {folder.name!r}, not "
        f"{outer.name!r}; move them into {str(outer)!r} if that is wrong"
    )


def small_classes(images: LabelledImages) -> list[str]:
    """Name the classes with too few images for the folds and a test, in one line if any."""
    counts = np.bincount(images.labels, minlength=len(images.label_names)).tolist()
    counts = dict(zip(images.label_names, counts, strict=True))
    keys = joined_groups(len(images), images.groups)
    order, n_train = split_order(images.labels, keys, images.is_test)
    train = order[:n_train]
    if np.bincount(images.labels[train], minlength=1).max() < N_FOLDS:
        sizes = shortened([f"{name!r} ({n:,})" for name, n in counts.items()], MOST_ROWS)
        return [
            f"no class has {N_FOLDS} images to train on, one per fold: train_model.py can "
            f"only test on their features; add images to {sizes}"
        ]
    small = [f"{name!r} ({n:,})" for name, n in counts.items() if n < ENOUGH_IMAGES]
    if not small:
        return []
    return [
        f"{counted(len(small), 'class has', 'classes have')} fewer than {ENOUGH_IMAGES} images, "
        f"{shortened(small, MOST_ROWS)}: too few for {N_FOLDS} training folds and a test; "
        f"add images, or remove the {_are(small, 'class', 'classes')}"
    ]


def skipped_folder_warnings(images: LabelledImages) -> list[str]:
    """Name the folders that might have been classes, but hold no image."""
    folders = images.skipped.folders
    if not folders:
        return []
    return [
        f"no images in {listed(folders)}: "
        f"{_are(folders, 'it is not a class', 'they are not classes')}"
    ]


def _parents(images: LabelledImages) -> dict[str, list[str]]:
    """Return the folders that each class was collected from, in code point order."""
    folders = defaultdict(set)
    for path in images.paths:
        folder = PurePosixPath(path).parent
        folders[folder.name].add(str(folder))
    return {name: sorted(found) for name, found in folders.items()}


def _are(names, one: str, several: str) -> str:
    return one if len(names) == 1 else several


def _path(images: LabelledImages, folder: PurePosixPath | str) -> str:
    return repr(str(images.root / folder))
