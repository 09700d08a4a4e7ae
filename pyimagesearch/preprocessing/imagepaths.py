"""List a folder of labelled pictures in an order that every machine repeats."""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from pyimagesearch.preprocessing.folderwalk import SkippedFiles, find_pictures
from pyimagesearch.preprocessing.imagekinds import picture_suffixes
from pyimagesearch.utils import InputError
from pyimagesearch.utils.filenames import why_no_text


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """The pictures of a folder in row order, each with its label.

    Parameters
    ----------
    root : Path
        Absolute path of the folder that was listed.
    paths : tuple of str, length n
        Path of each picture relative to `root`, with ``/`` between its parts.
    labels : ndarray, shape (n,), int64, read-only
        Index into `label_names` of each picture's class.
    label_names : tuple of str
        Class names in code point order, as ``LabelEncoder.classes_`` has them.
    skipped : SkippedFiles
        What the folder holds beside them.
    """

    root: Path
    paths: tuple[str, ...]
    labels: np.ndarray
    label_names: tuple[str, ...]
    skipped: SkippedFiles = field(default_factory=SkippedFiles)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.paths)

    def absolute_path(self, row: int) -> Path:
        """Return where the picture of a row lies."""
        return self.root / self.paths[row]

    def without(self, bad: Collection[str]) -> "LabelledImages":
        """Leave pictures out; the others keep their order.

        A class that loses all its pictures leaves `label_names` too, and the
        labels of the classes behind it move up.

        Parameters
        ----------
        bad : collection of str
            Members of `paths`.

        Returns
        -------
        LabelledImages
            The remaining pictures, possibly none.

        Raises
        ------
        ValueError
            If a member of `bad` is not in `paths`.
        """
        bad = set(bad)
        if unknown := bad.difference(self.paths):
            raise ValueError(f"not among the {len(self)} pictures: {sorted(unknown)}")
        return self.reordered(path for path in self.paths if path not in bad)

    def reordered(self, paths: Iterable[str]) -> "LabelledImages":
        """Return some or all of the pictures in another order."""
        return _labelled(self.root, paths, self.skipped)


def list_labelled_images(dataset: str | Path, seed: int = 42) -> LabelledImages:
    """List a folder's pictures, label them by folder name, and shuffle.

    A picture is a file with the suffix of a kind that `load_image` reads, in
    capitals or not, or one without a suffix whose contents are of such a kind.
    Names with a dot in front (``._0001.jpg``, ``.ipynb_checkpoints/``) are
    passed over; links are followed. The label is the name of the folder, or
    of the link to it, that a picture lies in, at whatever depth; folders of
    the same name are one class. The order depends only on the relative paths
    and on `seed`: the paths are sorted by code point before they are shuffled.

    Parameters
    ----------
    dataset : str or Path
        Folder with one folder per class.
    seed : int
        Seed of the shuffle.

    Returns
    -------
    LabelledImages
        At least one picture.

    Raises
    ------
    InputError
        If `dataset` is missing, not a folder or without pictures; if a folder
        below it cannot be listed, since its pictures would be lost without a
        word; if a picture lies in no class folder, or in one whose name is
        not valid UTF-8.
    """
    if not str(dataset):  # which Path takes for the current folder
        raise InputError("the name of the dataset is empty: expected a folder of class folders")
    dataset = Path(dataset)
    _require_folder(dataset)
    paths, skipped = find_pictures(dataset)
    if not paths:
        kinds = " ".join(sorted(picture_suffixes()))
        passed_over = f"; passed over: {skipped}" if skipped.kinds else ""
        raise InputError(
            f"no images under {str(dataset)!r}: looked for {kinds}, "
            f"one folder per class{passed_over}"
        )
    for path in paths:
        _require_class_folder(dataset, path)
    paths.sort()
    random.Random(seed).shuffle(paths)
    return _labelled(dataset.absolute(), paths, skipped)


def _labelled(root: Path, paths: Iterable[str], skipped: SkippedFiles) -> LabelledImages:
    """Label each path with the name of its own folder."""
    paths = tuple(paths)
    names = [PurePosixPath(path).parent.name for path in paths]
    label_names = tuple(sorted(set(names)))
    index = {name: label for label, name in enumerate(label_names)}
    labels = np.array([index[name] for name in names], dtype=np.int64)
    labels.flags.writeable = False
    return LabelledImages(root, paths, labels, label_names, skipped)


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


def _require_class_folder(dataset: Path, path: str) -> None:
    """Refuse a picture that lies in no class folder, or in one without a name."""
    folder = PurePosixPath(path).parent
    if not folder.name:
        raise InputError(
            f"{(dataset / path).as_posix()!r} lies outside a class folder: "
            f"move it into {(dataset / '<class>').as_posix()}/"
        )
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        name = (dataset / folder).as_posix()
        raise InputError(f"a class is named after its folder, and {why_no_text(name)}") from error
