"""Newton's method on rows: its bound, its way, and where it begins."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.special import logsumexp

from pyimagesearch.linear import newton, preconditioner
from pyimagesearch.linear.newton import SolutionPath
from pyimagesearch.linear.rows import centred, together

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


def path_of(rows, labels, **options):
    return SolutionPath(rows, labels, np.ones(len(labels), bool), **options)


def objective(rows, labels, w, strength=C):
    scores = rows.pick(np.arange(len(labels)), np.float64) @ w.T
    losses = logsumexp(scores, axis=1) - scores[np.arange(len(labels)), labels]
    return strength * losses.sum() + np.square(w[:, :-1]).sum() / 2


def test_the_bound_is_that_of_the_weights_as_they_are(problem):
    rows, labels = problem
    (best,) = together(rows, [path_of(rows, labels).solve(C, 1e-12)])
    w = np.random.default_rng(1).standard_normal((N_CLASSES, 13))
    (found,) = together(rows, [path_of(rows, labels).bound(C, w.copy())])
    np.testing.assert_array_equal(found.point.w[:, :-1], w[:, :-1])
    assert found.objective < objective(rows, labels, w)  # the intercepts are better
    np.testing.assert_allclose(found.objective, objective(rows, labels, found.point.w), rtol=1e-12)
    assert found.objective * (1 - found.gap) <= best.objective < found.objective


def test_the_objective_falls_with_every_step(problem):
    rows, labels = problem
    path, rough, exact = path_of(rows, labels), [], []
    judge = path._judge

    def recording(here, C, view):
        into = exact if view.dtype == np.float64 else rough
        into.append(objective(rows, labels, here.point.w))
        return (yield from judge(here, C, view))

    path._judge = recording
    (found,) = together(rows, [path.solve(C, 1e-14)])
    assert found.gap <= 1e-10
    assert len(rough + exact) > found.n_iter > 3
    assert (np.diff(rough + exact) <= 1e-6 * rough[0]).all()  # in single precision, at first
    assert len(exact) > 1
    assert (np.diff(exact) <= 1e-13 * exact[0]).all()
    assert exact[-1] == min(rough + exact)


def test_a_fit_begins_at_the_best_combination_of_given_weights(problem):
    rows, labels = problem
    (best,) = together(rows, [path_of(rows, labels).solve(C, 1e-10)])
    useless = np.random.default_rng(1).standard_normal((N_CLASSES, 13))
    begin = [best.point.w + useless, best.point.w + 3 * useless]
    (found,) = together(rows, [path_of(rows, labels, begin=begin, max_iter=0).solve(C, 1e-6)])
    np.testing.assert_allclose(found.objective, best.objective, rtol=1e-6)


def test_few_of_many_rows_are_worked_on_and_all_are_in_the_bound(monkeypatch):
    monkeypatch.setattr(newton, "FIRST_ROWS", (20, 2))
    random = np.random.default_rng(0)
    labels = np.arange(400) % N_CLASSES
    X = random.standard_normal((400, 5)) + 3 * random.standard_normal((N_CLASSES, 5))[labels]
    X = X @ random.standard_normal((5, 200))
    with ThreadPoolExecutor(2) as pool:
        rows = centred(X, N_CLASSES, pool, 2)
        path = path_of(rows, labels)
        assert np.count_nonzero(path.working) == 20
        (found,) = together(rows, [path.solve(1e4, 1e-3)])
        assert 20 < np.count_nonzero(path.working) < 200
        (proven,) = together(rows, [path_of(rows, labels).bound(1e4, found.point.w)])
        everything = path_of(rows, labels, working=np.ones(400, bool))
        (best,) = together(rows, [everything.solve(1e4, 1e-9)])
    np.testing.assert_allclose(proven.gap, found.gap, rtol=1e-6)
    assert found.gap <= 1e-3
    expected = objective(rows, labels, found.point.w, 1e4)
    np.testing.assert_allclose(found.objective, expected, rtol=1e-12)
    assert found.objective * (1 - found.gap) <= best.objective <= found.objective


def products_taken(rows, labels, strength):
    """Solve, and return the number of products with a Hessian, the solution, and its path."""
    made, path = [], path_of(rows, labels)
    make_pass = rows.make_pass

    def counting(asked):
        made.extend(ask for ask in asked if ask.task and ask.V is not None)
        return make_pass(asked)

    rows.make_pass = counting
    (found,) = together(rows, [path.solve(strength, 1e-3)])
    assert found.gap <= 1e-3
    return len(made), found, path


def overlapping(n, d):
    """Return rows of three classes that cannot be told apart well, and their labels."""
    random, labels = np.random.default_rng(0), np.arange(n) % 3
    X = random.standard_normal((n, d)) * np.arange(1, d + 1) ** -0.5
    X += 0.1 * random.standard_normal((3, d))[labels]
    return np.maximum(X @ random.standard_normal((d, d)) + random.standard_normal(d), 0), labels


def test_where_products_cost_more_than_support_there_is_more_of_it(monkeypatch):
    monkeypatch.setattr(newton, "SUPPORT", 5)
    monkeypatch.setattr(preconditioner, "SUPPORT", 5)
    X, labels = overlapping(1500, 80)
    with ThreadPoolExecutor(1) as pool:
        n_products, _, path = products_taken(centred(X, 3, pool, 1), labels, 1e3)
        assert path.support > 5
        monkeypatch.setattr(preconditioner, "MORE_BYTES", 0)
        n_products_with_5, _, path = products_taken(centred(X, 3, pool, 1), labels, 1e3)
        assert path.support == 5
    assert n_products < 0.7 * n_products_with_5


def test_where_the_preconditioner_knows_all_directions_systems_are_solved_well(monkeypatch):
    X, labels = overlapping(4000, 20)
    with ThreadPoolExecutor(1) as pool:
        _, found, path = products_taken(centred(X, 3, pool, 1), labels, 1e5)
        assert path.support > 20
        monkeypatch.setattr(newton, "WELL", newton.LEFT)
        _, found_roughly, _ = products_taken(centred(X, 3, pool, 1), labels, 1e5)
    assert found.n_iter < found_roughly.n_iter


def test_a_step_after_one_that_did_not_help_is_solved_better(monkeypatch):
    X, labels = overlapping(1500, 20)
    with ThreadPoolExecutor(1) as pool:
        _, found, _ = products_taken(centred(X, 3, pool, 1), labels, 1e5)
        monkeypatch.setattr(newton, "BETTER", 1.0)
        _, found_the_same_way, _ = products_taken(centred(X, 3, pool, 1), labels, 1e5)
    assert found.n_iter < 0.5 * found_the_same_way.n_iter


def test_where_f_can_hardly_fall_a_step_is_solved_for_the_bound(monkeypatch):
    monkeypatch.setattr(newton, "NEAR", 0.0)  # however large the gap is
    monkeypatch.setattr(newton, "SUPPORT", 20)
    monkeypatch.setattr(preconditioner, "MORE_BYTES", 0)  # so that systems stay hard
    random, labels = np.random.default_rng(0), np.arange(100) % 6
    others = (labels + random.integers(1, 6, 100)) % 6  # each picture lies in two classes
    X, labels = np.repeat(random.standard_normal((100, 300)), 2, axis=0), [labels, others]
    labels = np.stack(labels, axis=1).ravel()
    with ThreadPoolExecutor(1) as pool:
        _, found, _ = products_taken(centred(X, 6, pool, 1), labels, 1e6)
        monkeypatch.setattr(newton, "FAR", 0.0)
        _, found_on_the_way, _ = products_taken(centred(X, 6, pool, 1), labels, 1e6)
    assert found.n_iter < 0.5 * found_on_the_way.n_iter


def test_the_lightest_rows_are_left_out_up_to_a_limit():
    weights = np.array([3.0, 0.0, 1.0, 5.0, 2.0])
    np.testing.assert_array_equal(newton.heaviest(weights, 3.0), [True, False, False, True, False])
    np.testing.assert_array_equal(newton.heaviest(weights, 0.0), weights > 0)
