"""Calibrate probabilities by one number, the temperature.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks",
ICML 2017: all scores are divided by one temperature. Which class is the most
probable stays the same; how probable it is does not.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

N_BINS = 15  # of confidence, as in the paper
# Scores are divided by something between these: 1 / 1000 makes all answers certain.
TEMPERATURES = (1e-3, 1e3)


@dataclass(frozen=True)
class Calibration:
    """What one temperature does to the probabilities of a classifier.

    Attributes
    ----------
    temperature : float
        What the scores are divided by.
    error_before, error_after : float
        The expected calibration error on the test rows.
    is_applied : bool
        Whether the classifier was divided by the temperature.
    """

    temperature: float
    error_before: float
    error_after: float
    is_applied: bool

    @classmethod
    def measured(
        cls, temperature: float, scores: np.ndarray, labels: np.ndarray, is_applied: bool
    ) -> "Calibration":
        """Measure it on the scores (n, n_classes) of test rows, as they are without it."""
        errors = []
        for divisor in (1.0, temperature):
            found = probabilities(scores, divisor)
            right = found.argmax(axis=1) == labels
            errors.append(expected_calibration_error(found.max(axis=1), right))
        return cls(temperature, *errors, is_applied)


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature at which the labels are the most probable.

    Parameters
    ----------
    scores : ndarray of float, shape (n, n_classes)
        Of models that were not trained on the row: with those that were,
        everything would seem certain. -inf for a class that they do not know.
    labels : ndarray of int, shape (n,)
        The class of each row. Rows of a class that is not known do not count.

    Returns
    -------
    float
        Above 1 for scores that are too sure of themselves, below 1 for others.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    own = scores[np.arange(len(labels)), labels].astype(np.float64)
    known = np.isfinite(own)
    scores = scores[known] - own[known, None]  # the loss is then one term

    def mean_loss(log_temperature: float) -> float:
        return logsumexp(scores * np.exp(-log_temperature), axis=1).mean()

    # Convex in 1 / temperature, so that there is one minimum.
    return float(np.exp(minimize_scalar(mean_loss, bounds=np.log(TEMPERATURES)).x))


def probabilities(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Turn scores (n, n_classes) into probabilities that add up to 1 in each row."""
    scores = scores.astype(np.float64) / temperature
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def apply_temperature(model: "LogisticRegression", temperature: float) -> None:
    """Divide a classifier by a temperature: only its probabilities change, not its answers."""
    model.coef_ /= temperature
    model.intercept_ /= temperature


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error: how far confidence is from accuracy.

    Parameters
    ----------
    confidence : ndarray of float, shape (n,)
        The probability of each answer, in [0, 1].
    right : ndarray of bool, shape (n,)
        Whether it is correct.

    Returns
    -------
    float
        The mean, over 15 bins of equal width and weighted by the answers in each, of the
        distance between mean confidence and accuracy.
    """
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    excess = np.bincount(bins, confidence - right, minlength=N_BINS)
    return float(np.abs(excess).sum() / len(confidence))
