"""Newton's method on rows: its bound, its way, and where it begins."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.special import logsumexp

from pyimagesearch.linear import newton, preconditioner
from pyimagesearch.linear.combination import best_combination
from pyimagesearch.linear.newton import SolutionPath
from pyimagesearch.linear.rows import Rows, centred, together

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


def recorded(monkeypatch, dtype=np.float64):
    """Return the list into which each solution of a precision comes that is found on the way."""
    found, best = [], SolutionPath._best

    def recording(*asked, **options):
        here = yield from best(*asked, **options)
        if here.residuals.dtype == dtype:
            found.append(here)
        return here

    monkeypatch.setattr(SolutionPath, "_best", recording)
    return found


def test_the_bound_is_that_of_the_weights_at_their_best_length(problem):
    rows, labels = problem
    (best,) = together(rows, [path_of(rows, labels).solve(C, 1e-12)])
    w = np.random.default_rng(1).standard_normal((N_CLASSES, 13))
    (found,) = together(rows, [path_of(rows, labels).bound(C, w.copy())])
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
    (found,) = together(rows, [path_of(rows, labels).solve(C, 1e-14)])
    assert found.gap <= 1e-10
    rough, exact = ([objective(rows, labels, at.point.w) for at in ats] for ats in (rough, exact))
    assert len(rough + exact) > found.n_iter > 3
    assert (np.diff(rough + exact) <= 1e-6 * rough[0]).all()  # in single precision, at first
    assert len(exact) > 1
    assert (np.diff(exact) <= 1e-13 * exact[0]).all()
    assert exact[-1] == min(rough + exact)


def test_what_the_minimum_cannot_be_below_holds_wherever_it_was_found(problem, monkeypatch):
    def astray(product, precondition, residual, goal, far):
        yield from ()
        return random.standard_normal(residual.shape), 0

    monkeypatch.setattr(newton, "conjugate_gradients", astray)
    random, (rows, labels) = np.random.default_rng(0), problem
    exact, path = recorded(monkeypatch), path_of(rows, labels)
    (here,) = together(rows, [path.bound(C, np.eye(N_CLASSES, 13))])
    (found,) = together(rows, [path._descend(here, C, 1e-9)])
    assert found.n_iter == 0 < path.n_iter == len(exact) - 1
    bounds = [solution.objective * (1 - solution.gap) for solution in exact]
    assert max(bounds) > bounds[-1] + 0.01 * found.objective
    assert found.objective == exact[-1].objective < here.objective
    np.testing.assert_allclose(found.objective * (1 - found.gap), max(bounds))


def test_rows_that_are_left_out_have_the_scores_of_the_last_point(problem):
    rows, labels = problem
    used = np.arange(len(labels)) % 2 > 0  # so few that no others are read with them
    (found,) = together(rows, [SolutionPath(rows, labels, used).solve(C, 1e-13)])
    (rough,) = together(rows, [SolutionPath(rows, labels, used).solve(C, 1e-2)])
    assert found.n_iter > rough.n_iter
    scores = found.point.w @ rows.pick(np.arange(len(labels)), np.float64).T
    np.testing.assert_allclose(found.point.scores, scores, rtol=1e-9)


def test_a_fit_begins_at_given_weights_of_the_best_length(problem):
    rows, labels = problem
    (best,) = together(rows, [path_of(rows, labels).solve(C, 1e-10)])
    begin = 3 * best.point.w + np.eye(1, 13, 12)
    (found,) = together(rows, [path_of(rows, labels, begin=begin, max_iter=0).solve(C, 1e-6)])
    np.testing.assert_allclose(found.objective, best.objective, rtol=1e-6)


def test_along_c_a_fit_begins_at_the_best_combination_of_the_last_two_solutions(problem):
    rows, labels = problem
    path = path_of(rows, labels)
    points = [together(rows, [path.solve(C, 1e-10)])[0].point for C in (1.0, 10.0, 100.0)]
    path._max_iter = 0
    (found,) = together(rows, [path.solve(1000.0, 1e-10)])
    every = np.ones(len(labels), bool)
    expected = best_combination(rows, labels, every, points[:0:-1], 1000.0, np.float64)
    np.testing.assert_allclose(found.objective, expected.objective, rtol=1e-6)
    alone = best_combination(rows, labels, every, points[2:], 1000.0, np.float64)
    assert found.objective < (1 - 1e-5) * alone.objective


def test_of_very_many_rows_a_fit_begins_on_some_of_each_class(monkeypatch):
    monkeypatch.setattr(newton, "FIRST_ROWS", (20, 2))
    random = np.random.default_rng(0)
    labels = np.sort(np.append(random.integers(0, N_CLASSES - 1, 399), N_CLASSES - 1))
    X = random.standard_normal((400, 5)) + 3 * random.standard_normal((N_CLASSES, 5))[labels]
    X = X @ random.standard_normal((5, 200))
    made, make_pass = [], Rows.make_pass

    def recording(self, asked):
        made.extend(asked)
        return make_pass(self, asked)

    monkeypatch.setattr(Rows, "make_pass", recording)
    with ThreadPoolExecutor(2) as pool:
        rows = centred(X, N_CLASSES, pool, 2)
        (found,) = together(rows, [path_of(rows, labels).solve(1e4, 1e-3)])
    first, n_used = made[0].used, [np.count_nonzero(ask.used) for ask in made]
    assert set(labels[first]) == set(range(N_CLASSES))
    assert 20 < n_used[0] <= 20 + N_CLASSES
    n_first = n_used.index(400)
    assert n_first > 5
    assert max(n_used[:n_first]) == n_used[0]
    assert found.n_iter == len(
        [ask for ask in made if ask.task is None and ask.dtype == np.float32]
    )
    assert found.gap <= 1e-3
    expected = objective(rows, labels, found.point.w, 1e4)
    np.testing.assert_allclose(found.objective, expected, rtol=1e-12)


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


def test_where_products_cost_more_than_the_sample_there_is_more_of_it(monkeypatch):
    monkeypatch.setattr(newton, "SAMPLE", 5)
    X, labels = overlapping(1500, 80)
    with ThreadPoolExecutor(1) as pool:
        n_products, _, path = products_taken(centred(X, 3, pool, 1), labels, 1e3)
        assert path.sample > 5
        monkeypatch.setattr(preconditioner, "MORE_BYTES", 0)
        n_products_with_5, _, path = products_taken(centred(X, 3, pool, 1), labels, 1e3)
        assert path.sample == 5
    assert n_products < 0.7 * n_products_with_5


def test_after_a_step_that_did_not_help_the_next_is_solved_better(problem, monkeypatch):
    goals = []

    def standing_still(product, precondition, residual, goal, far):
        goals.append(goal)
        yield from ()
        return np.zeros(residual.shape), 0

    monkeypatch.setattr(newton, "conjugate_gradients", standing_still)
    rows, labels = problem
    together(rows, [path_of(rows, labels, max_iter=4).solve(C, 1e-3)])
    assert len(goals) == 4
    np.testing.assert_allclose(np.divide(goals[1:], goals[:-1]), newton.BETTER)


def test_far_from_the_minimum_a_step_is_only_to_make_way(problem, monkeypatch):
    fars, conjugate_gradients = [], newton.conjugate_gradients

    def recording(*asked):
        fars.append(asked[-1])
        return (yield from conjugate_gradients(*asked))

    monkeypatch.setattr(newton, "conjugate_gradients", recording)
    rows, labels = problem
    together(rows, [path_of(rows, labels).solve(C, 1e-10)])
    assert 0 < fars[0] < np.inf
    assert fars[-1] == np.inf


def test_a_system_is_solved_until_the_goal_or_until_its_model_hardly_falls():
    scales = np.linspace(1, 100, 50)

    def solved(far):
        def product(v):
            yield from ()
            return scales * v

        system = newton.conjugate_gradients(product, np.copy, np.ones((1, 50)), 1e-6, far)
        with pytest.raises(StopIteration) as end:
            next(system)
        return end.value.value

    solution, n_products = solved(np.inf)
    assert np.square(scales * solution - 1).sum() / 2 < 1e-6
    _, n_on_the_way = solved(0.0)
    assert n_on_the_way < 0.7 * n_products


def test_the_lightest_rows_are_left_out_up_to_a_limit():
    weights = np.array([3.0, 0.0, 1.0, 5.0, 2.0])
    np.testing.assert_array_equal(newton.heaviest(weights, 3.0), [True, False, False, True, False])
    np.testing.assert_array_equal(newton.heaviest(weights, 0.0), weights > 0)
