import numpy as np
from cleanlab.filter import find_label_issues
from hypothesis import given, settings
from hypothesis import strategies as st

from pyimagesearch.linear.suspects import confident_errors, find_suspects


def predictions(n, n_classes, sharpness, seed):
    """Return labels, a fifth of them wrong, and predictions that often know better."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    scores = rng.normal(size=(n, n_classes))
    scores[np.arange(n), truth] += 2
    probabilities = np.exp(sharpness * scores)
    wrong = rng.random(n) < 0.2
    labels = np.where(wrong, rng.integers(0, n_classes, n), truth)
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


FLIPPED = np.array([[0.9, 0.1]] * 8 + [[0.2, 0.8]] * 8 + [[0.95, 0.05], [0.92, 0.08]])
FLIPPED_LABELS = np.array([0] * 8 + [1] * 8 + [1, 1])


def test_flipped_labels_are_found_with_the_right_class_and_the_worst_comes_first():
    found = find_suspects(FLIPPED_LABELS[::-1], np.log(FLIPPED[::-1]), temperature=1.0)
    assert found.rows.tolist() == [1, 0]
    assert found.given.tolist() == [1, 1]
    assert found.suggested.tolist() == [0, 0]
    np.testing.assert_allclose(found.given_probability, [0.05, 0.08])
    np.testing.assert_allclose(found.suggested_probability, [0.95, 0.92])


def test_the_probabilities_are_calibrated_and_the_rule_is_not_softened():
    found = find_suspects(FLIPPED_LABELS, np.log(FLIPPED), temperature=2.0)
    assert found.rows.tolist() == [16, 17]
    roots = np.sqrt([[0.95, 0.05], [0.92, 0.08]])
    np.testing.assert_allclose(found.suggested_probability, roots[:, 0] / roots.sum(axis=1))


def test_where_all_probabilities_are_0_or_1_the_temperature_keeps_the_order():
    scores = np.array([[900.0, 0.0]] * 8 + [[0.0, 900.0]] * 8 + [[800.0, 0.0], [1000.0, 0.0]])
    found = find_suspects(FLIPPED_LABELS, scores, temperature=200.0)
    assert found.rows.tolist() == [17, 16]
    assert 0.5 < found.suggested_probability[1] < found.suggested_probability[0] < 1


def test_labels_that_agree_with_the_predictions_are_no_suspects():
    labels = np.arange(12) % 3
    assert not confident_errors(labels, np.eye(3)[labels]).any()


def test_a_class_without_rows_is_never_suggested():
    scores = np.column_stack([np.log(FLIPPED), np.full(len(FLIPPED), -np.inf)])
    assert find_suspects(FLIPPED_LABELS, scores, temperature=1.0).suggested.tolist() == [0, 0]


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(20, 120),
    n_classes=st.integers(2, 5),
    sharpness=st.sampled_from([0.3, 1.0, 3.0]),
    seed=st.integers(0, 999),
)
def test_the_suspects_and_their_order_are_those_of_cleanlab(n, n_classes, sharpness, seed):
    labels, predicted = predictions(n, n_classes, sharpness, seed)
    if len(np.unique(labels)) < n_classes:
        return
    expected = find_label_issues(
        labels,
        predicted,
        filter_by="low_normalized_margin",
        return_indices_ranked_by="normalized_margin",
        n_jobs=1,
    )
    found = find_suspects(labels, np.log(predicted), temperature=1.0)
    margins = predicted[np.arange(n), labels] - predicted.max(axis=1)
    assert len(found) == len(expected)
    np.testing.assert_allclose(margins[found.rows], margins[expected], rtol=1e-9)
