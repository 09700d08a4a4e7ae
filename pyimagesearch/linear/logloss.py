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
        """Return each row's second derivative, a mean over the columns: (n,)."""
        return self._spread().mean(axis=1)

    def curvature(self, factors: np.ndarray) -> np.ndarray:
        """Return the second derivative by what multiplies some factors of the columns.

        Parameters
        ----------
        factors : ndarray, shape (n, m, n_columns) or (n, m, 1)
            To each column c of the scores a multiple of ``factors[:, i, c]``
            is added, for each i; ones stand for an intercept.

        Returns
        -------
        ndarray, shape (m * n_columns, m * n_columns)
            All multiples of the first factor, then those of the next.
        """
        n_rows, m, _ = factors.shape
        k = self.n_columns
        weighted = (factors * self.probabilities()[:, None]).reshape(n_rows, m * k)
        curvature = -(weighted.T @ weighted)
        # A column with itself: p - p^2 would cancel, where p is near 1.
        by_column = np.ascontiguousarray(factors.transpose(2, 1, 0))  # (k or 1, m, n)
        own = (by_column * self._spread().T[:, None]) @ by_column.transpose(0, 2, 1)
        columns = np.arange(k)
        curvature.reshape(m, k, m, k)[:, columns, :, columns] = own
        return curvature

    def probabilities(self) -> np.ndarray:
        """Return the probability of each column's class: (n, n_columns)."""
        probabilities = self._wrong.copy()
        probabilities[self._rows, self._labels] = self._true
        return self._columns(probabilities)

    def _spread(self) -> np.ndarray:
        """Return p (1 - p), exactly where p is near 1: (n, n_columns)."""
        spread = self._wrong * (1 - self._wrong)
        spread[self._rows, self._labels] = self._true * self._wrong.sum(axis=1)
        return self._columns(spread)

    def inverse_blocks(self, shifts: np.ndarray, dtype: type) -> "InverseBlocks":
        """Prepare to multiply each row by (B^-1 + shift)^-1, for what `bend` multiplies by, B.

        Parameters
        ----------
        shifts : ndarray, shape (n,)
            A positive number a row.
        dtype : type
            The precision to compute in.
        """
        labels = None if self._binary else self._labels
        weights = self._spread() if self._binary else self.probabilities()
        return InverseBlocks(weights, labels, shifts[:, None], dtype)

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


class InverseBlocks:
    """Multiplication of each row by (B^-1 + shift)^-1, B being how its loss bends.

    For ``B = diag(p) - p p^T`` that is ``diag(h) - h h^T / sum(h)``, with
    ``h = p / (1 + shift p)``: the inverse of B is diag(1 / p), on what sums
    to 0 in a row.

    Parameters
    ----------
    weights : ndarray, shape (n, k)
        p; for a single column, B itself.
    labels : ndarray of int, shape (n,), or None
        The true classes; None for a single column.
    shifts : ndarray, shape (n, 1)
        A positive number a row.
    dtype : type
        The precision to compute in.
    """

    def __init__(
        self, weights: np.ndarray, labels: np.ndarray | None, shifts: np.ndarray, dtype: type
    ):
        damping = 1 / (1 + shifts * weights)
        self._damping = damping.astype(dtype)
        self._damped = (weights * damping).astype(dtype)
        self._truth = None if labels is None else (np.arange(len(labels)), labels)
        self._totals = self._damped.sum(axis=1, keepdims=True)

    def apply(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the product with some rows (n, k), and B^-1 times it.

        What B^-1 gives is determined but for a constant in each row.
        """
        if self._truth is not None:
            # Relative to the true class, whose own weight may drown the others.
            rows = rows - rows[self._truth][:, None]
            rows -= np.einsum("ij,ij->i", self._damped, rows)[:, None] / self._totals
        return self._damped * rows, self._damping * rows

    def sum(self) -> np.ndarray:
        """Return the sum of the blocks of all rows: (k, k), float64."""
        total = np.diag(self._damped.sum(axis=0, dtype=np.float64))
        if self._truth is not None:
            total -= (self._damped / self._totals).T @ self._damped
        return total
