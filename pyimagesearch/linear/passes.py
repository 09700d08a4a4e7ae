"""Passes over features where they lie, each of which serves all fits that wait for one."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pyimagesearch.utils import InputError

COPY_BYTES = 256 * 2**20  # features that are centred once, not in every pass
BLOCK_BYTES = 2 * 2**20  # of features in single precision that are passed over at a time


def count_not_finite(rows: np.ndarray) -> int:
    """Return how many rows hold a feature that is not finite, or too large to be squared."""
    with np.errstate(all="ignore"):  # one number a row, so that no copy of the features is made
        sums = np.einsum("ij->i", rows, dtype=np.float64)
    return int(np.count_nonzero(~np.isfinite(sums)))


def refuse_not_finite(wrong: int, n_rows: int) -> None:
    """Raise `InputError` if any of the rows is wrong."""
    if wrong:
        raise InputError(
            f"{wrong:,} of {n_rows:,} rows hold features that are not finite: extract them again"
        )


class Rows:
    """All rows to train on, where they lie: in memory, or in a file that is mapped into it.

    Parameters
    ----------
    X : ndarray or memmap of float32 or float64, shape (n, d)
        Features.

    Attributes
    ----------
    centre : ndarray, shape (d,)
        The mean of the rows, in the precision of the features. It is taken off each of them, so
        that an offset larger than all differences does not use up the digits.
    scale : float
        What makes the mean squared length of the centred rows 1.
    squares : ndarray of float64, shape (n,)
        Their squared lengths, scaled.

    Raises
    ------
    InputError
        If features are not finite; it says in how many rows.
    """

    def __init__(self, X: np.ndarray):
        self.X, self.shape = X, X.shape
        n, d = X.shape
        self._step = max(1, BLOCK_BYTES // (4 * d))
        total, wrong = np.zeros(d), 0
        for rows in self.blocks():
            wrong += count_not_finite(X[rows])
            with np.errstate(all="ignore"):
                total += X[rows].sum(axis=0, dtype=np.float64)
        refuse_not_finite(wrong, n)
        self.centre, self._copy = (total / n).astype(X.dtype), None
        self.scale, self.squares = 1.0, np.empty(n)
        for rows in self.blocks():
            block = self.centred(rows, np.float64)
            self.squares[rows] = np.einsum("ij,ij->i", block, block)
        self.scale = 1 / np.sqrt(self.squares.mean()) if self.squares.any() else 1.0
        self.squares *= self.scale**2
        if 4 * n * d <= COPY_BYTES:
            self._copy = np.subtract(X, self.centre).astype(np.float32, copy=False)

    def blocks(self) -> list[slice]:
        """Return slices of consecutive rows that cover all."""
        starts = range(0, len(self.X), self._step)
        return [slice(start, min(start + self._step, len(self.X))) for start in starts]

    def centred(self, rows: slice | np.ndarray, dtype: type) -> np.ndarray:
        """Return some rows less their centre, not scaled."""
        if dtype == np.float32 and self._copy is not None:
            return self._copy[rows]
        if dtype == np.float64:
            return np.subtract(self.X[rows], self.centre, dtype=np.float64)
        return np.subtract(self.X[rows], self.centre).astype(dtype, copy=False)

    def products(self) -> np.ndarray:
        """Return the products of all rows with each other, centred and scaled: (n, n) float64."""
        n, d = self.shape
        G, step = np.zeros((n, n)), max(1, 16 * BLOCK_BYTES // (4 * n))
        for start in range(0, d, step):
            columns = slice(start, start + step)
            slab = np.subtract(self.X[:, columns], self.centre[columns], dtype=np.float64)
            G += slab @ slab.T  # NumPy computes one half only
        G *= self.scale**2
        return G

    def combine(self, a: np.ndarray) -> np.ndarray:
        """Return X^T a, scaled: (n, K) -> (d, K) float64."""
        w = np.zeros((self.shape[1], a.shape[1]))
        for rows in self.blocks():
            w += self.centred(rows, np.float64).T @ a[rows]
        return self.scale * w


@dataclass
class Request:
    """What a fit wants of a pass: see `Passes.run`."""

    V: np.ndarray | None
    answer: Callable[[slice, np.ndarray | None], np.ndarray | None]
    dtype: type
    used: np.ndarray
    sum: np.ndarray | None = None
    done: bool = False


class Passes:
    """Passes over the rows, each of which serves all fits that wait for one.

    Each fit runs in a thread of its own and calls `run` until it calls `leave`. When all of them
    wait, the pass is made, by as many threads as there are cores, and what they asked for stands
    side by side in one product of matrices.

    Parameters
    ----------
    rows : Rows
        The features.
    n_fits : int
        How many fits there are.
    n_jobs : int
        How many threads make a pass.
    """

    def __init__(self, rows: Rows, n_fits: int, n_jobs: int):
        self.rows, self._n_fits, self._n_jobs = rows, n_fits, n_jobs
        self._waiting: list[Request] = []
        self._condition = threading.Condition()

    def run(self, request: Request) -> np.ndarray | None:
        """Return X^T Y (d, K), for the Y that ``answer(rows, X[rows] V)`` returns, if it does."""
        with self._condition:
            self._waiting.append(request)
            if len(self._waiting) == self._n_fits:
                self._pass()
            self._condition.wait_for(lambda: request.done)
        return request.sum

    def leave(self) -> None:
        """End a fit: the others do not wait for it any more."""
        with self._condition:
            self._n_fits -= 1
            if self._waiting and len(self._waiting) == self._n_fits:
                self._pass()

    def _pass(self) -> None:
        requests, self._waiting = self._waiting, []
        try:
            for dtype in {request.dtype for request in requests}:
                self._pass_in([request for request in requests if request.dtype == dtype], dtype)
        finally:
            for request in requests:
                request.done = True
            self._condition.notify_all()

    def _pass_in(self, requests: list[Request], dtype: type) -> None:
        blocks, scale = self.rows.blocks(), self.rows.scale
        V = [None if r.V is None else (scale * r.V).astype(dtype, copy=False) for r in requests]

        def some(first: int) -> list:
            sums = [None] * len(requests)
            for rows in blocks[first :: self._n_jobs]:
                asked = [i for i, request in enumerate(requests) if request.used[rows].any()]
                self._block(rows, dtype, requests, V, asked, sums)
            return sums

        with ThreadPoolExecutor(self._n_jobs) as pool:
            for sums in pool.map(some, range(self._n_jobs)):
                for request, part in zip(requests, sums, strict=True):
                    if part is not None:
                        part = scale * part.astype(np.float64)
                        request.sum = part if request.sum is None else request.sum + part

    def _block(self, rows, dtype, requests, V, asked, sums) -> None:
        X = self.rows.centred(rows, dtype)
        scores = dict.fromkeys(asked)
        wanted = [i for i in asked if V[i] is not None]
        if wanted:
            side_by_side = X @ np.hstack([V[i] for i in wanted])
            widths = np.cumsum([V[i].shape[1] for i in wanted])
            scores |= zip(wanted, np.split(side_by_side, widths[:-1], axis=1), strict=True)
        answers = {i: requests[i].answer(rows, scores[i]) for i in asked}
        answers = {i: answer for i, answer in answers.items() if answer is not None}
        if answers:
            both = X.T @ np.hstack(list(answers.values())).astype(dtype, copy=False)
            widths = np.cumsum([answer.shape[1] for answer in answers.values()])
            for i, part in zip(answers, np.split(both, widths[:-1], axis=1), strict=True):
                sums[i] = part if sums[i] is None else sums[i] + part
