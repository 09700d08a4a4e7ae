"""Rows in the coordinates of their own space."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pyimagesearch.linear.solver import (
    Fits,
    centred,
    in_row_space,
    row_space_is_cheaper,
    to_feature_weights,
)
from pyimagesearch.linear.solver.rowspace import cholesky
from pyimagesearch.utils.memory import available_bytes


def test_the_factor_has_the_products_of_the_rows_and_leads_back_to_features():
    random = np.random.default_rng(0)
    X, order = random.standard_normal((30, 200)) + 5, random.permutation(30)
    with ThreadPoolExecutor(2) as pool:
        rows = centred(X, 3, pool, 2)
        space = in_row_space(rows, order)
        Z = rows.scale * (X - X.mean(axis=0))
        # 1 more, of the feature that takes the place of the intercepts' and keeps L regular
        np.testing.assert_allclose(space.X @ space.X.T, (Z @ Z.T + 1)[np.ix_(order, order)])
        np.testing.assert_array_equal(space.X, np.tril(space.X))
        w = random.standard_normal((3, 31))
        found = to_feature_weights(w, space, rows, order)
    np.testing.assert_allclose(
        Z[order] @ found[:, :-1].T + found[:, -1], space.X @ w[:, :-1].T + w[:, -1], atol=1e-9
    )


@pytest.mark.parametrize("more", [0.0, 1e-9], ids=["rounding", "more than the first ridges"])
def test_products_of_equal_rows_are_factored_with_a_little_more_on_their_diagonal(more):
    rows = np.repeat(np.random.default_rng(0).standard_normal((20, 50)), 2, axis=0)
    G = rows @ rows.T - more * np.eye(40)
    L = G.copy()
    ridge = cholesky(L)
    assert more < ridge <= max(20 * more, 1e-13)
    np.testing.assert_array_equal(L, np.tril(L))
    np.testing.assert_allclose(L @ L.T, G + ridge * np.eye(40), atol=1e-12)


def test_what_has_no_factor_is_not_taken_for_one():
    with pytest.raises(np.linalg.LinAlgError):
        cholesky(-np.eye(3))


def test_the_bound_counts_what_is_added_to_the_diagonal(monkeypatch):
    monkeypatch.setattr("pyimagesearch.linear.solver.rowspace.RIDGES", (1e9,))
    random = np.random.default_rng(0)
    X = np.repeat(random.standard_normal((20, 50)), 2, axis=0)  # each image lies in two classes
    labels, weights, C = np.arange(40) % 2, np.ones((1, 40)), 1e4
    with ThreadPoolExecutor(1) as pool:
        rows = centred(X, 2, pool, 1)
        space = in_row_space(rows, np.arange(40))
        (found,) = Fits(space, labels, weights).solve(C, 1e-9)
        (best,) = Fits(rows, labels, weights).solve(C, 1e-9)
    assert best.objective > 1.03 * found.objective
    assert best.objective < (1 + found.gap) * found.objective
    assert found.gap < 0.04


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param((2250, 25088, 9), True, id="animals"),
        pytest.param((6507, 25088, 303), True, id="CALTECH-101"),
        pytest.param((25000, 25088, 6), False, id="products would cost more than passes"),
        pytest.param((6507, 1280, 303), False, id="more rows than features"),
    ],
)
def test_row_space_is_used_where_it_costs_less(shape, expected):
    assert row_space_is_cheaper(*shape) is expected


def test_row_space_is_not_used_where_its_products_do_not_fit(monkeypatch):
    assert available_bytes() is None or available_bytes() > 8 * 2250**2
    monkeypatch.setattr(
        "pyimagesearch.linear.solver.rowspace.available_bytes", lambda: 8 * 2250**2 - 1
    )
    assert not row_space_is_cheaper(2250, 25088, 9)
