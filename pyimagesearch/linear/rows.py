"""The rows to train on, in blocks that fit the cache, and passes over them that fits share."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pyimagesearch.utils import InputError

BLOCK_BYTES = 2 * 2**20  # of features in single precision: what stays in the cache
BLOCK_NUMBERS = 2**17  # of scores in double precision: 1 MB, which stays in the cache
FEW = 0.8  # of the rows: then features of those that are used are copied out of the others
NEAR = 10.0  # lengths of a centred row: single precision may take so near a centre off products
COPY_BYTES = 256 * 2**20  # of features are copied into memory, in the order of the folds


class Pass(NamedTuple):
    """What a fit asks of a pass over the rows.

    Attributes
    ----------
    task : callable
        Called with each block, a slice or indices of rows, and its ``V X^T``, (K, b), or None.
        Returns the block's part of the answer: Y, (K, b), for ``Y X``, or a tuple of what is to
        be summed.
    used : ndarray of bool, shape (n,)
        Which rows matter: a block may hold others, too, but there is one with each of these. Blocks
        are slices where no features are read.
    V : ndarray, shape (K, d + 1), optional
        What to multiply the rows by. The last feature is that of the intercepts, always 1.
    transposed : bool
        Whether the answer is ``Y X``, (K, d + 1) float64.
    dtype : type
        The precision of the products of matrices.
    """

    task: Callable[[slice | np.ndarray, np.ndarray | None], Any]
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
        K, the number of rows of weights and of scores.
    pool : ThreadPoolExecutor
        Of `n_jobs` threads.
    n_jobs : int
        How many threads make a pass.
    lower : bool
        Whether X is a lower triangle: of its zeros, little is read.

    Attributes
    ----------
    centre : ndarray of float64, shape (d,)
        Is taken off each row, so that an offset does not use up the digits; 0 at first.
    scale : float
        Each row is multiplied by it; 1 at first.
    """

    def __init__(self, X, n_classes, pool, n_jobs, lower=False):
        self.X, self.n_classes, self.lower = X, n_classes, lower
        self.pool, self.n_jobs = pool, n_jobs
        n, d = self.shape = X.shape
        self.centre, self.scale = np.zeros(d), 1.0
        self.blocks = self._blocks(np.ones(n, bool), reads=True)

    @property
    def single(self) -> type:
        """What is as good as single precision: double, where a far centre uses up the digits."""
        return np.float32 if self.scale * np.linalg.norm(self.centre) <= NEAR else np.float64

    def _blocks(self, used: np.ndarray, reads: bool) -> list[slice | np.ndarray]:
        """Divide rows into blocks, as many for each thread: slices, or indices if few are used."""
        few = reads and np.count_nonzero(used) < FEW * len(used)
        ones, both = np.flatnonzero(used) if few else used, 2 * self.n_jobs
        numbers = BLOCK_NUMBERS // self.n_classes
        n_rows = max(16, min(BLOCK_BYTES // (4 * self.shape[1]), numbers) if reads else numbers)
        n_blocks = both * max(1, -(-len(ones) // (n_rows * both)))
        slices = divided(len(ones), n_blocks)
        return [ones[part] for part in slices] if few else slices

    def block(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return some rows, neither centred nor scaled: (b, d), or fewer if the rest are 0."""
        if not self.lower:
            return self.X[rows]
        return self.X[rows, : rows.stop if isinstance(rows, slice) else rows.max(initial=0) + 1]

    def pick(self, rows: slice | np.ndarray, dtype: type) -> np.ndarray:
        """Return some rows, with the feature of the intercepts: (b, d + 1)."""
        X = self.block(rows)
        picked, d = np.zeros((len(X), self.shape[1] + 1), dtype), X.shape[1]
        np.subtract(X, self.centre[:d].astype(X.dtype), out=picked[:, :d], casting="same_kind")
        picked *= self.scale
        picked[:, -1] = 1
        return picked

    @cached_property
    def squared_lengths(self) -> np.ndarray:
        """Of the rows, without the intercepts' feature: (n,) float64."""

        def of_block(rows: slice) -> np.ndarray:
            X = self.pick(rows, np.float64)[:, :-1]
            return np.einsum("ij,ij->i", X, X)

        return np.concatenate(list(self.pool.map(of_block, self.blocks)))

    def make_pass(self, asked: Sequence[Pass]) -> list:
        """Make one pass for all that is asked, in one precision.

        Returns ``Y X``, or sums, or None, for each.
        """
        dtype, reads = asked[0].dtype, any(ask.reads_features for ask in asked)
        V = [None if ask.V is None else self._for_rows_as_they_lie(ask.V, dtype) for ask in asked]
        side_by_side = cache(lambda which: np.vstack([V[i] for i in which]))
        blocks = self._blocks(np.any([ask.used for ask in asked], axis=0), reads)

        def add_block(rows: slice | np.ndarray, answers: list) -> None:
            X = self.block(rows).astype(dtype, copy=False) if reads else None  # (b, d)
            used = [i for i, ask in enumerate(asked) if ask.used[rows].any()]
            scored = tuple(i for i in used if V[i] is not None)
            scores = dict.fromkeys(used)
            if scored:
                W = side_by_side(scored)  # (K for each, d + 1)
                products = np.add((X @ W[:, : X.shape[1]].T).T, W[:, -1:], order="C")
                edges = np.cumsum([len(V[i]) for i in scored])[:-1]
                scores |= zip(scored, np.split(products, edges), strict=True)
            found = {i: asked[i].task(rows, scores[i]) for i in used}
            transposed = [i for i in used if asked[i].transposed]
            if transposed:
                Y = np.vstack([found[i] for i in transposed]).astype(dtype, copy=False)
                products = np.split(Y @ X, len(transposed))  # of (K, d)
                for i, product in zip(transposed, products, strict=True):
                    answers[i][:, : X.shape[1]] += product
                    answers[i][:, -1] += found.pop(i).sum(axis=1)
            for i, more in found.items():
                answers[i] = _sum(answers[i], more)

        def part(first: int) -> list:
            shape = self.n_classes, self.shape[1] + 1
            answers = [np.zeros(shape, dtype) if ask.transposed else None for ask in asked]
            # Of a triangle each block takes longer than the last: up and down, parts are equal.
            both = 2 * self.n_jobs
            for rows in blocks[first::both] + blocks[both - 1 - first :: both]:
                add_block(rows, answers)
            return answers

        *parts, answers = self.pool.map(part, range(self.n_jobs))
        for other in parts:
            answers = [_sum(a, b) for a, b in zip(answers, other, strict=True)]
        for i, ask in enumerate(asked):
            if ask.transposed:  # what is made of sums is made in double precision
                answers[i] = answer = answers[i].astype(np.float64, copy=False)
                answer[:, :-1] -= np.outer(answer[:, -1], self.centre)
                answer[:, :-1] *= self.scale
        return answers

    def _for_rows_as_they_lie(self, V: np.ndarray, dtype: type) -> np.ndarray:
        """Return what to multiply rows by as they lie, in place of V."""
        w = self.scale * V[:, :-1]
        return np.column_stack([w, V[:, -1] - w @ self.centre]).astype(dtype)


def divided(n: int, n_parts: int) -> list[slice]:
    """Divide n of something into slices of nearly the same length."""
    return [slice(*edges) for edges in pairwise(n * i // n_parts for i in range(n_parts + 1))]


def _sum(one, other):
    if one is None or other is None:
        return other if one is None else one
    return one + other if isinstance(one, np.ndarray) else tuple(map(np.add, one, other))


def together(rows: Rows, fits: Sequence[Generator[Pass, Any, Any]]) -> list:
    """Run fits at once, so that each pass serves all that wait for one; return their results.

    A fit is a generator. It yields a `Pass` whenever it needs something of the rows, and is sent
    the answer. What is cheaper is answered first: the other passes then serve more fits.
    """
    results, waiting, answers = [None] * len(fits), {}, dict.fromkeys(range(len(fits)))
    while answers:
        for i, answer in answers.items():
            try:
                waiting[i] = fits[i].send(answer)
            except StopIteration as end:
                results[i] = end.value
        cost = {i: (ask.reads_features, np.dtype(ask.dtype).itemsize) for i, ask in waiting.items()}
        now = [i for i in waiting if cost[i] == min(cost.values())]
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
    rows = Rows(X, n_classes, pool, n_jobs)

    def look_at(part: slice) -> tuple[int, np.ndarray]:
        wrong, sums = 0, np.zeros(X.shape[1])
        for block in rows.blocks[part]:
            wrong += count_not_finite(X[block])
            with np.errstate(all="ignore"):  # what is not finite is counted
                sums += X[block].sum(axis=0, dtype=np.float64)
        return wrong, sums

    parts = divided(len(rows.blocks), n_jobs)
    wrong, sums = map(sum, zip(*pool.map(look_at, parts), strict=True))
    refuse_not_finite(wrong, len(X))
    rows.centre += (sums / len(X)).astype(X.dtype)  # so that in its precision it is the same
    square = rows.squared_lengths.mean()
    rows.scale = float(1 / np.sqrt(square)) if square else 1.0
    rows.squared_lengths *= rows.scale**2
    return rows


def copied(rows: Rows, order: np.ndarray) -> Rows:
    """Return the same rows, centred and scaled, in another order and in memory."""
    X = np.empty(rows.shape, rows.X.dtype)
    for block in rows.blocks:
        X[block] = rows.pick(order[block], X.dtype.type)[:, :-1]
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
