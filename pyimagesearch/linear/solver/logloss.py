"""The log loss of several classes, its slope and its curvature, to full relative precision.

Everything is kept relative to the true class: where an image is classified almost surely, the
probability of the truth rounds to 1, but those of the wrong classes are numbers of full precision.
Where C is large, they are what the solution consists of.

The numbers of a class lie together, (K, n): NumPy takes 1.5 ns for each number of sums over rows of
10, and 0.06 if they lie like this (NumPy 2.4, float32).
"""

import numpy as np

from pyimagesearch.linear.solver.rows import Block


class LogLoss:
    """The sum of the weighted log losses of one fit, as a function of its scores.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
        Indices of the classes.
    weights : ndarray of float64, shape (n,)
        How much each row counts; 0 for rows that are not fitted.
    used : ndarray of bool, shape (n,)
        Which rows are fitted.
    present : ndarray of bool, shape (K,)
        Which classes have such rows. The others have a probability of 0.
    """

    def __init__(self, labels: np.ndarray, weights: np.ndarray, n_classes: int):
        self.labels, self.weights, self.used = labels, weights, weights > 0
        self.present = np.bincount(labels[self.used], minlength=n_classes) > 0
        self.divisors = np.where(self.used, weights, 1)

    def residuals(self, scores: np.ndarray, rows: slice) -> tuple[float, np.ndarray]:
        """Return the loss of some rows, and its slope by their scores (K, b), intercepts included.

        Slopes, in the precision of the scores, are the probabilities less 1 for the right class,
        times the weights.
        """
        truth = self.labels[rows], np.arange(scores.shape[1])
        odds = scores - scores[truth]
        odds[truth] = -np.inf  # the truth's own 1 apart, which would drown what is small
        odds[~self.present] = -np.inf
        top = np.maximum(odds.max(axis=0), 0)
        odds -= top
        np.exp(odds, out=odds)
        right, others = np.exp(-top), odds.sum(axis=0)
        losses = np.where(top > 0, top + np.log(right + others), np.log1p(others))
        odds *= self.weights[rows].astype(odds.dtype) / (right + others)
        odds[truth] = -odds.sum(axis=0)
        return float(np.dot(losses.astype(np.float64), self.weights[rows])), odds

    def doubt(self, residuals: np.ndarray) -> np.ndarray:
        """Return the weighted probability of all wrong classes: (n,).

        It is half of what the sizes of a row's residuals add up to.
        """
        return np.abs(residuals[self.labels, np.arange(len(self.labels))])

    def curvature_product(self, residuals: np.ndarray, V: np.ndarray, rows: Block) -> np.ndarray:
        """Multiply V (K, b) by the second derivative of rows' losses, diag(p) - p p^T of each."""
        R, truth = residuals[:, rows], (self.labels[rows], np.arange(V.shape[1]))
        V = V - V[truth]
        V -= np.einsum("kn,kn->n", R, V) / self.divisors[rows].astype(R.dtype)
        V *= R
        V[truth] -= V.sum(axis=0)
        return V

    def curvatures(self, residuals: np.ndarray) -> np.ndarray:
        """Return p (1 - p) of some classes (k, n), weighted: the diagonals of the same."""
        sizes = np.abs(residuals)  # p, or 1 - p of the right class
        return np.maximum(sizes * (1 - sizes / self.divisors.astype(sizes.dtype)), 0)  # rounding
