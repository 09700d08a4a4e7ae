"""Images on one sheet, with what a classifier predicts for them beneath."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pyimagesearch.reporting.figurefile import (
    PIXELS_PER_INCH,
    POINTS_PER_INCH,
    drawing_settings,
    elided,
    new_figure,
    printable,
    save_figure,
    text_width,
)
from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Pixels.
TILE, CAPTION, GAP, HEADER = 225, 46, 18, 84
COLUMNS_OF_SMALLEST_SHEET = 4  # the title needs that much room

# Points.
CAPTION_SIZE, TITLE_SIZE = 8.0, 13.0

MISTAKES_LEGEND = (
    "true class → predicted class and its probability (worst: the true class is least probable)"
)
SUSPECTS_LEGEND = "given class → most probable class and its probability"
N_MISTAKES = 48  # that are drawn, and that a page shows
INK, WRONG_RED = "black", "#b2182b"
MOUNT_GREY = 240
LANCZOS = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class SheetTile:
    """An image, and what a classifier predicts for it.

    Parameters
    ----------
    image : Path
        The image's file.
    name : str
        What it is known as: its true class, or its file.
    predicted_name : str
        The predicted class.
    probability : float
        The probability of `predicted_name`, 0 to 1.
    colour : str
        Of the prediction, as matplotlib has it.
    """

    image: Path
    name: str
    predicted_name: str
    probability: float
    colour: str = INK


def draw_contact_sheet(
    tiles: Sequence[SheetTile],
    path: Path,
    *,
    title: str,
    legend: str,
    load: Callable[[Path], np.ndarray],
) -> None:
    """Draw thumbnails of images, with what a classifier predicts for them beneath.

    Parameters
    ----------
    tiles : sequence of SheetTile
        In the order in which they are to be drawn.
    path : Path
        The file to write, ``.png``, ``.svg`` or ``.pdf``. A file that is
        there is replaced once the new one is whole.
    title, legend : str
        What stands above the images: one line each.
    load : callable
        Takes an image's `image` and returns its pixels, uint8 of shape
        (height, width, 3), RGB, of any size. When it raises ``OSError`` or
        ``InputError``, the sheet shows an empty tile with the file's name.

    Raises
    ------
    InputError
        If `path` has another suffix or cannot be written.
    """
    save_figure(contact_figure(tiles, title, legend, load), path)


def draw_mistakes(
    mistakes: Sequence[SheetTile],
    path: Path,
    *,
    load: Callable[[Path], np.ndarray],
    n_test_images: int,
    n_drawn_at_most: int = N_MISTAKES,
) -> None:
    """Draw thumbnails of the worst mistakes, with their names beneath.

    Parameters
    ----------
    mistakes : sequence of SheetTile
        All images whose predicted class is not their `name`, the
        worst first; drawn in red.
    path, load
        As for `draw_contact_sheet`.
    n_test_images : int
        How many images were tested, for the title.
    n_drawn_at_most : int
        How many of `mistakes` are read and drawn.

    Raises
    ------
    InputError
        If `path` has another suffix or cannot be written.
    """
    tiles = [replace(mistake, colour=WRONG_RED) for mistake in mistakes[:n_drawn_at_most]]
    title = sheet_title(len(tiles), len(mistakes), n_test_images)
    legend = MISTAKES_LEGEND if tiles else ""
    draw_contact_sheet(tiles, path, title=title, legend=legend, load=load)


def draw_suspects(
    suspects: Sequence[SheetTile],
    path: Path,
    *,
    load: Callable[[Path], np.ndarray],
    n_images: int,
    n_drawn_at_most: int = N_MISTAKES,
) -> None:
    """Draw thumbnails of the images whose label is probably wrong.

    Parameters
    ----------
    suspects : sequence of SheetTile
        All of them, the most suspicious first.
    path, load
        As for `draw_contact_sheet`.
    n_images : int
        How many images were looked at, for the title.
    n_drawn_at_most : int
        How many of `suspects` are read and drawn.

    Raises
    ------
    InputError
        If `path` has another suffix or cannot be written.
    """
    drawn = suspects[:n_drawn_at_most]
    of_all = f" of {len(suspects):,}" if len(drawn) < len(suspects) else ""
    n_shown = f"{len(drawn):,}{of_all} suspects" if of_all else counted(len(drawn), "suspect")
    title = f"{n_shown} among {counted(n_images, 'image')}, the most suspicious first"
    draw_contact_sheet(drawn, path, title=title, legend=SUSPECTS_LEGEND if drawn else "", load=load)


def sheet_title(n_drawn: int, n_mistakes: int, n_test_images: int) -> str:
    """Return a title: how many mistakes are drawn, of how many there are.

    Examples
    --------
    >>> sheet_title(48, 113, 2000)
    '48 worst of 113 mistakes (of 2,000 test images)'
    >>> sheet_title(1, 1, 30)
    'The only mistake (of 30 test images)'
    """
    images = f"{n_test_images:,} test images"
    if n_mistakes == 0:
        return f"No mistakes in {images}"
    if n_drawn < n_mistakes:
        return f"{n_drawn:,} worst of {n_mistakes:,} mistakes (of {images})"
    if n_mistakes == 1:
        return f"The only mistake (of {images})"
    return f"All {n_mistakes:,} mistakes (of {images}), the worst first"


@drawing_settings()
def contact_figure(
    tiles: Sequence[SheetTile],
    title: str,
    legend: str,
    load: Callable[[Path], np.ndarray],
) -> "Figure":
    """Return the drawing of `draw_contact_sheet`."""
    n_columns = min(len(tiles), max(4, math.ceil(math.sqrt(1.3 * len(tiles)))))
    n_rows = math.ceil(len(tiles) / max(1, n_columns))
    width = GAP + max(n_columns, COLUMNS_OF_SMALLEST_SHEET) * (TILE + GAP)
    height = HEADER + n_rows * (TILE + CAPTION + GAP)
    axes = _blank_sheet(width, height)
    axes.text(GAP, 38, title, fontsize=TITLE_SIZE)
    axes.text(GAP, 64, legend, fontsize=CAPTION_SIZE, color="0.35")
    for index, tile in enumerate(tiles):
        row, column = divmod(index, n_columns)
        left, top = GAP + column * (TILE + GAP), HEADER + row * (TILE + CAPTION + GAP)
        _draw_tile(axes, left, top, tile.image, load)
        _write_caption(axes, left, top + TILE, tile)
    return axes.figure


def _blank_sheet(width: int, height: int) -> "Axes":
    """Return axes that fill a figure and count its pixels from the top left."""
    figure = new_figure(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return axes


def _draw_tile(
    axes: "Axes", left: int, top: int, image: Path, load: Callable[[Path], np.ndarray]
) -> None:
    """Draw an image on its grey mount, or only the mount and its file's name."""
    mount = np.full((TILE, TILE, 3), MOUNT_GREY, np.uint8)
    try:
        _paste(mount, load(image))
    except (OSError, InputError):
        _write_missing(axes, left, top, image)
    # One pixel for each of the figure's: nothing is sampled a second time.
    extent = (left, left + TILE, top + TILE, top)
    axes.imshow(mount, extent=extent, aspect="auto", interpolation="nearest")


def _paste(mount: np.ndarray, pixels: np.ndarray) -> None:
    """Put an image on the middle of a square, as large as fits, its aspect ratio kept."""
    scale = len(mount) / max(pixels.shape[:2])
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    image = Image.fromarray(pixels)
    top, left = (len(mount) - height) // 2, (len(mount) - width) // 2
    mount[top : top + height, left : left + width] = image.resize((width, height), LANCZOS)


def _write_missing(axes: "Axes", left: int, top: int, image: Path) -> None:
    """Write on an empty tile which image could not be read."""
    room = (TILE - GAP) * POINTS_PER_INCH / PIXELS_PER_INCH
    name = elided(printable(image.name), CAPTION_SIZE, room)
    middle = {"horizontalalignment": "center", "verticalalignment": "center"}
    style = {"fontsize": CAPTION_SIZE, "color": "0.35", "parse_math": False, **middle}
    axes.text(left + TILE / 2, top + TILE / 2 - 14, "cannot read", **style)
    axes.text(left + TILE / 2, top + TILE / 2 + 14, name, **style)


def _write_caption(axes: "Axes", left: int, top: int, tile: SheetTile) -> None:
    """Write an image's name, and beneath it the predicted one with its probability."""
    room = TILE * POINTS_PER_INCH / PIXELS_PER_INCH
    certainty = percent(tile.probability)
    name = elided(printable(tile.name), CAPTION_SIZE, room)
    predicted_room = room - text_width(certainty, CAPTION_SIZE) - CAPTION_SIZE
    predicted = elided(f"→ {printable(tile.predicted_name)}", CAPTION_SIZE, predicted_room)
    style = {"fontsize": CAPTION_SIZE, "parse_math": False}
    axes.text(left, top + 20, name, **style)
    style["color"] = tile.colour
    axes.text(left, top + 41, predicted, **style)
    axes.text(left + TILE, top + 41, certainty, horizontalalignment="right", **style)


def percent(probability: float) -> str:
    """Write a probability without rounding it to nothing or to certainty."""
    rounded = f"{probability:.0%}"
    return {"0%": "<1%", "100%": ">99%"}.get(rounded, rounded)
