"""The log loss of several classes, its slope and its curvature, to full relative precision.

Everything is kept relative to the true class: of a picture that is judged almost surely, the
probability of the truth rounds to 1, but those of the wrong classes are numbers of full precision.
Where C is large, they are what the solution consists of.
"""

from collections.abc import Iterator, Sequence

import numpy as np

BLOCK_NUMBERS = 2**17  # scores treated at a time: 1 MB in float64, which stays in the cache


class LogLoss:
    """The sum of the log losses of some rows, and its derivatives by their scores.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Class indices of all rows, 0 to ``n_classes - 1``.
    n_classes : int
        K, at least 2.
    used : ndarray of bool, shape (n,), optional
        Which rows count; by default all. The others have no loss and no slope.
    """

    def __init__(self, labels: np.ndarray, n_classes: int, used: np.ndarray | None = None):
        self.labels, self.n_classes = labels, n_classes
        self.used = np.ones(len(labels), bool) if used is None else used
        self._step = max(1, BLOCK_NUMBERS // n_classes)

    def blocks(self) -> Iterator[slice]:
        """Yield slices of consecutive rows that cover all."""
        for start in range(0, len(self.labels), self._step):
            yield slice(start, start + self._step)

    def value(self, scores: np.ndarray, intercepts: np.ndarray) -> float:
        """Return the sum of the losses at scores (n, K) and intercepts (K,)."""
        return sum(self._wrong(scores[rows] + intercepts, rows)[0] for rows in self.blocks())

    def wrong(self, scores: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
        """Return the probabilities of the wrong classes, (n, K) float32; 0 for the right one."""
        found = np.empty(scores.shape, np.float32)
        for rows in self.blocks():
            found[rows] = self._wrong(scores[rows] + intercepts, rows)[1]
        return found

    def residuals(self, scores: np.ndarray, intercepts: np.ndarray, rows: slice) -> np.ndarray:
        """Return probabilities less truth, the slope of the loss, of a slice of the rows."""
        wrong = self._wrong(scores[rows] + intercepts, rows)[1]
        wrong[np.arange(len(wrong)), self.labels[rows]] = -wrong.sum(axis=1)
        return wrong

    def by_intercepts(self, scores: np.ndarray, intercepts: np.ndarray) -> tuple:
        """Return the loss, its gradient (K,) and Hessian (K, K), and the sum of all |residuals|."""
        loss, size = 0.0, 0.0
        gradient, outer = np.zeros(self.n_classes), np.zeros((self.n_classes,) * 2)
        for rows in self.blocks():
            of_rows, P = self._wrong(scores[rows] + intercepts, rows)
            loss += of_rows
            every, labels, right = np.arange(len(P)), self.labels[rows], P.sum(axis=1)
            gradient += P.sum(axis=0) - np.bincount(labels, right, self.n_classes)
            size += 2 * right.sum()
            P[every, labels] = (1 - right) * self.used[rows]
            outer += P.T @ P
        # Off the diagonal it is -P^T P, and each row sums to 0: a difference on it would cancel.
        hessian = -outer
        np.fill_diagonal(hessian, 0)
        np.fill_diagonal(hessian, -hessian.sum(axis=1))
        return loss, gradient, hessian, size

    def along(self, points: Sequence[tuple], factors: np.ndarray) -> tuple:
        """Return the loss at a combination of points, its gradient and its Hessian by the factors.

        Parameters
        ----------
        points : sequence of (scores (n, K), intercepts (K,))
            What is combined.
        factors : ndarray, shape (m,)
            How much of each.
        """
        m = len(points)
        loss, gradient, hessian = 0.0, np.zeros(m), np.zeros((m, m))
        for rows in self.blocks():
            Z = np.stack([scores[rows] + intercepts for scores, intercepts in points])  # (m, b, K)
            of_rows, wrong = self._wrong(np.tensordot(factors, Z, 1), rows)
            loss += of_rows
            Z -= Z[:, np.arange(len(wrong)), self.labels[rows], None]
            weighted = wrong * Z
            means = weighted.sum(axis=2)  # (m, b)
            gradient += means.sum(axis=1)
            hessian += np.einsum("abk,cbk->ac", weighted, Z, optimize=True) - means @ means.T
        return loss, gradient, hessian

    def _wrong(self, scores: np.ndarray, rows: slice) -> tuple[float, np.ndarray]:
        """Return the loss of a slice of rows, and the probabilities of their wrong classes."""
        every, labels, used = np.arange(len(scores)), self.labels[rows], self.used[rows]
        odds = scores - scores[every, labels, None]
        odds[every, labels] = -np.inf  # the truth's own 1 apart, which would drown what is small
        top = np.maximum(odds.max(axis=1), 0)
        odds -= top[:, None]
        np.exp(odds, out=odds)
        truth, others = np.exp(-top), odds.sum(axis=1)
        losses = np.where(top > 0, top + np.log(truth + others), np.log1p(others))
        odds *= (used / (truth + others))[:, None]
        return float(losses @ used), odds


class Curvature:
    """The second derivative of C times the loss at one place: C (diag(p) - p p^T) a row.

    Parameters
    ----------
    wrong : ndarray of float32 or float64, shape (n, K)
        Probabilities of the wrong classes, 0 for the right one.
    labels : ndarray of int, shape (n,)
        The right ones.
    C : float
        Inverse strength of the regularisation.
    """

    def __init__(self, wrong: np.ndarray, labels: np.ndarray, C: float):
        self.dtype = wrong.dtype
        self._wrong, self._labels, self._C = wrong, labels, wrong.dtype.type(C)

    def __call__(self, scores: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Multiply the scores of a slice of the rows by it."""
        wrong, labels = self._wrong[rows], self._labels[rows]
        every = np.arange(len(wrong))
        V = scores - scores[every, labels, None]
        V -= np.einsum("ij,ij->i", wrong, V)[:, None]
        V *= wrong
        V *= self._C
        V[every, labels] = -V.sum(axis=1)
        return V

    def diagonal(self) -> np.ndarray:
        """Return C p (1 - p) of each row and class: (n, K)."""
        every, left = np.arange(len(self._wrong)), self._wrong.sum(axis=1)
        W = self._wrong * (1 - self._wrong)
        W[every, self._labels] = left * (1 - left)
        W *= self._C
        return np.maximum(W, 0)  # rounding

    def weights(self, rows: list[np.ndarray], complete: bool) -> list[np.ndarray]:
        """Return C p (1 - p) of some rows of each class, or all of C p."""
        found = []
        for k, of_class in enumerate(rows):
            is_right, wrong = self._labels[of_class] == k, self._wrong[of_class]
            left = np.where(is_right, wrong.sum(axis=1), wrong[:, k])  # a difference would cancel
            p = np.where(is_right, 1 - left, left) if complete else left * (1 - left)
            found.append(self._C * np.maximum(p, 0))
        return found
