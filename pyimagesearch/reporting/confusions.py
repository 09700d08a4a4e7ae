"""Which images lie in which cell of the confusion matrix, and how many of them a page shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_CLASSES = 250  # of a table that a browser lays out within a second or two


@dataclass(frozen=True)
class Cell:
    """The images of one class that were predicted as one class.

    Attributes
    ----------
    label, predicted : int
        Both classes.
    images : ndarray of int, shape (n,)
        The images, those first whose class was thought least probable.
    share : float
        Part of the images of `label`.
    n_shown : int
        How many of `images` the page shows; 0 if the cell has no section there.
    """

    label: int
    predicted: int
    images: np.ndarray
    share: float
    n_shown: int

    @property
    def is_mistake(self) -> bool:
        """Whether it lies off the diagonal."""
        return self.label != self.predicted


@dataclass(frozen=True)
class Confusions:
    """The confusion matrix as a page shows it.

    Attributes
    ----------
    cells : dict of (int, int) to Cell
        By label and predicted label, those that hold images. The mistakes
        come first, the most frequent ones before the others.
    classes : list of int
        Those that the table has: all, or those with the most mistakes.
    missed, wrongly_predicted : set of int
        Of `classes`, those of which images were predicted as others, and
        those as which images of others were predicted.
    most_per_cell : int
        How many images a cell shows at most.
    """

    cells: dict[tuple[int, int], Cell]
    classes: list[int]
    missed: set[int]
    wrongly_predicted: set[int]
    most_per_cell: int

    @property
    def is_whole(self) -> bool:
        """Whether all images are shown."""
        return all(cell.n_shown == len(cell.images) for cell in self.cells.values())


def confusions(
    labels: np.ndarray,
    predicted: np.ndarray,
    label_probability: np.ndarray,
    n_classes: int,
    n_shown_at_most: int,
) -> Confusions:
    """Sort images into the cells of a confusion matrix.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n,)
        The class of each image, and the one that was predicted.
    label_probability : ndarray of float, shape (n,)
        The probability of the former.
    n_classes : int
        How many classes there are.
    n_shown_at_most : int
        How many images all cells together show.

    Returns
    -------
    Confusions
    """
    order = np.lexsort((label_probability, predicted, labels))
    keys = labels[order] * n_classes + predicted[order]
    pairs, starts = np.unique(keys, return_index=True)
    groups = dict(zip(map(int, pairs), np.split(order, starts[1:]), strict=True))
    of_class = np.bincount(labels, minlength=n_classes)

    def priority(key: int) -> tuple[bool, int]:
        return key // n_classes == key % n_classes, -len(groups[key])

    ranked = sorted(groups, key=priority)
    most_per_cell = cap([len(groups[key]) for key in ranked], n_shown_at_most)
    cells = {}
    for place, key in enumerate(ranked):
        label, other = divmod(key, n_classes)
        n_shown = min(len(groups[key]), most_per_cell) if place < n_shown_at_most else 0
        share = len(groups[key]) / int(of_class[label])
        cells[label, other] = Cell(label, other, groups[key], share, n_shown)
    mistakes = [cell for cell in cells.values() if cell.is_mistake]
    classes = most_confused(mistakes, n_classes)
    return Confusions(
        cells,
        classes,
        {cell.label for cell in mistakes}.intersection(classes),
        {cell.predicted for cell in mistakes}.intersection(classes),
        most_per_cell,
    )


def most_confused(mistakes: Sequence[Cell], n_classes: int) -> list[int]:
    """Return all classes, or of very many those with the most mistakes, in order."""
    n_mistakes = np.zeros(n_classes, np.int64)
    for cell in mistakes:
        n_mistakes[[cell.label, cell.predicted]] += len(cell.images)
    ranked = np.argsort(-n_mistakes, kind="stable")
    return sorted(ranked[:MOST_CLASSES].tolist())


def cap(counts: Sequence[int], total: int) -> int:
    """Return how many of each group may be shown so that all are at most `total`, at least 1.

    Examples
    --------
    >>> cap([1, 2, 100, 200], 23)
    10
    >>> cap([5, 5], 1000)
    5
    """
    counts = np.sort(np.asarray(counts, np.int64))
    rest = total
    for i, count in enumerate(counts):
        share = rest // (len(counts) - i)
        if share < count:
            return max(1, int(share))
        rest -= count
    return int(counts[-1])
