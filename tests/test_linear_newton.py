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


def test_of_the_points_that_were_proven_the_best_is_kept(monkeypatch):
    monkeypatch.setattr(newton, "FIRST_ROWS", (20, 2))
    random, labels = np.random.default_rng(0), np.arange(400) % 4
    X = random.standard_normal((400, 5)) + 1.2 * random.standard_normal((4, 5))[labels]
    proven, bound = [], SolutionPath.bound

    def recorded(*asked, **options):
        found = yield from bound(*asked, **options)
        proven.append(found)
        return found

    monkeypatch.setattr(SolutionPath, "bound", recorded)
    with ThreadPoolExecutor(1) as pool:
        rows = centred(X @ random.standard_normal((5, 200)), 4, pool, 1)
        for max_iter in range(20, 40):
            proven.clear()
            path = SolutionPath(rows, labels, np.ones(400, bool), max_iter)
            (found,) = together(rows, [path.solve(1e4, 1e-3)])
            best = min(solution.objective for solution in proven)
            least = max(solution.objective * (1 - solution.gap) for solution in proven)
            assert found.objective == best
            np.testing.assert_allclose(found.gap, 1 - max(least, 0) / best, rtol=1e-9)
            if proven[-1].objective > best:
                break
        else:
            pytest.fail("the last point was always the best one: nothing was tested")


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

    def recorded(*asked):
        fars.append(asked[-1])
        return (yield from conjugate_gradients(*asked))

    monkeypatch.setattr(newton, "conjugate_gradients", recorded)
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
