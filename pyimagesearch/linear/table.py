"""The search as a table: one row per C, what it scored and how it was fitted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyimagesearch.linear.gridsearch import GridSearch

HEADINGS = ("C", "accuracy", "std", "iterations", "converged", "seconds")


class Row(NamedTuple):
    """One C of the grid: what it scored in the folds, and how it was fitted."""

    C: float
    mean_accuracy: float
    std_accuracy: float
    iterations: int  # Newton steps of all folds
    converged: int  # how many of the fits
    fits: int
    elapsed_s: float  # of all folds, which are fitted at once


def search_table(search: GridSearch) -> list[Row]:
    """Return a row for each C of a search, in the order of its grid."""
    return [
        Row(
            C=float(C),
            mean_accuracy=float(np.mean([fit.accuracy for fit in fits])),
            std_accuracy=float(np.std([fit.accuracy for fit in fits])),
            iterations=sum(fit.n_iter for fit in fits),
            converged=sum(fit.converged for fit in fits),
            fits=len(fits),
            elapsed_s=max(fit.elapsed_s for fit in fits),
        )
        for C in search.grid
        for fits in [[fit for fit in search.fits[:-1] if fit.C == C]]
    ]


def format_table(rows: Sequence[Row], best_C: float, balanced: bool = False) -> str:
    """Lay a table out for the screen; the best C has a star, a balanced accuracy its name."""
    headings = [name if name != "accuracy" or not balanced else "balanced" for name in HEADINGS]
    lines = ["{:>10} {:>9} {:>7} {:>11} {:>10} {:>8}".format(*headings)]
    for row in rows:
        star = "*" if best_C == row.C else " "
        converged = f"{row.converged}/{row.fits}"
        lines.append(
            f"{star}{row.C:>9g} {row.mean_accuracy:>9.4f} {row.std_accuracy:>7.4f} "
            f"{row.iterations:>11} {converged:>10} {row.elapsed_s:>8.2f}"
        )
    return "\n".join(lines)


def notes(search: GridSearch) -> list[str]:
    """Return notes for readers of the table."""
    grid, best = search.grid, search.best_C
    lines = []
    if search.balanced:
        lines.append(
            "classes are weighted equally: C is chosen by balanced accuracy, the mean of the "
            "accuracies per class"
        )
    if len(grid) > 1 and best in (min(grid), max(grid)):
        lines.append(f"the best C, {best:g}, is at the edge of the grid: widen it with --C")
    for fit in search.fits:
        if not fit.converged:
            which = "the last fit" if fit.fold is None else f"the fit of fold {fit.fold + 1}"
            lines.append(f"{which} at C = {fit.C:g} has not converged (gap {fit.gap:.0e})")
    return lines
