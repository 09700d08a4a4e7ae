"""Pictures that were found readable, and must not change until their turn."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyimagesearch.preprocessing.imageloader import check_image, load_image
from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.utils import InputError
from pyimagesearch.utils.orderedmap import ordered_map


@dataclass(frozen=True)
class Stamp:
    """What tells that a file has been written since it was checked."""

    n_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Read a file's stamp."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class CheckedImages:
    """The readable pictures of a folder, in row order.

    Attributes
    ----------
    images : LabelledImages
        The pictures that can be read.
    bad : dict of str to str
        The paths of those that cannot, relative to the folder, and why.
    stamps : dict of str to Stamp
        The state in which each readable picture was checked.
    """

    images: LabelledImages
    bad: dict[str, str]
    stamps: dict[str, Stamp]

    def load(self, row: int, size: tuple[int, int]) -> np.ndarray:
        """Return the pixels of a row's picture: uint8, shape (*size, 3).

        Raises
        ------
        InputError
            If it cannot be read any more, or is another than was checked.
        """
        path = self.images.absolute_path(row)
        pixels = load_image(path, size)
        if Stamp.of(path) != self.stamps[self.images.paths[row]]:
            raise InputError(f"'{path}' has changed since it was checked: run again to check it")
        return pixels


def check_images(
    images: LabelledImages, executor: Executor, ahead: int, advance: Callable[[], object]
) -> CheckedImages:
    """Decode every picture once, so that a bad one is known at the start.

    Parameters
    ----------
    images : LabelledImages
        The pictures to check.
    executor : concurrent.futures.Executor
        Where they are decoded.
    ahead : int
        How many pictures may be under way.
    advance : callable
        Called without arguments after each picture.

    Returns
    -------
    CheckedImages
        The pictures that can be read, and the others.
    """

    def check(path: str) -> Stamp | str:
        stamp = _stamp(images.root / path)  # before it is read: a change during that counts
        return check_image(images.root / path) or stamp

    stamps, bad = {}, {}
    for path, found in zip(
        images.paths, ordered_map(check, images.paths, executor, ahead), strict=True
    ):
        (bad if isinstance(found, str) else stamps)[path] = found
        advance()
    return CheckedImages(images.without(bad), bad, stamps)


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path)
    except OSError:
        return None  # the check itself will say why
