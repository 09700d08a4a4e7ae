"""A few images of a dataset, to try a model on."""

import contextlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from pyimagesearch.preprocessing.decoding import Decoding
from pyimagesearch.preprocessing.imageloader import load_image
from pyimagesearch.utils import InputError
from pyimagesearch.utils.wording import counted

N_SAMPLES = 8


def sample_images(
    paths: Sequence[Path], size: tuple[int, int], decoding: Decoding
) -> tuple[np.ndarray, str]:
    """Return the pixels of up to 8 images, spread over a list, or random ones if there are none.

    Parameters
    ----------
    paths : sequence of Path
        The images; missing ones are skipped.
    size : tuple of int
        Height and width, in pixels.
    decoding : Decoding
        How their files are read.

    Returns
    -------
    ndarray of uint8, shape (n, height, width, 3)
    str
        What they are, with their number.
    """
    spread = [*paths[:: max(1, len(paths) // N_SAMPLES)], *paths]
    found = list(islice(_readable(dict.fromkeys(spread), size, decoding), N_SAMPLES))
    if not found:
        shape = (N_SAMPLES, *size, 3)
        drawn = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        return drawn, f"{N_SAMPLES} images of random pixels"
    return np.stack(found), counted(len(found), "test image")


def _readable(paths, size, decoding):
    for path in paths:
        with contextlib.suppress(InputError):
            yield load_image(path, size, decoding=decoding)
