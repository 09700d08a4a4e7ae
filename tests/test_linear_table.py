from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from pyimagesearch.linear import GridSearch, format_table, grid_search, notes, search_table
from pyimagesearch.linear.table import Row


def fit(max_iter: int) -> GridSearch:
    rows = np.random.default_rng(0).standard_normal((30, 50)).astype(np.float32)
    labels = np.arange(30) % 3
    folds = StratifiedKFold(3).split(labels, labels)
    return grid_search(rows, labels, [1.0, 10.0], folds, max_iter=max_iter)


def test_every_fit_that_has_not_converged_is_named():
    search = fit(max_iter=0)
    printed = [note.partition(" has not converged")[0] for note in notes(search)[1:]]
    assert printed == [
        *[f"the fit of fold {fold} at C = {C}" for C in (1, 10) for fold in (1, 2, 3)],
        f"the last fit at C = {search.best_C:g}",
    ]
    assert [row.converged for row in search_table(search)] == [0, 0]


def test_fits_that_have_converged_need_no_note():
    search = fit(max_iter=200)
    assert not [note for note in notes(search) if "converged" in note]
    assert [row.converged for row in search_table(search)] == [3, 3]


@pytest.mark.parametrize(("best", "is_noted"), [(0.1, True), (1.0, False), (10.0, True)])
def test_a_best_c_at_an_edge_of_the_grid_is_noted(best, is_noted):
    printed = notes(SimpleNamespace(grid=(0.1, 1.0, 10.0), best_C=best, fits=[], balanced=False))
    expected = f"the best C, {best:g}, is at the edge of the grid: widen it with --C"
    assert printed == ([expected] if is_noted else [])


def test_the_columns_stand_below_their_headings_and_the_best_c_has_a_star():
    rows = [Row(0.1, 0.5, 0.25, 9, 3, 3, 0.5), Row(10000.0, 1.0, 0.0, 1200, 0, 3, 123.4)]
    assert format_table(rows, best_C=10000.0).splitlines() == [
        "         C  accuracy     std  iterations  converged  seconds",
        "       0.1    0.5000  0.2500           9        3/3     0.50",
        "*    10000    1.0000  0.0000        1200        0/3   123.40",
    ]
