"""The search as a table: a row a C, what it scored and how it was fitted."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pyimagesearch.linear.gridsearch import RowSpaceGridSearchCV

HEADINGS = ("C", "accuracy", "std", "iterations", "converged", "seconds")


@dataclass(frozen=True)
class Row:
    """One C of the grid.

    Attributes
    ----------
    C : float
        Inverse strength of the regularisation.
    mean_accuracy, std_accuracy : float
        Mean and standard deviation over the folds.
    iterations : int
        Newton steps of all folds.
    converged, fits : int
        How many of how many fits have converged.
    elapsed_s : float
        Seconds of all folds, one core each.
    """

    C: float
    mean_accuracy: float
    std_accuracy: float
    iterations: int
    converged: int
    fits: int
    elapsed_s: float


def search_table(search: RowSpaceGridSearchCV) -> list[Row]:
    """Return a row for each C of a fitted search, in the order of its grid."""
    results = search.cv_results_
    rows = []
    for i, candidate in enumerate(results["params"]):
        fits = [
            fit
            for (C, fold), fit in search.fits_.items()
            if candidate["C"] == C and fold is not None
        ]
        rows.append(
            Row(
                C=float(candidate["C"]),
                mean_accuracy=float(results["mean_test_score"][i]),
                std_accuracy=float(results["std_test_score"][i]),
                iterations=sum(fit.n_iter for fit in fits),
                converged=sum(fit.converged for fit in fits),
                fits=len(fits),
                elapsed_s=sum(fit.elapsed_s for fit in fits),
            )
        )
    return rows


def format_table(rows: Sequence[Row], best_C: float) -> str:
    """Lay a table out for the screen; the best C has a star."""
    lines = ["{:>10} {:>9} {:>7} {:>11} {:>10} {:>8}".format(*HEADINGS)]
    for row in rows:
        star = "*" if best_C == row.C else " "
        converged = f"{row.converged}/{row.fits}"
        lines.append(
            f"{star}{row.C:>9g} {row.mean_accuracy:>9.4f} {row.std_accuracy:>7.4f} "
            f"{row.iterations:>11} {converged:>10} {row.elapsed_s:>8.2f}"
        )
    return "\n".join(lines)


def notes(search: RowSpaceGridSearchCV) -> list[str]:
    """Say what a reader of the table should know about it."""
    grid, best = search.param_grid["C"], search.best_params_["C"]
    said = []
    if len(grid) > 1 and best in (min(grid), max(grid)):
        side = "smallest" if best == min(grid) else "largest"
        said.append(f"the best C, {best:g}, is the {side} of the grid: a better one may lie beyond")
    for (C, fold), fit in search.fits_.items():
        if not fit.converged:
            which = "the last fit" if fold is None else f"the fit of fold {fold + 1}"
            said.append(f"{which} at C = {C:g} has not converged (gap {fit.gap:.0e})")
    return said


def as_records(rows: Sequence[Row]) -> list[dict]:
    """Return the table for a machine."""
    return [asdict(row) for row in rows]
