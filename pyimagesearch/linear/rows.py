"""The rows to train on, in blocks that fit the cache, and passes over them that fits share."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pyimagesearch.utils import InputError

BLOCK_BYTES = 2 * 2**20  # of features in single precision: what stays in the cache
BLOCK_NUMBERS = 2**17  # of scores in double precision: 1 MB, which stays in the cache
LEAST_ROWS = 64  # of a block: products of fewer with few columns take twice as long
TILE = 2048  # features multiplied at a time: 64 rows of them in double precision stay in the cache
FEW = 0.8  # of the rows: fewer are copied out, which the rows not multiplied make up for
SMALLEST, LARGEST = 1e-37, 1e150  # features: neither their scale nor their square overflows
NEAR = 10.0  # lengths of a centred row: single precision may take so near a centre off products
LEAST_SCALE = 1e-30  # below it, or above its inverse, single precision overflows
COPY_BYTES = 256 * 2**20  # of features are copied into memory, in the order of the folds


class Pass(NamedTuple):
    """What a fit asks of a pass over the rows: scores, a gradient, or a gradient made of scores.

    The answer to V are the scores ``V X^T``, (K, n), 0 in rows that were not read; that to a task
    is ``Y X``, (K, d + 1) float64, of what the task returns, Y (K, b), for each block of rows and
    its scores, (K, b), or None without V.
    """

    used: np.ndarray  # (n,) bool, the rows that matter: a block with one of them is read whole
    dtype: type = np.float64  # of the products of matrices
    V: np.ndarray | None = None  # (K, d + 1); the last feature is that of the intercepts, always 1
    task: Callable[[slice | np.ndarray, np.ndarray | None], np.ndarray] | None = None


class Rows:
    """Rows of numbers, in memory or mapped into it, of which each pass reads block after block.

    The numbers X (n, d) are float32 or float64. From each row the centre (d,) is taken off, so that
    an offset does not use up the digits, and the rest is multiplied by a scale. X may be a lower
    triangle, of whose zeros little is read, and a factor of what has a ridge more on its diagonal
    than the products of the rows.
    """

    def __init__(self, X, n_classes, pool, n_jobs, lower=False, ridge=0.0):
        self.X, self.n_classes, self.lower, self.ridge = X, n_classes, lower, ridge
        self.pool, self.n_jobs = pool, n_jobs
        n, d = self.shape = X.shape
        self.centre, self.scale = np.zeros(d), 1.0
        self.score_blocks = self._divided(n, BLOCK_NUMBERS // n_classes)
        self.blocks = self._blocks(np.ones(n, bool))

    @property
    def single(self) -> type:
        """Single precision; or double, where a far centre or scale would be too much for it."""
        near = self.scale * np.linalg.norm(self.centre) <= NEAR
        return np.float32 if near and LEAST_SCALE < self.scale < 1 / LEAST_SCALE else np.float64

    def _divided(self, n: int, most: int) -> list[slice]:
        """Divide n rows into blocks of a size, as many for each thread."""
        both = 2 * self.n_jobs
        return divided(n, both * max(1, -(-n // (max(most, LEAST_ROWS) * both))))

    def _blocks(self, used: np.ndarray) -> list[slice | np.ndarray]:
        """Divide rows into blocks of features: slices, or indices if few are used."""
        most = min(BLOCK_BYTES // (4 * self.shape[1]), BLOCK_NUMBERS // self.n_classes)
        if np.count_nonzero(used) >= FEW * len(used):
            return self._divided(len(used), most)
        there = np.flatnonzero(used)
        return [there[part] for part in self._divided(len(there), most)]

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

    def in_parts(self, blocks: Sequence, of_part: Callable[[list], Any]) -> list:
        """Return what a function returns for each thread's part of the blocks.

        Of a triangle each block takes longer than the last: up and down, parts are equal.
        """
        both = 2 * self.n_jobs
        parts = [blocks[i::both] + blocks[both - 1 - i :: both] for i in range(self.n_jobs)]
        return list(self.pool.map(of_part, filter(None, parts)))

    def summed(self, blocks: Sequence, of_block: Callable[[Any], tuple]) -> list:
        """Sum each of what a function returns, over all blocks."""

        def of_part(part: list) -> list:
            return reduce(lambda sums, found: list(map(np.add, sums, found)), map(of_block, part))

        return [sum(parts) for parts in zip(*self.in_parts(blocks, of_part), strict=True)]

    def make_pass(self, asked: Sequence[Pass]) -> list[np.ndarray]:
        """Make one pass for all that is asked, in one precision; return an answer to each."""
        (n, d), dtype = self.shape, asked[0].dtype
        V = [None if ask.V is None else self._for_rows_as_they_lie(ask.V, dtype) for ask in asked]
        side_by_side = cache(lambda which: np.vstack([V[i] for i in which]))
        answers = [None if ask.task else np.zeros((len(ask.V), n), dtype) for ask in asked]

        def add_block(rows: slice | np.ndarray, products: dict[int, np.ndarray]) -> None:
            X = self.block(rows)  # (b, d)
            tiles = divided(X.shape[1], -(-X.shape[1] // TILE))  # of features
            used = [i for i, ask in enumerate(asked) if ask.used[rows].any()]
            scored = tuple(i for i in used if V[i] is not None)
            scores = dict.fromkeys(used)  # (K, b) for each
            if scored:
                W = side_by_side(scored)  # (K for each, d + 1)
                parts = (X[:, tile].astype(dtype, copy=False) @ W[:, tile].T for tile in tiles)
                Z = np.add(reduce(np.add, parts).T, W[:, -1:], order="C")  # (K for each, b)
                scores |= zip(scored, np.split(Z, len(scored)), strict=True)
            Y = {i: asked[i].task(rows, scores[i]) for i in used if asked[i].task}  # (K, b) each
            for i in set(used).difference(Y):
                answers[i][:, rows] = scores[i]
            if Y:
                stacked = np.vstack(list(Y.values())).astype(dtype, copy=False)  # (K for each, b)
                for tile in tiles:
                    YX = stacked @ X[:, tile].astype(dtype, copy=False)  # (K for each, t)
                    for i, product in zip(Y, np.split(YX, len(Y)), strict=True):
                        products[i][:, tile] += product
                for i in Y:
                    products[i][:, -1] += Y[i].sum(axis=1)

        def of_part(blocks: list) -> dict[int, np.ndarray]:
            shape = self.n_classes, d + 1
            products = {i: np.zeros(shape, dtype) for i, ask in enumerate(asked) if ask.task}
            for rows in blocks:
                add_block(rows, products)
            return products

        blocks = self._blocks(np.any([ask.used for ask in asked], axis=0))
        parts = self.in_parts(blocks, of_part)
        for i in parts[0]:  # what is made of sums is made in double precision
            product = reduce(np.add, [part[i] for part in parts]).astype(np.float64, copy=False)
            product[:, :-1] -= np.outer(product[:, -1], self.centre)
            product[:, :-1] *= self.scale
            answers[i] = product
        return answers

    def _for_rows_as_they_lie(self, V: np.ndarray, dtype: type) -> np.ndarray:
        """Return what to multiply rows by as they lie, in place of V."""
        w = self.scale * V[:, :-1]
        return np.column_stack([w, V[:, -1] - w @ self.centre]).astype(dtype)


def divided(n: int, n_parts: int) -> list[slice]:
    """Divide n of something into slices of nearly the same length."""
    return [slice(*edges) for edges in pairwise(n * i // n_parts for i in range(n_parts + 1))]


def together(rows: Rows, fits: Sequence[Generator[Pass, Any, Any]]) -> list:
    """Run fits at once, so that each pass serves all that wait for one; return their results.

    A fit is a generator. It yields a `Pass` whenever it needs something of the rows, and is sent
    the answer. Passes in single precision are made first, so that fits that lag behind catch up and
    share the others.
    """
    results, waiting, answers = [None] * len(fits), {}, dict.fromkeys(range(len(fits)))
    while answers:
        for i, answer in answers.items():
            try:
                waiting[i] = fits[i].send(answer)
            except StopIteration as end:
                results[i] = end.value
        sizes = {i: np.dtype(ask.dtype).itemsize for i, ask in waiting.items()}
        now = [i for i in waiting if sizes[i] == min(sizes.values())]
        found = rows.make_pass([waiting.pop(i) for i in now]) if now else []
        answers = dict(zip(now, found, strict=True))
    return results


def centred(X: np.ndarray, n_classes: int, pool: ThreadPoolExecutor, n_jobs: int) -> Rows:
    """Return rows less their mean, scaled to a mean squared length of 1, where they lie.

    So single precision is safe at any scale, and the intercepts are one more feature, always 1.

    Raises
    ------
    InputError
        If features are not finite, and in how many rows; or they are too large or small.
    """
    rows = Rows(X, n_classes, pool, n_jobs)

    def look_at(block: slice) -> tuple[int, np.ndarray]:
        wrong = count_not_finite(X[block])
        if wrong:  # it will be refused, and what is not finite cannot be added up without a warning
            return wrong, np.zeros(X.shape[1])
        return wrong, X[block].sum(axis=0, dtype=np.float64)

    wrong, sums = rows.summed(rows.blocks, look_at)
    refuse_not_finite(wrong, len(X))
    rows.centre += (sums / len(X)).astype(X.dtype)  # so that in its precision it is the same
    square = rows.squared_lengths.mean()
    size = np.sqrt(square / X.shape[1])
    if size and not SMALLEST < size < LARGEST:
        raise InputError(
            f"features are of size {size:.0e}, expected {SMALLEST:.0e} to {LARGEST:.0e}: scale them"
        )
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
    """Return how many rows hold a feature that is not finite."""
    with np.errstate(all="ignore"):  # one number per row, so that no copy of the features is made
        sums = np.einsum("ij->i", rows, dtype=np.float64)
    return int(np.count_nonzero(~np.isfinite(sums)))


def refuse_not_finite(wrong: int, n_rows: int) -> None:
    """Raise `InputError` if any of the rows is wrong."""
    if wrong:
        raise InputError(
            f"{wrong:,} of {n_rows:,} rows hold features that are not finite: extract them again"
        )
