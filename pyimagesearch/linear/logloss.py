"""The log loss of two and of many classes, to full relative precision.

Everything is computed relative to the true class. Of a picture that is judged
almost surely, the probability of the truth rounds to 1, but what is left for
the other classes is a number of full precision; where C is large, those are
the numbers that the solution consists of.
"""

import numpy as np


class LogLoss:
    """The loss of scores, and how it bends, at the scores given last.

    Two classes have one column of scores, that of the second class; the first
    class's are 0, as scikit-learn has it. More classes have a column each.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Class indices, 0 to ``n_classes - 1``.
    n_classes : int
        How many classes there are, at least 2.

    Attributes
    ----------
    n_columns : int
        1 for two classes, else the number of classes.
    residuals : ndarray, shape (n, n_columns)
        True class less probability: minus the gradient of the loss.
    """

    def __init__(self, labels: np.ndarray, n_classes: int):
        self._labels = labels
        self._rows = np.arange(len(labels))
        self._binary = n_classes == 2
        self.n_columns = 1 if self._binary else n_classes

    def value(self, scores: np.ndarray) -> float:
        """Return the sum of the losses of all rows; keeps nothing."""
        _, top, others, _ = self._odds(scores)
        # log(sum of exp(odds)) with the true class's own exp(-top) set apart
        return float((top + np.log1p(others + np.expm1(-top))).sum())

    def settle(self, scores: np.ndarray) -> None:
        """Take these scores as the place where the loss is differentiated."""
        odds, _, others, truth = self._odds(scores)
        total = others + truth
        self._wrong = odds / total[:, None]  # probabilities, 0 for the true class
        self._true = truth / total
        residuals = -self._wrong
        residuals[self._rows, self._labels] = others / total
        self.residuals = self._columns(residuals)

    def bend(self, change: np.ndarray) -> np.ndarray:
        """Multiply each row by the loss's second derivative: diag(p) - p p^T."""
        change = self._all_classes(change)
        relative = change - change[self._rows, self._labels][:, None]
        mean = (self._wrong * relative).sum(axis=1, keepdims=True)
        bent = self._wrong * (relative - mean)
        bent[self._rows, self._labels] = -self._true * mean[:, 0]
        return self._columns(bent)

    def mean_weights(self) -> np.ndarray:
        """Return each row's second derivative, a mean over the classes: (n,)."""
        wrong = (self._wrong * (1 - self._wrong)).sum(axis=1)
        true = self._true * self._wrong.sum(axis=1)
        return (wrong + true) / (2 if self._binary else self.n_columns)

    def intercept_curvature(self) -> np.ndarray:
        """Return the second derivative by the intercepts: (n_columns, n_columns)."""
        probabilities = self._wrong.copy()
        probabilities[self._rows, self._labels] = self._true
        curvature = -(probabilities.T @ probabilities)
        # Its rows sum to 0, which spares the diagonal the cancellation.
        np.fill_diagonal(curvature, 0)
        np.fill_diagonal(curvature, -curvature.sum(axis=1))
        return curvature[-self.n_columns :, -self.n_columns :]

    def _odds(self, scores: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return exp(score - largest score), 0 for the true class, and its parts."""
        odds = self._all_classes(scores)
        odds = odds - odds[self._rows, self._labels][:, None]
        top = odds.max(axis=1)  # 0 or more: the true class has 0
        odds = np.exp(odds - top[:, None])
        odds[self._rows, self._labels] = 0
        return odds, top, odds.sum(axis=1), np.exp(-top)

    def _all_classes(self, columns: np.ndarray) -> np.ndarray:
        return np.hstack([np.zeros_like(columns), columns]) if self._binary else columns

    def _columns(self, classes: np.ndarray) -> np.ndarray:
        return classes[:, 1:] if self._binary else classes
