from types import SimpleNamespace

import numpy as np
import pytest

from pyimagesearch.linear import RowSpaceGridSearchCV, format_table, notes, search_table
from pyimagesearch.linear.table import Row


def fit(max_iter: int) -> RowSpaceGridSearchCV:
    rows = np.random.default_rng(0).standard_normal((30, 50)).astype(np.float32)
    search = RowSpaceGridSearchCV({"C": [1.0, 10.0]}, n_jobs=1, max_iter=max_iter)
    return search.fit(rows, np.arange(30) % 3)


def test_every_fit_that_has_not_converged_is_named():
    search = fit(max_iter=1)
    said = [note.partition(" has not converged")[0] for note in notes(search)[1:]]
    assert said == [
        *[f"the fit of fold {fold} at C = {C}" for fold in (1, 2, 3) for C in (1, 10)],
        f"the last fit at C = {search.best_params_['C']:g}",
    ]
    assert [row.converged for row in search_table(search)] == [0, 0]


def test_fits_that_have_converged_need_no_note():
    search = fit(max_iter=200)
    assert not [note for note in notes(search) if "converged" in note]
    assert [row.converged for row in search_table(search)] == [3, 3]


@pytest.mark.parametrize(
    ("best", "said"),
    [
        (0.1, ["the best C, 0.1, is the smallest of the grid: a better one may lie beyond"]),
        (1.0, []),
        (10.0, ["the best C, 10, is the largest of the grid: a better one may lie beyond"]),
    ],
)
def test_a_best_c_at_an_edge_of_the_grid_is_noted(best, said):
    grid = {"C": [0.1, 1.0, 10.0]}
    search = SimpleNamespace(param_grid=grid, best_params_={"C": best}, fits_={})
    assert notes(search) == said


def test_the_columns_stand_below_their_headings_and_the_best_c_has_a_star():
    rows = [Row(0.1, 0.5, 0.25, 9, 3, 3, 0.5), Row(10000.0, 1.0, 0.0, 1200, 0, 3, 123.4)]
    assert format_table(rows, best_C=10000.0).splitlines() == [
        "         C  accuracy     std  iterations  converged  seconds",
        "       0.1    0.5000  0.2500           9        3/3     0.50",
        "*    10000    1.0000  0.0000        1200        0/3   123.40",
    ]
