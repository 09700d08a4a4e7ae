"""The exact grid search beside scikit-learn's own."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from pyimagesearch.linear import C_GRID, grid_search, gridsearch
from pyimagesearch.linear.solver import newton, rows
from pyimagesearch.utils import InputError

TIGHT = 1e-12  # of the objective
SHAPES = [pytest.param(30, 80, id="n < d"), pytest.param(60, 8, id="n >= d")]


def make_rows(n_rows, n_features, n_classes, seed=0, separation=1.0):
    random = np.random.default_rng(seed)
    labels = np.arange(n_rows) % n_classes
    means = separation * random.standard_normal((n_classes, n_features))
    return means[labels] + random.standard_normal((n_rows, n_features)) + 3, labels


def search(X, y, grid=(1.0,), **options):
    options = {"tolerance": TIGHT} | options
    return grid_search(X, y, list(grid), StratifiedKFold(3).split(y, y), **options)


def fit_of(found, C, fold):
    (fit,) = [fit for fit in found.fits if (fit.C, fit.fold) == (C, fold)]
    return fit


def accuracies(found):
    return np.reshape([fit.accuracy for fit in found.fits[:-1]], (len(found.grid), -1))


def reference(X, y, C):
    return LogisticRegression(C=C, solver="newton-cg", tol=1e-10, max_iter=5000).fit(X, y)


def objective(model, X, y):
    """Mean log loss and the penalty, as scikit-learn scales them."""
    scores = X.astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    truth = np.arange(len(y)), np.searchsorted(model.classes_, y)
    odds = scores - scores[truth][:, None]
    odds[truth] = -np.inf  # keeps losses far below 1 exact
    loss = np.logaddexp(0, np.logaddexp.reduce(odds, axis=1)).mean()
    penalty = np.square(model.coef_, dtype=np.float64).sum() / (2 * model.C * len(y))
    return loss + penalty


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    shape=st.sampled_from([(18, 40), (40, 6), (24, 24), (30, 1)]),
    n_classes=st.integers(2, 6),
    C=st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    duplicated=st.booleans(),
    constant=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_decision_values_equal_those_of_a_direct_fit(
    shape, n_classes, C, duplicated, constant, seed
):
    X, y = make_rows(*shape, n_classes, seed)
    if duplicated:
        X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    if constant:
        X[:, 0] = 7
    expected = reference(X, y, C).decision_function(X)
    found = search(X, y, [C]).model.decision_function(X)
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max() + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
def test_no_objective_is_above_that_of_scikit_learn_left_to_converge(n_rows, n_features):
    X, y = make_rows(n_rows, n_features, 3, separation=0.5)
    for C in C_GRID:
        direct = LogisticRegression(C=C, max_iter=20000).fit(X, y)
        ours = search(X, y, [C], tolerance=1e-6).model
        assert objective(ours, X, y) <= objective(direct, X, y) * (1 + 1e-6)


@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
def test_the_gap_bounds_the_distance_to_the_minimum(n_rows, n_features):
    X, y = make_rows(n_rows, n_features, 3, separation=0.3)
    minimum = objective(search(X, y, tolerance=1e-14).model, X, y)
    loose = search(X, y, tolerance=1e-2)
    gap = loose.fits[-1].gap
    assert 0 < gap <= 1e-2
    assert objective(loose.model, X, y) * (1 - gap) <= minimum * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
def test_scaled_features_and_penalty_give_the_same_fit(n_rows, n_features, scale):
    X, y = make_rows(n_rows, n_features, 3)
    plain, scaled = search(X, y, tolerance=1e-8), search(X * scale, y, [scale**-2], tolerance=1e-8)
    np.testing.assert_allclose(
        scaled.model.decision_function(X * scale),
        plain.model.decision_function(X),
        rtol=1e-4,
        atol=1e-6,
    )
    assert abs(scaled.model.n_iter_ - plain.model.n_iter_) <= 1  # rounding


@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
@pytest.mark.parametrize("n_classes", [2, 5])
def test_every_fit_converges_on_separable_rows(n_rows, n_features, n_classes):
    X, y = make_rows(n_rows, n_features, n_classes, separation=6)
    found = search(X, y, [1e-3, 1.0, 1e6], tolerance=1e-6)
    assert [solution.converged for solution in found.fits] == [True] * 10


def make_nearly_equal_rows(n_rows, seed):
    """Rows as a network with random weights makes them: steep spectrum, large common mean."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, n_rows + 1) ** -0.85
    factors = random.standard_normal((n_rows, n_rows)) * spectrum
    rows = factors @ random.standard_normal((n_rows, 2 * n_rows))
    rows = 1000 * np.maximum(rows + random.normal(1, 3.4, 2 * n_rows), 0)
    return rows.astype(np.float32), np.arange(n_rows) % 3


@pytest.mark.parametrize(
    ("n_rows", "seed", "C"), [(120, 2, 0.1), (30, 6, 1e4), (60, 10, 1e4), (60, 34, 1e4)]
)
def test_a_fit_to_nearly_equal_rows_is_as_good_as_its_certificate(n_rows, seed, C):
    X, y = make_nearly_equal_rows(n_rows, seed)
    found = search(X, y, [C], tolerance=1e-6)
    assert all(solution.converged for solution in found.fits)
    solution = found.fits[-1]
    assert solution.gap > 0
    achieved = C * len(y) * objective(found.model, X, y)
    np.testing.assert_allclose(achieved, solution.objective, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_every_fit_converges_on_features_of_any_scale(scale):
    X, y = make_rows(40, 100, 3, separation=0.2)
    found = search(X * scale, y, C_GRID, tolerance=1e-6)
    assert all(solution.converged for solution in found.fits)


def test_each_candidate_is_fitted_anew():
    X, y = make_rows(60, 20, 3, separation=0.3)
    grid = (0.1, 10.0, 1000.0)
    together = search(X, y, grid, tolerance=1e-8)
    for C in grid:
        alone = search(X, y, [C], tolerance=1e-8)
        np.testing.assert_allclose(
            fit_of(together, C, 0).objective, fit_of(alone, C, 0).objective, rtol=1e-7
        )


def test_constant_features_predict_the_most_frequent_class():
    X, y = np.full((12, 20), 3.0, np.float32), np.array([0, 1, 1] * 4)
    model = search(X, y).model
    np.testing.assert_allclose(model.coef_, np.zeros((1, 20)), atol=1e-12)
    np.testing.assert_array_equal(model.predict(X), np.ones(12, int))
    np.testing.assert_allclose(model.intercept_, np.log(2), rtol=1e-5)


def test_classes_of_very_unequal_sizes_are_fitted():
    X, y = make_rows(200, 300, 2, separation=0.2)
    y = np.where(np.arange(200) < 4, 1, 0)
    expected = reference(X, y, 0.01).decision_function(X)
    found = search(X, y, [0.01]).model.decision_function(X)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
def test_the_folds_are_scored_as_scikit_learn_scores_them(n_rows, n_features):
    X, y = make_rows(n_rows, n_features, 3, separation=0.4)
    direct = GridSearchCV(LogisticRegression(max_iter=20000, tol=1e-8), {"C": [0.01, 1.0]}, cv=3)
    direct.fit(X, y)
    found = search(X, y, [0.01, 1.0])
    folds = [direct.cv_results_[f"split{fold}_test_score"] for fold in range(3)]
    np.testing.assert_allclose(accuracies(found), np.transpose(folds))
    assert found.best_C == direct.best_params_["C"]


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [3, 6])
def test_a_class_that_a_fold_has_no_row_of_is_treated_as_scikit_learn_does(n_classes):
    X, y = make_rows(48, 8, n_classes, separation=0.4)
    X, y = np.vstack([X, X[-1:] + 1]), np.append(y, n_classes)  # a class of one row
    y[y == 0] = np.where(np.arange(np.count_nonzero(y == 0)) < 2, 0, 1)  # and one of two
    folds = [(np.flatnonzero(np.arange(49) % 3 != i), np.arange(i, 49, 3)) for i in range(3)]
    assert any(len(np.unique(y[train])) < n_classes + 1 for train, _ in folds)
    grid = [0.01, 1.0]
    direct = GridSearchCV(LogisticRegression(max_iter=20000, tol=1e-8), {"C": grid}, cv=folds)
    direct.fit(X, y)
    found = grid_search(X, y, grid, folds, tolerance=TIGHT)
    scores = [direct.cv_results_[f"split{fold}_test_score"] for fold in range(3)]
    np.testing.assert_allclose(accuracies(found), np.transpose(scores))
    for fold, (train, test) in enumerate(folds):
        expected = reference(X[train], y[train], found.best_C)
        fit = fit_of(found, found.best_C, fold)
        n_train, C = len(train), found.best_C
        objective_there = C * n_train * objective(expected, X[train], y[train])
        np.testing.assert_allclose(fit.objective, objective_there, rtol=1e-6)
        probabilities = np.zeros((len(test), n_classes + 1))
        probabilities[:, expected.classes_] = expected.predict_proba(X[test])
        found_there = softmax(found.held_out_scores[test], axis=1)
        np.testing.assert_allclose(found_there, probabilities, atol=1e-4)


def test_where_a_fold_has_two_of_three_classes_it_is_fitted_as_of_two():
    X, y = make_rows(30, 5, 2, separation=0.4)
    y[[0, 3]] = 2
    folds = [(np.flatnonzero(np.arange(30) % 3 != i), np.arange(i, 30, 3)) for i in range(3)]
    found = grid_search(X, y, [0.5], folds, tolerance=TIGHT)
    train, test = folds[0]
    expected = reference(X[train], y[train], 0.5)
    np.testing.assert_array_equal(expected.classes_, [0, 1])
    probabilities = softmax(found.held_out_scores[test], axis=1)
    np.testing.assert_allclose(probabilities[:, :2], expected.predict_proba(X[test]), atol=1e-4)
    np.testing.assert_array_equal(probabilities[:, 2], 0)


def test_a_fold_of_one_class_predicts_it():
    X, y = make_rows(30, 5, 2)
    y[:] = 0
    y[::3] = 1
    folds = [(np.flatnonzero(np.arange(30) % 3 != i), np.arange(i, 30, 3)) for i in range(3)]
    found = grid_search(X, y, [1.0], folds)
    assert fit_of(found, 1.0, 0).accuracy == 0
    assert all(fit.converged for fit in found.fits)
    np.testing.assert_array_equal(found.held_out_scores[::3].argmax(axis=1), np.zeros(10))


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
def test_the_scores_of_held_out_rows_are_those_of_the_fit_that_did_not_see_them(
    n_rows, n_features, n_classes
):
    X, y = make_rows(n_rows, n_features, n_classes, separation=0.4)
    found = search(X, y, [1.0, 0.01], tolerance=1e-10)
    assert found.held_out_scores.dtype == np.float32
    probabilities = softmax(found.held_out_scores, axis=1)
    for train, test in StratifiedKFold(3).split(y, y):
        expected = reference(X[train], y[train], found.best_C).predict_proba(X[test])
        np.testing.assert_allclose(probabilities[test], expected, atol=1e-4)


def test_rows_that_no_fold_holds_out_have_no_scores():
    X, y = make_rows(30, 5, 3)
    found = grid_search(X, y, [1.0], [(np.arange(20), np.arange(20, 30))])
    assert np.isnan(found.held_out_scores[:20]).all()
    assert np.isfinite(found.held_out_scores[20:]).all()


def test_where_the_weights_of_the_folds_lead_astray_the_last_fit_begins_anew(monkeypatch):
    class Astray(newton.Fits):
        def solve(self, C, tolerance, begin=None):
            found = super().solve(C, tolerance, begin)
            return found if begin is None else [one._replace(gap=1.0) for one in found]

    monkeypatch.setattr(gridsearch, "Fits", Astray)
    X, y = make_rows(60, 8, 3)
    found = search(X, y, [1.0, 100.0], tolerance=1e-3)
    assert found.fits[-1].converged


def test_a_candidate_that_is_given_twice_is_fitted_once():
    X, y = make_rows(30, 80, 2)
    found = search(X, y, [10.0, 1.0, 10.0], tolerance=1e-6)
    assert found.grid == (10.0, 1.0)
    assert [fit.C for fit in found.fits[:-1]] == [10.0] * 3 + [1.0] * 3


@pytest.mark.parametrize("scale", [1e-160, 1e-40, 1e160])
def test_features_too_far_from_1_to_be_squared_are_refused(scale):
    X, y = make_rows(30, 80, 2)
    with pytest.raises(InputError, match=r"features are of size \S+, expected"):
        search(scale * X, y, [1.0])


@pytest.mark.parametrize(("scale", "C"), [(1e-36, 1.0), (1e36, 1.0), (1.0, 1e36)])
def test_what_overflows_in_single_precision_is_fitted_in_double(scale, C):
    X, y = make_rows(60, 8, 2)
    found = search((scale * X).astype(np.float32), y, [C])
    assert all(fit.gap < 1e-3 for fit in found.fits)


def test_a_gap_is_a_part_of_the_objective_even_where_nothing_is_known():
    X, y = make_rows(60, 8, 3)
    found = search(X, y, [1e4], max_iter=0)
    assert [fit.gap for fit in found.fits] == [1.0] * 4


def test_the_first_of_equal_candidates_is_best_and_their_order_stays():
    X, y = make_rows(30, 80, 2, separation=8)
    found = search(X, y, [100.0, 1.0, 10.0], tolerance=1e-6)
    np.testing.assert_array_equal(accuracies(found), np.ones((3, 3)))
    assert [fit.C for fit in found.fits[::3]] == [100.0, 1.0, 10.0, 100.0]
    assert found.best_C == 100.0


@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
def test_two_jobs_find_what_one_finds(n_rows, n_features):
    X, y = make_rows(n_rows, n_features, 3)
    one, two = (search(X, y, C_GRID, n_jobs=jobs, tolerance=1e-6) for jobs in (1, 2))
    # BLAS rounds differently on another number of threads, and in arrays that lie elsewhere.
    coef = one.model.coef_
    np.testing.assert_allclose(two.model.coef_, coef, atol=1e-6 * np.abs(coef).max())
    np.testing.assert_array_equal(accuracies(one), accuracies(two))


def test_float32_features_are_not_changed():
    X, y = make_rows(30, 80, 3)
    X = X.astype(np.float32)
    before = X.copy()
    search(X, y)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(("n_classes", "n_columns"), [(2, 1), (4, 4)])
def test_the_best_estimator_is_scikit_learns_own(n_classes, n_columns):
    X, y = make_rows(40, 60, n_classes)
    model = search(X, y + 5).model
    assert type(model) is LogisticRegression
    assert model.coef_.shape == (n_columns, 60)
    assert model.intercept_.shape == (n_columns,)
    assert model.n_features_in_ == 60
    np.testing.assert_array_equal(model.classes_, np.arange(5, 5 + n_classes))
    np.testing.assert_array_equal(model.predict(X), y + 5)


@pytest.mark.slow
def test_the_pickled_model_predicts_without_this_project(tmp_path):
    X, y = make_rows(30, 80, 3, separation=5)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(search(X, y).model))
    np.save(tmp_path / "rows.npy", X)
    script = textwrap.dedent("""
        import importlib.util, pickle, numpy as np
        assert importlib.util.find_spec("pyimagesearch") is None
        model = pickle.load(open("model.pickle", "rb"))
        np.save("predicted.npy", model.predict(np.load("rows.npy")))
    """)
    command = [sys.executable, "-I", "-W", "error", "-c", script]
    subprocess.run(command, cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "predicted.npy"), y)


def test_a_fit_that_is_cut_short_is_noted_without_a_warning():
    X, y = make_rows(60, 8, 3, separation=0.3)
    found = search(X, y, [100.0], max_iter=1)
    assert not found.fits[-1].converged
    assert found.fits[-1].n_iter == 1


def test_every_fit_is_recorded_and_counted():
    X, y = make_rows(30, 80, 3)
    counted = []
    found = search(X, y, [0.1, 1.0], advance=lambda: counted.append(1))
    parts = [(fit.C, fit.fold) for fit in found.fits]
    assert parts == [*((C, fold) for C in (0.1, 1.0) for fold in range(3)), (found.best_C, None)]
    assert all(fit.elapsed_s > 0 for fit in found.fits)
    assert len(counted) == 7


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param([4] * 9, "one class", id="one class"),
    ],
)
def test_labels_that_cannot_be_folded_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        search(np.eye(9), np.array(labels))


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize("counts", [(30, 30, 1), (5, 5, 5, 1, 1, 1)])
@pytest.mark.parametrize("n_features", [8, 200])
def test_a_fold_that_lacks_a_class_is_fitted_and_scored_as_by_scikit_learn(counts, n_features):
    random = np.random.default_rng(0)
    y = random.permutation(np.repeat(np.arange(len(counts)), counts))
    means = 0.5 * random.standard_normal((len(counts), n_features))
    X = means[y] + random.standard_normal((len(y), n_features))
    folds = list(StratifiedKFold(3).split(y, y))
    assert any(len(np.unique(y[train])) < len(counts) for train, _ in folds)
    grid = [0.1, 10.0]
    found = search(X, y, grid, tolerance=1e-2)
    direct = GridSearchCV(LogisticRegression(tol=1e-8, max_iter=5000), {"C": grid}, cv=folds)
    scores = direct.fit(X, y).cv_results_
    expected = [[scores[f"split{i}_test_score"][row] for i in range(3)] for row in range(len(grid))]
    np.testing.assert_array_equal(accuracies(found), expected)
    assert all(fit.converged for fit in found.fits)
    np.testing.assert_array_equal(found.model.classes_, np.arange(len(counts)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_with_features_that_are_not_finite_are_counted(bad):
    X, y = make_rows(30, 80, 3)
    X[3, 7] = X[3, 9] = X[5, 1] = bad
    with pytest.raises(InputError, match=r"^2 of 30 rows .*not finite"):
        search(X, y)


def lowest(X, y, model):
    """Return the objective of a model, and the least that L-BFGS comes to from there."""
    n, (K, d) = len(y), (len(model.classes_), X.shape[1])
    centre = X.mean(axis=0, dtype=np.float64)
    rows = X - centre
    scale = np.sqrt(np.square(rows).sum() / n) or 1.0
    rows = rows / scale
    w = model.coef_ * scale if K > 2 else np.vstack([-model.coef_, model.coef_]) * scale / 2
    b = model.intercept_ + model.coef_ @ centre
    b = b if K > 2 else np.array([-b[0], b[0]]) / 2
    strength = model.C * scale**2 / (1 if K > 2 else 2)

    def f(flat):
        w, b = flat[: K * d].reshape(K, d), flat[K * d :]
        Z = rows @ w.T + b
        E = Z - Z[np.arange(n), y][:, None]
        E[np.arange(n), y] = -np.inf
        loss = np.logaddexp(0, logsumexp(E, axis=1)).sum()
        P = np.exp(E - np.logaddexp(0, logsumexp(E, axis=1))[:, None])
        P[np.arange(n), y] = -P.sum(axis=1)
        value = strength * loss + np.square(w).sum() / 2
        return value, np.append((strength * P.T @ rows + w).ravel(), strength * P.sum(axis=0))

    start = np.append(w.ravel(), b)
    options = {"maxiter": 300, "maxfun": 400, "ftol": 1e-14, "gtol": 1e-12}
    found = minimize(f, start, jac=True, method="L-BFGS-B", options=options)
    return f(start)[0], min(found.fun, f(start)[0])


def conflicting(n_pairs, n_features, n_classes, seed=0):
    """Images that lie in two class folders each."""
    random = np.random.default_rng(seed)
    rows, labels = random.standard_normal((n_pairs, n_features)), np.arange(n_pairs) % n_classes
    others = (labels + random.integers(1, n_classes, n_pairs)) % n_classes
    return 10 * np.repeat(rows, 2, axis=0), np.stack([labels, others], axis=1).ravel()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_fit_converges_on_images_that_are_in_two_classes(seed):
    X, y = conflicting(100, 300, 6, seed)
    found = grid_search(X, y, C_GRID, StratifiedKFold(3).split(y, y))
    assert [fit.converged for fit in found.fits] == [True] * 19


def test_every_fit_converges_on_features_of_scales_over_six_powers_of_ten():
    random, y = np.random.default_rng(1), np.arange(60) % 4
    X = random.standard_normal((60, 14)) + 0.5 * random.standard_normal((4, 14))[y]
    X *= 10 ** random.uniform(-3, 3, 14)
    found = grid_search(X, y, [1.0, 100.0, 10000.0], StratifiedKFold(3).split(y, y))
    assert [fit.converged for fit in found.fits] == [True] * 10


@pytest.mark.parametrize("seed", [19, 36, 51])
def test_a_fit_that_stalls_in_single_precision_converges_in_double(seed):
    random, y = np.random.default_rng(seed), np.arange(400) % 4
    X = np.maximum(random.standard_normal((400, 6)) @ random.standard_normal((6, 6)), 0)
    found = grid_search(X, y, [100.0, 10000.0], StratifiedKFold(3).split(y, y))
    assert [fit.converged for fit in found.fits] == [True] * 7


@pytest.mark.parametrize("seed", [1, 3])
def test_every_fit_converges_on_noise_that_can_just_be_separated(seed):
    X, y = np.random.default_rng(seed).standard_normal((360, 88)), np.arange(360) % 4
    found = grid_search(X, y, C_GRID, StratifiedKFold(3).split(y, y))
    assert [fit.converged for fit in found.fits] == [True] * 19


def one_large_feature(X, y):
    X[:, 0] *= 1e6
    return X, y


DEGENERATE = [
    pytest.param(lambda: conflicting(40, 200, 4), id="conflicting duplicates"),
    pytest.param(lambda: conflicting(300, 20, 8), id="conflicting duplicates, many rows"),
    pytest.param(lambda: (np.full((30, 5), 7.0), np.arange(30) % 3), id="all rows equal"),
    pytest.param(lambda: make_rows(60, 1, 3), id="one feature"),
    pytest.param(lambda: make_rows(40, 30, 2, separation=0.5), id="two classes"),
    pytest.param(lambda: one_large_feature(*make_rows(60, 8, 3)), id="one feature is much larger"),
    pytest.param(lambda: (make_rows(40, 90, 3)[0] * 1e-12, np.arange(40) % 3), id="tiny"),
    pytest.param(lambda: (make_rows(40, 90, 3)[0] * 1e12, np.arange(40) % 3), id="huge"),
    pytest.param(lambda: (make_rows(40, 90, 3)[0] + 1e6, np.arange(40) % 3), id="offset"),
    pytest.param(lambda: make_rows(1200, 20, 4, separation=0.3), id="many rows"),
]


@pytest.fixture(params=["chosen", "features", "streamed"])
def coordinates(request, monkeypatch):
    """Search in what is chosen, by features in any case, or where they lie and on few at first."""
    if request.param != "chosen":
        monkeypatch.setattr(gridsearch, "row_space_is_cheaper", lambda *sizes: False)
    if request.param == "streamed":
        monkeypatch.setattr(gridsearch, "COPY_BYTES", 0)
        monkeypatch.setattr(rows, "BLOCK_BYTES", 1)
        monkeypatch.setattr(rows, "LEAST_ROWS", 16)
        monkeypatch.setattr(rows, "TILE", 10)
        monkeypatch.setattr(newton, "FIRST_ROWS", (8, 1))
        monkeypatch.setattr(newton, "MANY", 2)


@pytest.mark.parametrize(("n_classes", "dtype"), [(2, np.float32), (5, np.float32), (5, float)])
@pytest.mark.parametrize(("n_rows", "n_features"), SHAPES)
@pytest.mark.usefixtures("coordinates")
def test_the_coordinates_do_not_matter(tmp_path, n_rows, n_features, n_classes, dtype):
    X, y = make_rows(n_rows, n_features, n_classes)
    np.save(tmp_path / "rows.npy", X.astype(dtype))
    X = np.load(tmp_path / "rows.npy", mmap_mode="r")
    found = search(X, y, [0.1], n_jobs=2).model.decision_function(X)
    expected = reference(X.astype(float), y, 0.1).decision_function(X)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("C", [0.1, 1000.0])
@pytest.mark.parametrize("make", DEGENERATE)
@pytest.mark.usefixtures("coordinates")
def test_no_objective_is_found_below_what_the_gap_allows(make, C):
    check_against_the_lowest(*make(), C)


@pytest.mark.slow
def test_as_many_classes_as_a_byte_does_not_count_are_told_apart():
    check_against_the_lowest(*make_rows(771, 8, 257), 1.0)


def check_against_the_lowest(X, y, C):
    """Fit, and compare with the lowest objective that another solver finds."""
    found = grid_search(X, y, [C], StratifiedKFold(3).split(y, y))
    reached, least = lowest(X, y, found.model)
    assert reached * (1 - found.fits[-1].gap) <= least * (1 + 1e-9)


def uneven_rows(n_rows, n_features, n_classes):
    """Return rows of which half are of one class, a quarter of the next and so on."""
    X, y = make_rows(3 * n_rows, n_features, n_classes, seed=3, separation=0.3)
    sizes = [max(4, n_rows >> (label + 1)) for label in range(n_classes)]
    kept = np.concatenate([np.flatnonzero(y == k)[:size] for k, size in enumerate(sizes)])
    kept = np.random.default_rng(0).permutation(kept)
    return X[kept], y[kept]


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize(("n_rows", "n_features"), [(40, 80), (80, 8)])
def test_a_balanced_search_is_that_of_scikit_learn_run_to_convergence(
    n_rows, n_features, n_classes
):
    X, y = uneven_rows(n_rows, n_features, n_classes)
    grid = [0.001, 0.1, 10.0]
    found = search(X, y, grid, balanced=True)
    exact = LogisticRegression(
        solver="newton-cg", tol=1e-10, max_iter=5000, class_weight="balanced"
    )
    expected = GridSearchCV(exact, {"C": grid}, cv=3, scoring="balanced_accuracy").fit(X, y)
    scores = [expected.cv_results_[f"split{fold}_test_score"] for fold in range(3)]
    np.testing.assert_allclose(accuracies(found), np.transpose(scores))
    assert found.best_C == expected.best_params_["C"]
    assert (
        found.model.get_params()
        == LogisticRegression(C=found.best_C, class_weight="balanced").get_params()
    )
    best = expected.best_estimator_
    difference = found.model.decision_function(X) - best.decision_function(X)
    if n_classes > 2:  # scores may be shifted together
        difference -= difference.mean(axis=1, keepdims=True)
    assert np.abs(difference).max() < 1e-5
    plain = search(X, y, [found.best_C]).model.decision_function(X)
    assert np.abs(plain - found.model.decision_function(X)).max() > 1e-2


@pytest.mark.parametrize("n_classes", [3, 4])  # two that are left have another penalty
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_a_class_that_a_fold_lacks_has_no_part_in_its_weights(n_classes, weight):
    X, y = uneven_rows(80, 8, n_classes)
    lacking = n_classes - 1
    few = np.flatnonzero(y == lacking)
    others = np.array_split(np.flatnonzero(y != lacking), 3)
    tests = [np.append(others[0], few), *others[1:]]
    folds = [(np.setdiff1d(np.arange(len(y)), test), test) for test in tests]
    found = grid_search(X, y, [0.1], folds, tolerance=TIGHT, balanced=weight == "balanced")
    train, test = folds[0]
    exact = LogisticRegression(
        C=0.1, solver="newton-cg", tol=1e-10, max_iter=5000, class_weight=weight
    ).fit(X[train], y[train])
    odds = np.exp(found.held_out_scores[test][:, :lacking])
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, exact.predict_proba(X[test]), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("n_rows", "n_features"), [(40, 80), (80, 8)])
def test_the_bound_of_a_balanced_fit_holds(n_rows, n_features, n_classes):
    X, y = uneven_rows(n_rows, n_features, n_classes)
    rough, exact = (search(X, y, balanced=True, tolerance=t) for t in (0.5, TIGHT))
    for one, best in zip(rough.fits, exact.fits, strict=True):
        above = one.objective - best.objective
        assert -TIGHT <= above / one.objective <= one.gap + TIGHT
    # The objective is scikit-learn's, with its weights.
    weights = (len(y) / (n_classes * np.bincount(y)))[y]
    P = exact.model.predict_proba(X)[np.arange(len(y)), y]
    penalty = np.square(exact.model.coef_).sum() / 2
    expected = exact.best_C * -(weights * np.log(P)).sum() + penalty
    assert exact.fits[-1].objective == pytest.approx(expected, rel=1e-9)
