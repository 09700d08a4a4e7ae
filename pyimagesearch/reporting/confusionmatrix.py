"""The confusion matrix of a classifier, as an image."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches. Few classes have cells like tiles; 101 have cells in which a count of
# two digits can just be read, in an image of about 3,000 pixels a side; many
# hundreds share the longest side there is, as a map of colours.
LARGEST_CELL, SMALLEST_CELL, LONGEST_SIDE = 1.1, 0.17, 30.0
SMALLEST_RULED_CELL = 0.06  # lines around smaller ones would hide them
SCREEN_SIDE = 10.0
BAR_GAP, BAR_WIDTH, BAR_LENGTH = 0.3, 0.14, 3.0

# Points.
LARGEST_COUNT, SMALLEST_COUNT = 12.0, 4.5
LARGEST_NAME, SMALLEST_NAME, LONGEST_NAME = 10.0, 5.5, 170.0
LINE_HEIGHT = 1.35  # of the font size

NO_IMAGES_GREY = "0.88"
DARK_SHARE = 0.6  # from here on white is easier to read on the blue than black


def draw_confusion_matrix(matrix: np.ndarray, label_names: Sequence[str], path: Path) -> None:
    """Draw how often each class was predicted as each other one.

    A cell shows its count, nothing if that is zero, and is the darker the
    larger its share of its row is. The rows of classes without test images
    are grey.

    Parameters
    ----------
    matrix : ndarray of shape (K, K), integer
        Counts of test images; rows are the true classes, columns the
        predicted ones.
    label_names : sequence of str, length K
        The names of the classes; drawn as they are, in one line, without
        their middle if they are very long.
    path : Path
        The file to write, ``.png``, ``.svg`` or ``.pdf``. A file that is
        there is replaced once the new one is whole.

    Raises
    ------
    InputError
        If `path` has another suffix or cannot be written.
    ValueError
        If `matrix` is not K x K.
    """
    save_figure(confusion_figure(matrix, label_names), path, bbox_inches="tight", pad_inches=0.15)


@drawing_settings()
def confusion_figure(matrix: np.ndarray, label_names: Sequence[str]) -> "Figure":
    """Return the drawing of `draw_confusion_matrix`, to be saved with a tight box."""
    matrix = np.asarray(matrix)
    n_classes = len(label_names)
    if matrix.shape != (n_classes, n_classes):
        raise ValueError(f"matrix has shape {matrix.shape}, but there are {n_classes} classes")
    cell = _cell_size(matrix)
    side = cell * n_classes
    # Names, title and colour bar lie outside: the tight box makes room for them.
    figure = new_figure(side, side)
    axes = figure.add_axes((0, 0, 1, 1), facecolor=NO_IMAGES_GREY)
    shares = _row_shares(matrix)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    _rule(axes, n_classes, cell)
    _write_counts(axes, matrix, shares, cell)
    names_width = _name_classes(axes, label_names, cell)
    axes.set_title(_title(matrix), loc="left", pad=10, fontsize=11)
    _add_colour_bar(figure, axes, side, BAR_GAP + (names_width if side > SCREEN_SIDE else 0))
    return figure


def _row_shares(matrix: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; a row of zeros becomes NaN, which is not drawn."""
    totals = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, totals, where=totals > 0, out=np.full(matrix.shape, np.nan))


def _cell_size(matrix: np.ndarray) -> float:
    """Return the side of a cell in inches, a whole number of pixels."""
    n_classes = len(matrix)
    smallest = max(SMALLEST_CELL, _room_for(matrix.max()) * SMALLEST_COUNT / POINTS_PER_INCH)
    cell = min(LARGEST_CELL, max(1.8 / n_classes**0.5, smallest), LONGEST_SIDE / n_classes)
    return max(1, round(cell * PIXELS_PER_INCH)) / PIXELS_PER_INCH


def _room_for(count: int) -> float:
    """Return the cell that a count needs, as a multiple of its font size."""
    return max(text_width(f"{count:,}", LARGEST_COUNT) / LARGEST_COUNT / 0.8, 1.9)


def _rule(axes: "Axes", n_classes: int, cell: float) -> None:
    """Draw thin lines between the cells, which lead the eye to the names."""
    borders = np.arange(n_classes + 1) - 0.5 if cell >= SMALLEST_RULED_CELL else []
    axes.set_xticks(borders, minor=True)
    axes.set_yticks(borders, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color("0.6")


def _write_counts(axes: "Axes", matrix: np.ndarray, shares: np.ndarray, cell: float) -> None:
    room = cell * POINTS_PER_INCH
    if room < 0.9 * SMALLEST_COUNT * _room_for(matrix.max()):
        return  # so many classes that the drawing is a map of colours
    for row, column in np.argwhere(matrix):
        axes.text(
            column,
            row,
            f"{matrix[row, column]:,}",
            color="white" if shares[row, column] > DARK_SHARE else "black",
            fontsize=min(LARGEST_COUNT, room / _room_for(matrix[row, column])),
            horizontalalignment="center",
            verticalalignment="center_baseline",
            in_layout=False,  # inside the cells: no need to measure thousands of texts
        )


def _name_classes(axes: "Axes", label_names: Sequence[str], cell: float) -> float:
    """Write the names, of as many classes as can be read.

    Returns
    -------
    float
        The width of the longest name that is written, in inches.
    """
    room = cell * POINTS_PER_INCH
    size = min(LARGEST_NAME, max(room / LINE_HEIGHT, SMALLEST_NAME))
    step = math.ceil(size * LINE_HEIGHT / room - 1e-6)
    shown = range(0, len(label_names), step)
    names = [elided(printable(label_names[index]), size, LONGEST_NAME) for index in shown]
    longest = max(text_width(name, size) for name in names)
    # A dollar in a name is a dollar: it does not begin a formula.
    axes.set_yticks(shown, names, fontsize=size, parse_math=False)
    axes.set_xticks(
        shown, names, fontsize=size, parse_math=False, rotation=0 if longest <= 0.9 * room else 90
    )
    # Whoever scrolls to the far end of a large matrix finds the names there too.
    both_ends = cell * len(label_names) > SCREEN_SIDE
    axes.tick_params(labeltop=both_ends, labelright=both_ends)
    axes.set_xlabel("predicted class", labelpad=8)
    axes.set_ylabel("true class", labelpad=8)
    return longest / POINTS_PER_INCH


def _title(matrix: np.ndarray) -> str:
    n_images, n_right = int(matrix.sum()), int(matrix.trace())
    if n_images == 0:
        return "No test images"
    accuracy = n_right / n_images
    if accuracy < 1:
        accuracy = min(accuracy, 0.999)  # 100.0% is for those without a mistake
    title = f"Accuracy {accuracy:.1%} ({n_right:,} of {n_images:,} test images)"
    if not matrix.any(axis=1).all():
        title += "\ngrey rows: classes without test images"
    return title


def _add_colour_bar(figure: "Figure", axes: "Axes", side: float, gap: float) -> None:
    length = min(side, BAR_LENGTH)
    place = (1 + gap / side, 1 - length / side, BAR_WIDTH / side, length / side)
    bar = figure.colorbar(axes.images[0], cax=figure.add_axes(place))
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    bar.set_label("share of the true class (%)")
    bar.outline.set_edgecolor("0.6")
