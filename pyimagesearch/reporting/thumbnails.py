"""Thumbnails of images, small enough to lie within a page."""

import base64
import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, features

from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.orderedmap import threaded_map

SIDE = 128  # pixels of the longer side
MOST_BYTES = 4_500  # of one, before base64 adds a third: the noisier, the lower its quality
QUALITIES = (75, 50, 25, 10, 1)
FORMAT = "WEBP" if features.check("webp") else "JPEG"  # Pillow can be built without the first


@dataclass(frozen=True)
class Thumbnail:
    """An image as a page shows it.

    Attributes
    ----------
    uri : str
        The encoded image, as a ``data:`` URI.
    width, height : int
        In pixels.
    """

    uri: str
    width: int
    height: int


def thumbnail(pixels: np.ndarray) -> Thumbnail:
    """Shrink and encode an image.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        RGB, of any size. A smaller image than a thumbnail keeps its size.

    Returns
    -------
    Thumbnail
        Of at most some `MOST_BYTES`.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        encoded = io.BytesIO()
        image.save(encoded, FORMAT, quality=quality)
        if encoded.tell() <= MOST_BYTES:
            break
    text = base64.b64encode(encoded.getvalue()).decode()
    return Thumbnail(f"data:image/{FORMAT.lower()};base64,{text}", *image.size)


def thumbnails(
    paths: Collection[Path], load: Callable[[Path], np.ndarray], n_threads: int
) -> dict[Path, Thumbnail]:
    """Make thumbnails of images; those that cannot be read have none.

    Parameters
    ----------
    paths : collection of Path
        The images.
    load : callable
        Takes a path, and returns pixels as `thumbnail` takes them, or raises
        ``OSError`` or ``InputError``.
    n_threads : int
        How many of them are loaded at a time.

    Returns
    -------
    dict of Path to Thumbnail
    """

    def made(path: Path) -> Thumbnail | None:
        try:
            return thumbnail(load(path))
        except (OSError, InputError):
            return None

    found: Iterator = threaded_map(made, paths, n_threads, ahead=2 * n_threads)
    return {path: one for path, one in zip(paths, found, strict=True) if one}
