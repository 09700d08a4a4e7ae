"""List a folder of labelled images in an order that is the same on every machine."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pyimagesearch.preprocessing.folderwalk import SkippedFiles, find_images
from pyimagesearch.preprocessing.imagekinds import image_suffixes
from pyimagesearch.preprocessing.labelling import (
    Labelling,
    labels_of_folders,
    labels_of_names,
    labels_of_table,
)
from pyimagesearch.utils import InputError


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """The images of a folder in row order, each with its label.

    Parameters
    ----------
    root : Path
        Absolute path of the folder that was listed.
    paths : tuple of str, length n
        Path of each image relative to `root`, with ``/`` between its parts.
    labels : ndarray, shape (n,), int64, read-only
        Index into `label_names` of each image's class.
    label_names : tuple of str
        Class names in code point order, as ``LabelEncoder.classes_`` has them.
    skipped : SkippedFiles
        What else the folder holds.
    labelling : Labelling
        Where the labels come from, and what else is known about the images.
    """

    root: Path
    paths: tuple[str, ...]
    labels: np.ndarray
    label_names: tuple[str, ...]
    skipped: SkippedFiles = field(default_factory=SkippedFiles)
    labelling: Labelling = field(default_factory=Labelling)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def absolute_path(self, row: int) -> Path:
        """Return the absolute path of a row's image."""
        return self.root / self.paths[row]

    @property
    def label_of(self) -> dict[str, str]:
        """The name of each image's class, by its path."""
        names = (self.label_names[label] for label in self.labels.tolist())
        return dict(zip(self.paths, names, strict=True))

    @property
    def groups(self) -> list[list[int]]:
        """The rows of each given group that has several."""
        rows = defaultdict(list)
        for row, path in enumerate(self.paths):
            if path in self.labelling.group_of:
                rows[self.labelling.group_of[path]].append(row)
        return [group for group in rows.values() if len(group) > 1]

    @property
    def is_test(self) -> np.ndarray | None:
        """Which images are for testing by a given split: (n,) bool; None if there is none."""
        test = self.labelling.test
        return None if test is None else np.array([path in test for path in self.paths], bool)

    def without(self, bad: Collection[str]) -> "LabelledImages":
        """Return the images without some; the others keep their order.

        A class that loses all its images is removed from `label_names`, and the
        labels of later classes decrease.

        Parameters
        ----------
        bad : collection of str
            Members of `paths`.

        Returns
        -------
        LabelledImages
            The remaining images, possibly none.

        Raises
        ------
        ValueError
            If a member of `bad` is not in `paths`.
        """
        bad = set(bad)
        if unknown := bad.difference(self.paths):
            raise ValueError(f"not among the {len(self)} images: {sorted(unknown)}")
        return self.reordered(path for path in self.paths if path not in bad)

    def reordered(self, paths: Iterable[str]) -> "LabelledImages":
        """Return some or all of the images in another order."""
        label_of = self.label_of
        label_of = {path: label_of[path] for path in paths}
        return _labelled(self.root, label_of, self.skipped, self.labelling)


def list_labelled_images(
    dataset: str | Path,
    seed: int = 42,
    *,
    table: str | Path | None = None,
    labels_from: str = "folder",
    skip_bad: bool = False,
) -> LabelledImages:
    """List a folder's images, label them, and shuffle.

    An image is a file with the suffix of a format that `load_image` reads, in
    upper or lower case, or one without a suffix but such contents. Names that
    begin with a dot (``._0001.jpg``, ``.ipynb_checkpoints/``) are skipped;
    links are followed. By default the label is the name of the image's folder,
    or of the link to it, at any depth; folders of the same name are one class.
    The order depends only on the relative paths and on `seed`: the paths are
    sorted by code point before they are shuffled.

    Parameters
    ----------
    dataset : str or Path
        Folder with one folder per class, unless a table or the file names
        give the classes.
    seed : int
        Seed of the shuffle.
    table : str, Path or None
        A table of labels; images without a line are skipped.
    labels_from : str
        Without a table: ``folder``, or ``name`` for the names of the images.
    skip_bad : bool
        Skip lines of a table that have no image, instead of raising.

    Returns
    -------
    LabelledImages
        At least one image.

    Raises
    ------
    InputError
        If `dataset` is missing, not a folder or without images; if a folder
        below it cannot be listed, since its images would be silently missing;
        if an image is in no class folder, or in one whose name is not valid
        UTF-8, or has no label in its name; if the table is wrong.
    """
    if not str(dataset):  # which Path reads as the current folder
        raise InputError("the name of the dataset is empty: expected a folder of class folders")
    dataset = Path(dataset)
    _require_folder(dataset)
    paths, skipped = find_images(dataset)
    if not paths:
        kinds = " ".join(sorted(image_suffixes()))
        also_there = f"; skipped: {skipped}" if skipped.kinds else ""
        raise InputError(
            f"no images under {str(dataset)!r}: looked for {kinds}, "
            f"one folder per class{also_there}"
        )
    labelling = Labelling("folder" if labels_from == "folder" else "name")
    if table is not None:
        listed = [*paths, *skipped.broken_links]
        label_of, labelling = labels_of_table(table, dataset, listed, skip_bad)
        broken_links = tuple(path for path in skipped.broken_links if path in label_of)
        skipped = replace(skipped, broken_links=broken_links)
    elif labels_from == "name":
        label_of = labels_of_names(dataset, paths)
    else:
        label_of = labels_of_folders(dataset, paths)
    paths = sorted(path for path in paths if path in label_of)
    random.Random(seed).shuffle(paths)
    label_of = {path: label_of[path] for path in paths}
    return _labelled(dataset.absolute(), label_of, skipped, labelling)


def _labelled(
    root: Path, label_of: Mapping[str, str], skipped: SkippedFiles, labelling: Labelling
) -> LabelledImages:
    """Return images in the order of `label_of`, with their classes numbered."""
    label_names = tuple(sorted(set(label_of.values())))
    index = {name: label for label, name in enumerate(label_names)}
    labels = np.array([index[name] for name in label_of.values()], dtype=np.int64)
    labels.flags.writeable = False
    return LabelledImages(root, tuple(label_of), labels, label_names, skipped, labelling)


def _require_folder(dataset: Path) -> None:
    try:
        if not dataset.exists():
            raise InputError(f"{str(dataset)!r} does not exist: expected a folder of class folders")
        if not dataset.is_dir():
            raise InputError(
                f"{str(dataset)!r} is not a folder: expected a folder of class folders"
            )
    except OSError as error:
        raise InputError(
            f"{str(dataset)!r} cannot be found: {error.strerror}; "
            "expected a folder of class folders"
        ) from error
