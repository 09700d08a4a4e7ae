"""List pictures that have no class yet, from any mix of files and folders."""

import io
import os
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image

from pyimagesearch.preprocessing.decoding import TO_SHOW, Decoding
from pyimagesearch.preprocessing.folderwalk import LeftAside, find_pictures
from pyimagesearch.preprocessing.imageloader import check_image
from pyimagesearch.utils import InputError


def list_images(paths: Iterable[str]) -> tuple[list[Path], LeftAside]:
    """List the pictures that are named, and those in and below folders.

    Parameters
    ----------
    paths : iterable of str
        Files, which are taken whatever their names, and folders. What does
        not exist is taken for a file.

    Returns
    -------
    list of Path
        At least one, in the order given; those of a folder by code point.
    LeftAside
        What the folders hold beside them.

    Raises
    ------
    InputError
        If there are none, a name is empty, or a folder cannot be listed.
    """
    paths = list(paths)
    if "" in paths:  # which Path takes for the current folder
        raise InputError("the name of a picture is empty: expected a file or a folder")
    pictures: list[Path] = []
    kinds, folders = Counter(), []
    for path in map(Path, paths):
        if not os.path.isdir(path):
            pictures.append(path)
            continue
        found, left = find_pictures(path)
        pictures.extend(path / relative for relative in sorted([*found, *left.broken_links]))
        kinds.update(left.kinds)
        folders.extend(str(path / relative) for relative in left.folders)
    left_aside = LeftAside(kinds, tuple(folders))
    if not pictures:
        where = ", ".join(f"'{path}'" for path in paths) or "what was given"
        passed_over = f" (passed over: {left_aside})" if kinds else ""
        raise InputError(f"no pictures in {where}{passed_over}: give pictures, or folders of them")
    return pictures, left_aside


def read_or_blank(path: Path, decoding: Decoding = TO_SHOW) -> tuple[bytes, str | None]:
    """Return a picture's file, to be decoded elsewhere as the decoding says.

    Returns
    -------
    bytes
        The contents of the file; of a blank picture if it cannot be read.
    str or None
        Why it cannot be read.
    """
    problem = check_image(path, decoding)
    return (_blank() if problem else path.read_bytes()), problem


@cache
def _blank() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()
