import numpy as np
import pytest

from pyimagesearch.linear.calibration import (
    expected_calibration_error,
    fit_temperature,
    probabilities,
)


def answers(temperature, n=20_000, n_classes=4, seed=0):
    """Return scores, and labels that are right as often as the scores by a temperature say."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (n, n_classes))
    true = probabilities(scores, temperature)
    labels = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return scores, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_is_found_that_the_labels_were_drawn_with(temperature):
    scores, labels = answers(temperature)
    assert fit_temperature(scores, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_does_not_depend_on_what_is_added_to_all_scores_of_a_row():
    scores, labels = answers(2.0, n=500)
    shifted = scores + np.random.default_rng(1).normal(0, 1000, (len(scores), 1))
    assert fit_temperature(shifted, labels) == pytest.approx(fit_temperature(scores, labels))


def test_of_scores_that_are_always_right_the_temperature_is_small_but_not_zero():
    labels = np.arange(30) % 3
    assert 0 < fit_temperature(np.eye(3)[labels], labels) < 0.01


def test_temperature_lowers_the_calibration_error_and_changes_no_answer():
    scores, labels = answers(3.0)
    before, after = probabilities(scores), probabilities(scores, fit_temperature(scores, labels))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    errors = [
        expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == labels)
        for p in (before, after)
    ]
    assert errors[0] > 0.2
    assert errors[1] < 0.015


def test_the_calibration_error_weighs_each_bin_by_its_answers():
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.5, 1.0])
    right = np.array([True, True, True, False, True, True])
    # Five answers above 14/15, of which four are right; one in the eighth bin.
    expected = 5 / 6 * abs(4.8 / 5 - 4 / 5) + 1 / 6 * abs(0.5 - 1)
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)
