"""List images without labels, from any mix of files and folders."""

import io
import os
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from pyimagesearch.preprocessing.decoding import TO_SHOW, Decoding
from pyimagesearch.preprocessing.folderwalk import SkippedFiles, find_images
from pyimagesearch.preprocessing.imageloader import check_image, load_image
from pyimagesearch.utils import InputError


class UnlabelledImages:
    """Images that were listed, but not read yet.

    Parameters
    ----------
    paths : list of Path
        The images.
    decoding : Decoding
        How they are read.

    Attributes
    ----------
    unreadable : dict of int to str
        Why a row's image cannot be read, of those that were read until now. A
        blank image stands in for each: a batch has one row per image.
    """

    def __init__(self, paths: list[Path], decoding: Decoding = TO_SHOW):
        self.paths = paths
        self.decoding = decoding
        self.unreadable: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, row: int) -> str:
        """Return the path of a row's image."""
        return str(self.paths[row])

    def pixels(self, row: int, size: tuple[int, int] | None) -> np.ndarray:
        """Return the pixels of a row's image: uint8, shape (*size, 3); None is its own size."""
        try:
            return load_image(self.paths[row], size, decoding=self.decoding)
        except InputError as error:
            self.unreadable[row] = str(error)
            return np.zeros((*(size or (1, 1)), 3), np.uint8)

    def contents(self, row: int) -> bytes:
        """Return the contents of a row's file, which can be decoded."""
        path = self.paths[row]
        if problem := check_image(path, self.decoding):
            self.unreadable[row] = f"{str(path)!r} cannot be read: {problem}"
            return _blank()
        return path.read_bytes()


def list_images(
    paths: Iterable[str], decoding: Decoding = TO_SHOW
) -> tuple[UnlabelledImages, SkippedFiles]:
    """List the given image files, and the images in and below folders.

    Parameters
    ----------
    paths : iterable of str
        Files, which are taken under any name, and folders. A path that does
        not exist is taken as a file.
    decoding : Decoding
        How to read them.

    Returns
    -------
    UnlabelledImages
        At least one, in the order given; those of a folder by code point.
    SkippedFiles
        What else the folders hold.

    Raises
    ------
    InputError
        If there are none, a name is empty, or a folder cannot be listed.
    """
    paths = list(paths)
    if "" in paths:  # which Path reads as the current folder
        raise InputError("the name of an image is empty: expected a file or a folder")
    images: list[Path] = []
    kinds, folders = Counter(), []
    for path in map(Path, paths):
        if not os.path.isdir(path):
            images.append(path)
            continue
        found, left = find_images(path)
        images.extend(path / relative for relative in sorted([*found, *left.broken_links]))
        kinds.update(left.kinds)
        folders.extend(str(path / relative) for relative in left.folders)
    skipped = SkippedFiles(kinds, tuple(folders))
    if not images:
        where = ", ".join(f"'{path}'" for path in paths) or "what was given"
        also_there = f" (skipped: {skipped})" if kinds else ""
        raise InputError(f"no images in {where}{also_there}: give images, or folders of them")
    return UnlabelledImages(images, decoding), skipped


@cache
def _blank() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()
