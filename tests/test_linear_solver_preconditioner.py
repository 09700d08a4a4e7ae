"""Which rows are taken of each class, and what is nearly the inverse of the Hessian."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pyimagesearch.linear.solver.logloss import LogLoss
from pyimagesearch.linear.solver.preconditioner import (
    KEPT_BYTES,
    SAMPLE,
    draw,
    next_sample,
    preconditioner,
)
from pyimagesearch.linear.solver.rows import centred


@pytest.fixture
def make_rows():
    """Return a function that makes `Rows` of two classes."""
    with ThreadPoolExecutor(2) as pool:
        yield lambda X: centred(X, 2, pool, 2)


def loss_of(labels):
    return LogLoss(labels, np.ones(len(labels)), 2)


def sizes_of(n_rows, n_classes=2):
    """Return sizes over many powers of ten, as those of real features are."""
    return np.random.default_rng(0).lognormal(0, 4, (n_classes, n_rows)).astype(np.float32)


def test_the_largest_rows_are_drawn_once_and_stand_for_themselves():
    sizes = sizes_of(500)
    drawn, counts = draw(sizes, 40)
    assert drawn.shape == counts.shape == (2, 40)
    for of_class, rows, weights in zip(sizes, drawn, counts, strict=True):
        assert (np.diff(rows) > 0).all()
        heaviest = np.argsort(of_class)[-10:]
        assert set(heaviest) <= set(rows)
        np.testing.assert_allclose(weights[np.isin(rows, heaviest)], 1)


def test_rows_that_are_drawn_stand_for_the_others():
    sizes = sizes_of(500)
    drawn, counts = draw(sizes, 40)
    sums = (counts * np.take_along_axis(sizes, drawn, 1)).sum(axis=1)
    np.testing.assert_allclose(sums, sizes.sum(axis=1), rtol=1e-3)
    others = counts > 1 + 1e-6
    assert others.any(axis=1).all()
    carried = np.where(others, counts * np.take_along_axis(sizes, drawn, 1), np.nan)
    np.testing.assert_allclose(np.nanmax(carried, 1), np.nanmin(carried, 1), rtol=1e-5)


def test_each_row_is_drawn_in_proportion_to_its_size_and_none_without_any():
    sizes = np.random.default_rng(0).permuted(np.repeat(np.float32([0, 1, 3]), 400))
    (drawn,), _ = draw(sizes[None], 100)
    assert len(drawn) == 100
    assert not (sizes[drawn] == 0).any()
    assert 15 <= np.count_nonzero(sizes[drawn] == 1) <= 35


def test_all_rows_are_drawn_where_there_are_no_more_than_may_be():
    sizes = np.float32([[5, 1, 7, 2], [3, 9, 1, 1]])
    drawn, counts = draw(sizes, 4)
    np.testing.assert_array_equal(drawn, [[0, 1, 2, 3]] * 2)
    np.testing.assert_allclose(counts, 1)


def test_fewer_rows_are_drawn_where_fewer_have_a_size():
    sizes = np.zeros((3, 50), np.float32)
    sizes[0, [4, 8]] = 7
    sizes[1, 3] = 2
    drawn, counts = draw(sizes, 20)
    np.testing.assert_array_equal(counts, [[1, 1], [1, 0], [0, 0]])
    np.testing.assert_array_equal(drawn[0], [4, 8])
    assert drawn[1, 0] == 3


def test_where_products_cost_little_no_more_rows_are_taken():
    assert next_sample(60, 30_000, (10, 512), 4) == 60


def test_where_products_cost_more_than_rows_twice_as_many_are_taken():
    assert next_sample(60, 100_000, (10, 2048), 4) == 120


def test_near_the_number_of_features_enough_are_taken_for_all_directions():
    assert next_sample(240, 2_000_000, (10, 512), 4) == 4 * 512
    assert next_sample(240, 1_000_000, (10, 512), 4) == 240


def test_where_a_system_was_not_solved_more_rows_are_taken_at_any_cost():
    assert next_sample(60, np.inf, (4, 88), 4) == 4 * 88


def test_no_more_rows_are_taken_than_may_be_kept():
    n_features = KEPT_BYTES // (4 * 10 * 2 * SAMPLE)
    assert next_sample(60, 10**9, (10, n_features), 4) == 2 * SAMPLE
    assert next_sample(60, 10**9, (10, n_features + 1), 4) == SAMPLE


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("n_features", [12, 200], ids=["fewer features", "more features"])
def test_with_all_rows_the_preconditioner_inverts_the_hessian_of_two_classes(
    make_rows, n_features, double
):
    random, labels = np.random.default_rng(0), np.arange(80) % 2
    rows, p = make_rows(random.standard_normal((80, n_features))), random.random(80)
    weights = 2 * random.random(80)
    residuals = weights * np.where(labels == [[0], [1]], -p, p)
    residuals = residuals.astype(np.float64 if double else np.float32)
    apply = preconditioner(rows, LogLoss(labels, weights, 2), residuals, 1.0, sample=80)
    X = rows.pick(np.arange(80), np.float64)
    hessian = np.eye(n_features + 1) + X.T @ ((weights * p * (1 - p))[:, None] * X)
    v = random.standard_normal(n_features + 1)
    v = np.stack([v, -v])  # scores that are shifted together change nothing
    found = apply((v @ hessian).astype(residuals.dtype))
    np.testing.assert_allclose(found, v, atol=1e-9 if double else 1e-4)


def test_few_rows_drawn_of_many_give_nearly_all_of_the_hessian(make_rows):
    random, labels = np.random.default_rng(0), np.arange(20_000) % 2
    rows = make_rows(random.standard_normal((20_000, 16)) * np.arange(1, 17) ** -1.0)
    p = random.random(20_000).astype(np.float32)
    residuals = np.where(labels == [[0], [1]], -p, p)
    apply = preconditioner(rows, loss_of(labels), residuals, 100.0, sample=40 * 16)
    X = rows.pick(np.arange(20_000), np.float64)
    hessian = np.eye(17) + X.T @ ((100 * p * (1 - p))[:, None] * X)
    images = [apply(np.stack([v, -v]).astype(np.float32))[0] for v in hessian]
    nearly_1 = np.linalg.eigvals(images)
    assert nearly_1.real.min() > 0.7
    assert nearly_1.real.max() < 1.4


def test_what_the_classes_have_in_common_is_taken_off(make_rows):
    rows, labels = make_rows(np.random.default_rng(0).standard_normal((40, 5))), np.arange(40) % 2
    p = np.linspace(0.1, 0.9, 40)
    residuals = np.where(labels == [[0], [1]], -p, p)
    found = preconditioner(rows, loss_of(labels), residuals, 10.0, sample=40)(np.eye(2, 6))
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-12)
    assert np.abs(found).max() > 0.01


@pytest.mark.parametrize("double", [False, True])
def test_the_preconditioner_stays_positive_where_nearly_equal_rows_weigh_much(make_rows, double):
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 100))
    X[1::2] = X[::2] + 1e-4 * random.standard_normal((30, 100))
    labels = np.arange(60) % 2
    residuals = np.where(labels == [[0], [1]], -0.5, 0.5)
    residuals = residuals.astype(np.float64 if double else np.float32)
    rows = make_rows(X)
    apply = preconditioner(rows, loss_of(labels), residuals, 1e8, sample=60)
    Z = rows.pick(np.arange(60), np.float64)
    v = (2.5e7 * (random.standard_normal((50, 101)) @ Z.T)) @ Z
    pairs = np.stack([v, -v], axis=1).astype(residuals.dtype)
    along = [np.vdot(pair, apply(pair)) for pair in pairs]
    assert (np.array(along) > 0).all()
