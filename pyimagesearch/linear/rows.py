"""The rows to train on, in blocks that fit the cache, and passes over them that fits share."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pyimagesearch.utils import InputError

BLOCK_BYTES = 16 * 2**20  # of features in single precision: large enough for BLAS
BLOCK_NUMBERS = 2**17  # of scores in double precision: 1 MB, which stays in the cache
COPY_BYTES = 256 * 2**20  # what is copied, so that not every pass has to centre or to round it


class Pass(NamedTuple):
    """What a fit asks of a pass over the rows.

    Attributes
    ----------
    task : callable
        Called with each block, a slice of the rows, and its ``X V``, (b, K), or None. Returns the
        block's part of the answer: Y, (b, K), for ``X^T Y``, or a tuple of what is to be summed.
    used : ndarray of bool, shape (n,)
        Which rows matter: blocks without any of them are left out.
    V : ndarray, shape (d + 1, K), optional
        What to multiply the rows by. The last feature is that of the intercepts, always 1.
    transposed : bool
        Whether the answer is ``X^T Y``, (d + 1, K).
    dtype : type
        The precision of the products of matrices.
    """

    task: Callable[[slice, np.ndarray | None], Any]
    used: np.ndarray
    V: np.ndarray | None = None
    transposed: bool = False
    dtype: type = np.float64

    @property
    def reads_features(self) -> bool:
        """Whether it needs more than the task knows by itself."""
        return self.transposed or self.V is not None


class Rows:
    """Rows of numbers, in memory or mapped into it, of which each pass reads block after block.

    Parameters
    ----------
    X : ndarray or memmap of float32 or float64, shape (n, d)
        The rows.
    n_classes : int
        K, the number of columns of what they are multiplied by.
    pool : ThreadPoolExecutor
        Of `n_jobs` threads.
    n_jobs : int
        How many threads make a pass.
    centre : ndarray, shape (d,), optional
        Is taken off each row, so that an offset does not use up the digits.
    scale : float
        Each row is multiplied by it.
    lower : bool
        Whether X is a lower triangle: of its zeros, little is read.
    """

    def __init__(self, X, n_classes, pool, n_jobs, centre=None, scale=1.0, lower=False):
        self.X, self.n_classes, self.pool, self.n_jobs = X, n_classes, pool, n_jobs
        self.centre, self.scale, self.lower = centre, scale, lower
        n, d = self.shape = X.shape
        step = max(16, min(BLOCK_BYTES // (4 * d), BLOCK_NUMBERS // n_classes))
        n_blocks = 2 * n_jobs * -(-n // (step * 2 * n_jobs))
        edges = [n * i // n_blocks for i in range(n_blocks + 1)]
        self.blocks = [slice(*edge) for edge in pairwise(edges)]
        rounded = centre is None and X.dtype == np.float64 and 4 * n * d <= COPY_BYTES
        self._single = X.astype(np.float32) if rounded else None

    def block(self, rows: slice | np.ndarray, dtype: type) -> np.ndarray:
        """Return some rows, centred, not scaled: (b, d), or fewer columns if the rest are 0."""
        X = self.X if dtype == np.float64 or self._single is None else self._single
        X = X[rows, : rows.stop if self.lower and isinstance(rows, slice) else None]
        if self.centre is not None:
            X = np.subtract(X, self.centre, dtype=np.result_type(X, dtype))
        return X.astype(dtype, copy=False)

    @cached_property
    def squared_lengths(self) -> np.ndarray:
        """Of the scaled rows: (n,) float64."""

        def of_block(rows: slice) -> np.ndarray:
            X = self.block(rows, np.float64)
            return np.einsum("ij,ij->i", X, X)

        return self.scale**2 * np.concatenate(list(self.pool.map(of_block, self.blocks)))

    def pick(self, rows: np.ndarray, dtype: type) -> np.ndarray:
        """Return some rows, scaled, with the feature of the intercepts: (b, d + 1)."""
        X = np.ones((len(rows), self.shape[1] + 1), dtype)
        np.multiply(self.block(rows, dtype), self.scale, out=X[:, :-1], casting="same_kind")
        return X

    def make_pass(self, asked: Sequence[Pass]) -> list:
        """Make one pass for all that is asked; return ``X^T Y``, or sums, or None, for each."""
        V = {i: ask.V.astype(ask.dtype) for i, ask in enumerate(asked) if ask.V is not None}
        for columns in V.values():
            columns[:-1] *= self.scale
        side_by_side = cache(lambda which: np.hstack([V[i] for i in which]))

        def part(first: int) -> list:
            answers, both = [None] * len(asked), 2 * self.n_jobs
            # Of a triangle each block takes longer than the last: up and down, parts are equal.
            for rows in self.blocks[first::both] + self.blocks[both - 1 - first :: both]:
                used = {i: ask for i, ask in enumerate(asked) if ask.used[rows].any()}
                for dtype in {ask.dtype for ask in used.values()}:
                    of_dtype = {i: ask for i, ask in used.items() if ask.dtype == dtype}
                    self._answer(rows, dtype, of_dtype, side_by_side, answers)
            return answers

        *parts, answers = self.pool.map(part, range(self.n_jobs))
        for other in parts:
            answers = [_sum(a, b) for a, b in zip(answers, other, strict=True)]
        for i, ask in enumerate(asked):
            if ask.transposed:
                answers[i] = answers[i].astype(np.float64)
                answers[i][:-1] *= self.scale
        return answers

    def _answer(self, rows: slice, dtype: type, asked: dict, side_by_side, answers: list) -> None:
        """Add to the answers what one block of the rows gives."""
        reads = any(ask.reads_features for ask in asked.values())
        X = self.block(rows, dtype) if reads else None  # (b, width)
        scores = dict.fromkeys(asked)
        scored = tuple(i for i in asked if asked[i].V is not None)
        if scored:
            V = side_by_side(scored)  # (d + 1, K for each)
            products = X @ V[: X.shape[1]] + V[-1]
            scores |= zip(scored, np.split(products, len(scored), axis=1), strict=True)
        found = {i: ask.task(rows, scores[i]) for i, ask in asked.items()}
        transposed = [i for i in asked if asked[i].transposed]
        if transposed:
            Y = np.hstack([found[i] for i in transposed]).astype(dtype, copy=False)
            products = np.split(X.T @ Y, len(transposed), axis=1)
            for i, product in zip(transposed, products, strict=True):
                if answers[i] is None:
                    answers[i] = np.zeros((self.shape[1] + 1, product.shape[1]), dtype)
                answers[i][: len(product)] += product
                answers[i][-1] += found[i].sum(axis=0)
        for i in asked.keys() - transposed:
            answers[i] = _sum(answers[i], found[i])


def _sum(one, other):
    if one is None or other is None:
        return other if one is None else one
    return one + other if isinstance(one, np.ndarray) else tuple(map(np.add, one, other))


def together(rows: Rows, fits: Sequence[Generator[Pass, Any, Any]]) -> list:
    """Run fits at once, so that each pass serves all that wait for one; return their results.

    A fit is a generator. It yields a `Pass` whenever it needs something of the rows, and is sent
    the answer. Who needs no features is answered first: the others' next pass then serves it too.
    """
    results, waiting, answers = [None] * len(fits), {}, dict.fromkeys(range(len(fits)))
    while answers:
        for i, answer in answers.items():
            try:
                waiting[i] = fits[i].send(answer)
            except StopIteration as end:
                results[i] = end.value
        now = [i for i in waiting if not waiting[i].reads_features] or list(waiting)
        found = rows.make_pass([waiting.pop(i) for i in now]) if now else []
        answers = dict(zip(now, found, strict=True))
    return results


def centred(X: np.ndarray, n_classes: int, pool: ThreadPoolExecutor, n_jobs: int) -> Rows:
    """Return rows less their mean, scaled to a mean squared length of 1, where they lie.

    So single precision is safe at any scale, and the intercepts are one more feature, always 1.

    Raises
    ------
    InputError
        If features are not finite; it says in how many rows.
    """
    rows = Rows(X, n_classes, pool, n_jobs, centre=np.zeros(X.shape[1], X.dtype))

    def look_at(block: slice) -> tuple[int, np.ndarray]:
        with np.errstate(all="ignore"):  # what is not finite is counted
            return count_not_finite(X[block]), X[block].sum(axis=0, dtype=np.float64)

    wrong, total = 0, np.zeros(X.shape[1])
    for count, sums in pool.map(look_at, rows.blocks):
        wrong += count
        total += sums
    refuse_not_finite(wrong, len(X))
    rows.centre = (total / len(X)).astype(X.dtype)
    square = rows.squared_lengths.mean()
    rows.scale = 1 / np.sqrt(square) if square else 1.0
    rows.squared_lengths *= rows.scale**2
    return rows


def copied(rows: Rows, order: np.ndarray) -> Rows:
    """Return the same rows, centred and scaled, in another order and in memory."""
    X = np.empty(rows.shape, rows.X.dtype)
    for block in rows.blocks:
        X[block] = rows.block(order[block], X.dtype)
        X[block] *= X.dtype.type(rows.scale)
    return Rows(X, rows.n_classes, rows.pool, rows.n_jobs)


def count_not_finite(rows: np.ndarray) -> int:
    """Return how many rows hold a feature that is not finite, or too large to be squared."""
    with np.errstate(all="ignore"):  # one number per row, so that no copy of the features is made
        sums = np.einsum("ij->i", rows, dtype=np.float64)
    return int(np.count_nonzero(~np.isfinite(sums)))


def refuse_not_finite(wrong: int, n_rows: int) -> None:
    """Raise `InputError` if any of the rows is wrong."""
    if wrong:
        raise InputError(
            f"{wrong:,} of {n_rows:,} rows hold features that are not finite: extract them again"
        )
