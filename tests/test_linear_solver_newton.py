"""Newton's method on rows: its bound, its way, and where it begins."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.special import logsumexp

from pyimagesearch.linear.solver import Fits, Rows, centred, newton, preconditioner
from pyimagesearch.linear.solver.conjugategradients import System
from pyimagesearch.linear.solver.logloss import LogLoss
from pyimagesearch.linear.solver.subspace import best_combination

N_CLASSES = 4
C = 50.0


@pytest.fixture
def problem():
    """Rows of which every fifth lies in another class too, with their labels."""
    random = np.random.default_rng(0)
    X, labels = random.standard_normal((80, 12)), np.arange(80) % N_CLASSES
    X[::5] = X[1::5]
    with ThreadPoolExecutor(2) as pool:
        yield centred(X, N_CLASSES, pool, 2), labels


def fit_of(rows, labels, **options):
    """Return one fit, to all rows."""
    return Fits(rows, labels, np.ones((1, len(labels))), **options)


def objective(rows, labels, w, strength=C):
    scores = rows.pick(np.arange(len(labels)), np.float64) @ w.T
    losses = logsumexp(scores, axis=1) - scores[np.arange(len(labels)), labels]
    return strength * losses.sum() + np.square(w[:, :-1]).sum() / 2


def recorded(monkeypatch, dtype=np.float64):
    """Return the list into which each solution of a precision comes that is found on the way."""
    found, best = [], Fits._best

    def recording(*asked, **options):
        here = best(*asked, **options)
        found.extend(one for one in here if one.residuals.dtype == dtype)
        return here

    monkeypatch.setattr(Fits, "_best", recording)
    return found


def test_the_bound_is_that_of_the_weights_at_their_best_length(problem):
    rows, labels = problem
    (best,) = fit_of(rows, labels).solve(C, 1e-12)
    w = np.random.default_rng(1).standard_normal((N_CLASSES, 13))
    (found,) = fit_of(rows, labels).bound(C, [w])
    lengths = found.point.w[:, :-1] / w[:, :-1]
    np.testing.assert_allclose(lengths, np.full_like(lengths, lengths[0, 0]))
    for length in (lengths[0, 0] - 0.01, lengths[0, 0] + 0.01):
        other = np.column_stack([length * w[:, :-1], found.point.w[:, -1]])
        assert found.objective < objective(rows, labels, other)
    np.testing.assert_allclose(found.objective, objective(rows, labels, found.point.w), rtol=1e-12)
    assert found.objective * (1 - found.gap) <= best.objective < found.objective


def test_the_objective_falls_with_every_step(problem, monkeypatch):
    rows, labels = problem
    rough, exact = recorded(monkeypatch, np.float32), recorded(monkeypatch)
    (found,) = fit_of(rows, labels).solve(C, 1e-14)
    assert found.gap <= 1e-10
    rough, exact = ([objective(rows, labels, at.point.w) for at in ats] for ats in (rough, exact))
    assert len(rough + exact) > found.n_iter > 3
    assert (np.diff(rough + exact) <= 1e-6 * rough[0]).all()  # in single precision, at first
    assert len(exact) > 1
    assert (np.diff(exact) <= 1e-13 * exact[0]).all()
    assert exact[-1] == min(rough + exact)


def test_what_the_minimum_cannot_be_below_holds_wherever_it_was_found(problem, monkeypatch):
    class Astray(System):
        def __init__(self, gradient, *others):
            super().__init__(gradient, *others)
            self.step, self.unsolved = random.standard_normal(gradient.shape), False

    monkeypatch.setattr(newton, "System", Astray)
    random, (rows, labels) = np.random.default_rng(0), problem
    exact, fits = recorded(monkeypatch), fit_of(rows, labels)
    begin = fits.bound(C, [np.eye(N_CLASSES, 13)])
    fits._descend(begin, C, 1e-9)
    (fit,) = fits._fits
    assert fit.n_iter == len(exact) - 1 > 10
    bounds = [solution.objective * (1 - solution.gap) for solution in exact]
    assert max(bounds) > bounds[-1] + 0.01 * fit.here.objective
    assert fit.here.objective == exact[-1].objective < begin[0].objective
    np.testing.assert_allclose(fit.here.objective * (1 - fit.here.gap), max(bounds))


def test_rows_that_are_left_out_have_the_scores_of_the_last_point(problem):
    rows, labels = problem
    used = np.arange(len(labels))[None] % 2 > 0  # so few that no others are read with them
    (found,) = Fits(rows, labels, used).solve(C, 1e-13)
    (rough,) = Fits(rows, labels, used).solve(C, 1e-2)
    assert found.n_iter > rough.n_iter
    scores = found.point.w @ rows.pick(np.arange(len(labels)), np.float64).T
    np.testing.assert_allclose(found.point.scores, scores, rtol=1e-9)


def test_fits_in_lockstep_find_what_each_finds_alone_in_fewer_passes(problem, monkeypatch):
    rows, labels = problem
    weights = np.random.default_rng(1).random((3, len(labels))) < [[0.5], [0.7], [1.0]]
    passes = []
    for name in ("scores", "weighted_sums"):
        method = getattr(Rows, name)

        def counting(*asked, method=method):
            passes.append(1)
            return method(*asked)

        monkeypatch.setattr(Rows, name, counting)
    together, n_together = Fits(rows, labels, weights).solve(C, 1e-10), len(passes)
    alone = [Fits(rows, labels, one[None]).solve(C, 1e-10)[0] for one in weights]
    n_alone = len(passes) - n_together
    assert n_together < 0.5 * n_alone
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(found.objective, expected.objective, rtol=1e-9)
        assert found.gap <= 1e-10


def test_a_weight_counts_a_row_as_often():
    random, n = np.random.default_rng(0), 60
    X, labels, often = random.standard_normal((n, 5)), np.arange(n) % 3, np.arange(n) % 4
    with ThreadPoolExecutor(2) as pool:
        rows = Rows(X, 3, pool, 2)
        (found,) = Fits(rows, labels, often[None]).solve(C, 1e-12)
        rows = Rows(np.repeat(X, often, axis=0), 3, pool, 2)
        (expected,) = fit_of(rows, np.repeat(labels, often)).solve(C, 1e-12)
    assert found.gap <= 1e-12
    np.testing.assert_allclose(found.objective, expected.objective, rtol=1e-10)
    size = np.abs(expected.point.w).max()
    np.testing.assert_allclose(found.point.w, expected.point.w, atol=1e-6 * size)


def test_a_class_that_a_fit_has_no_row_of_changes_nothing_for_the_others():
    random, labels = np.random.default_rng(0), np.arange(80) % 4
    X, used = random.standard_normal((80, 5)), labels < 3
    with ThreadPoolExecutor(2) as pool:
        rows = Rows(X, 4, pool, 2)
        (found,) = Fits(rows, labels, used[None]).solve(C, 1e-12)
        (expected,) = fit_of(Rows(X[used], 3, pool, 2), labels[used]).solve(C, 1e-12)
    assert found.gap <= 1e-12
    np.testing.assert_allclose(found.objective, expected.objective, rtol=1e-10)
    size = np.abs(expected.point.w).max()
    others = found.point.w[:3] - np.eye(6)[5] * found.point.w[:3, -1].mean()
    np.testing.assert_allclose(others, expected.point.w, atol=1e-6 * size)
    np.testing.assert_array_equal(found.point.w[3, :-1], 0)


def test_a_fit_begins_at_given_weights_of_the_best_length(problem):
    rows, labels = problem
    (best,) = fit_of(rows, labels).solve(C, 1e-10)
    begin = 3 * best.point.w + np.eye(1, 13, 12)
    (found,) = fit_of(rows, labels, max_iter=0).solve(C, 1e-6, [begin])
    np.testing.assert_allclose(found.objective, best.objective, rtol=1e-6)


def test_along_c_a_fit_begins_at_the_best_combination_of_the_last_two_solutions(problem):
    rows, labels = problem
    fits = fit_of(rows, labels)
    points = [fits.solve(C, 1e-10)[0].point for C in (1.0, 10.0, 100.0)]
    fits._max_iter = 0
    (found,) = fits.solve(1000.0, 1e-10)
    loss = LogLoss(labels, np.ones(len(labels)), N_CLASSES)
    expected = best_combination(rows, loss, points[:0:-1], 1000.0, np.float64)
    np.testing.assert_allclose(found.objective, expected.objective, rtol=1e-6)
    alone = best_combination(rows, loss, points[2:], 1000.0, np.float64)
    assert found.objective < (1 - 1e-5) * alone.objective


def test_of_very_many_rows_a_fit_begins_on_some_of_each_class(monkeypatch):
    monkeypatch.setattr(newton, "FIRST_ROWS", (20, 2))
    random = np.random.default_rng(0)
    labels = np.sort(np.append(random.integers(0, N_CLASSES - 1, 399), N_CLASSES - 1))
    X = random.standard_normal((400, 5)) + 3 * random.standard_normal((N_CLASSES, 5))[labels]
    X = X @ random.standard_normal((5, 200))
    made, n_steps = [], []
    scores, weighted_sums = Rows.scores, Rows.weighted_sums

    def recording_scores(self, V, used, dtype):
        made.append(used[0])
        n_steps.append(dtype == np.float32)
        return scores(self, V, used, dtype)

    def recording_sums(self, weigh, used, *others):
        made.append(used[0])
        return weighted_sums(self, weigh, used, *others)

    monkeypatch.setattr(Rows, "scores", recording_scores)
    monkeypatch.setattr(Rows, "weighted_sums", recording_sums)
    with ThreadPoolExecutor(2) as pool:
        rows = centred(X, N_CLASSES, pool, 2)
        (found,) = fit_of(rows, labels).solve(1e4, 1e-3)
    n_used = [np.count_nonzero(used) for used in made]
    assert set(labels[made[0]]) == set(range(N_CLASSES))
    assert 20 < n_used[0] <= 20 + N_CLASSES
    n_first = n_used.index(400)
    assert n_first > 5
    assert max(n_used[:n_first]) == n_used[0]
    assert found.n_iter == sum(n_steps)
    assert found.gap <= 1e-3
    expected = objective(rows, labels, found.point.w, 1e4)
    np.testing.assert_allclose(found.objective, expected, rtol=1e-12)


def products_taken(rows, labels, strength, monkeypatch):
    """Solve, and return the number of products with a Hessian, and the rows of the last sample."""
    made, fits, weighted_sums = [], fit_of(rows, labels), Rows.weighted_sums
    (fit,) = fits._fits
    fit.sample = 5

    def counting(self, weigh, used, dtype, V=None):
        made.append(V is not None)
        return weighted_sums(self, weigh, used, dtype, V)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "weighted_sums", counting)
        (found,) = fits.solve(strength, 1e-3)
    assert found.gap <= 1e-3
    return sum(made), fit.sample


def overlapping(n, d):
    """Return rows of three classes that cannot be separated well, and their labels."""
    random, labels = np.random.default_rng(0), np.arange(n) % 3
    X = random.standard_normal((n, d)) * np.arange(1, d + 1) ** -0.5
    X += 0.1 * random.standard_normal((3, d))[labels]
    return np.maximum(X @ random.standard_normal((d, d)) + random.standard_normal(d), 0), labels


def test_where_products_cost_more_than_the_sample_there_is_more_of_it(monkeypatch):
    X, labels = overlapping(1500, 80)
    with ThreadPoolExecutor(1) as pool:
        rows = centred(X, 3, pool, 1)
        n_products, sample = products_taken(rows, labels, 1e3, monkeypatch)
        assert sample > 5
        monkeypatch.setattr(preconditioner, "MORE", 0)
        n_products_with_5, sample = products_taken(rows, labels, 1e3, monkeypatch)
        assert sample == 5
    assert n_products < 0.7 * n_products_with_5


def test_far_from_the_minimum_a_step_is_only_to_make_way(problem, monkeypatch):
    fars = []

    class Recorded(System):
        def __init__(self, gradient, precondition, goal, far):
            fars.append(far)
            super().__init__(gradient, precondition, goal, far)

    monkeypatch.setattr(newton, "System", Recorded)
    rows, labels = problem
    fit_of(rows, labels).solve(C, 1e-10)
    assert 0 < fars[0] < np.inf
    assert fars[-1] == np.inf


def test_where_steps_help_no_more_a_descent_ends(problem, monkeypatch):
    class Nowhere(System):
        def __init__(self, *of_what):
            super().__init__(*of_what)
            self.unsolved = False

    monkeypatch.setattr(newton, "System", Nowhere)
    rows, labels = problem
    (found,) = fit_of(rows, labels).solve(C, 1e-3)
    assert found.n_iter == 2 * (newton.PATIENCE + 1)  # in single precision, then in double
    assert found.gap > 1e-3


def test_the_lightest_rows_are_left_out_up_to_a_limit():
    weights = np.array([3.0, 0.0, 1.0, 5.0, 2.0])
    np.testing.assert_array_equal(
        newton.significant_rows(weights, 3.0), [True, False, False, True, False]
    )
    np.testing.assert_array_equal(newton.significant_rows(weights, 0.0), weights > 0)
