"""The images that a classifier is least sure of, on a sheet."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pyimagesearch.linear import Tally
from pyimagesearch.reporting import SheetPicture, draw_contact_sheet


def draw_least_sure(
    path: str, tally: Tally, names: Sequence[str], load: Callable[[Path], np.ndarray]
) -> None:
    """Draw the images that a classifier is least sure of, the least sure first.

    Parameters
    ----------
    path : str
        The drawing.
    tally : Tally
        What is left of the answers.
    names : sequence of str
        Names of the classes.
    load : callable
        Reads an image: uint8, shape (height, width, 3).
    """
    pictures = [
        SheetPicture(answer.path, answer.path.name, *answer.caption(names))
        for answer in tally.least_sure
    ]
    similar = " (?: how similar the nearest one is)" if tally.n_unknown else ""
    draw_contact_sheet(
        pictures,
        Path(path),
        title=f"{len(pictures):,} of {tally.n_answers:,} pictures, the least sure first",
        legend="file → class, and how probable it seems" + similar,
        load=load,
    )
