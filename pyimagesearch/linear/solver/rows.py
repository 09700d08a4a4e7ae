"""The rows to train on, in blocks that fit the cache, and passes over them that fits share."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, reduce
from itertools import pairwise
from typing import Any

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

Block = slice | np.ndarray  # consecutive rows, or indices of rows


class Rows:
    """Rows of numbers, in memory or mapped into it, of which each pass reads block after block.

    The numbers X (n, d) are float32 or float64. From each row the centre (d,) is taken off, so that
    an offset does not use up the digits, and the rest is multiplied by a scale. One more feature is
    always 1: that of the intercepts. X may be a lower triangle, of whose zeros little is read, and
    a factor of what has a ridge more on its diagonal than the products of the rows.
    """

    def __init__(
        self,
        X: np.ndarray,
        n_classes: int,
        pool: ThreadPoolExecutor,
        n_jobs: int,
        lower: bool = False,
        ridge: float = 0.0,
    ):
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

    def _blocks(self, used: np.ndarray) -> list[Block]:
        """Divide rows into blocks of features: slices, or indices if few are used."""
        most = min(BLOCK_BYTES // (4 * self.shape[1]), BLOCK_NUMBERS // self.n_classes)
        if np.count_nonzero(used) >= FEW * len(used):
            return self._divided(len(used), most)
        there = np.flatnonzero(used)
        return [there[part] for part in self._divided(len(there), most)]

    def block(self, rows: Block) -> np.ndarray:
        """Return some rows, neither centred nor scaled: (b, d), or fewer if the rest are 0."""
        if not self.lower:
            return self.X[rows]
        return self.X[rows, : rows.stop if isinstance(rows, slice) else rows.max(initial=0) + 1]

    def pick(self, rows: Block, dtype: type) -> np.ndarray:
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

    def _in_parts(self, blocks: Sequence, of_part: Callable[[list], Any]) -> list:
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

        return [sum(parts) for parts in zip(*self._in_parts(blocks, of_part), strict=True)]

    def scores(self, V: np.ndarray, used: np.ndarray, dtype: type) -> np.ndarray:
        """Multiply weights by the rows, in one pass for several fits: ``V X^T``, (F, K, n).

        V is (F, K, d + 1), `used` (F, n) says which rows matter to each fit. Rows that are not read
        have scores of 0; a block with one that matters is read whole.
        """
        scores = np.zeros((*V.shape[:2], len(self.X)), dtype)
        stacked = self._stacked(V, dtype)

        def of_part(blocks: list[Block]) -> None:
            for rows, fits in served(blocks, used):
                found = scores_of(self.block(rows), stacked(*fits))
                for i, of_fit in zip(fits, found, strict=True):
                    scores[i][:, rows] = of_fit

        self._in_parts(self._blocks(used.any(axis=0)), of_part)
        return scores

    def weighted_sums(
        self,
        weigh: Callable[[int, Block, np.ndarray | None], np.ndarray],
        used: np.ndarray,
        dtype: type,
        V: np.ndarray | None = None,
    ) -> np.ndarray:
        """Sum the rows, weighted by a function, in one pass for several fits: ``Y X``.

        It returns Y (K, b), given the index of a fit, a block, and the block's scores (K, b), which
        are None without weights V (F, K, d + 1). Sums are (F, K, d + 1) float64.
        """
        shape = len(used), self.n_classes, self.shape[1] + 1
        stacked = None if V is None else self._stacked(V, dtype)

        def add_block(rows: Block, fits: np.ndarray, sums: np.ndarray) -> None:
            X = self.block(rows)  # (b, d)
            if X.size * np.dtype(dtype).itemsize <= 2 * BLOCK_BYTES:
                X = X.astype(dtype, copy=False)  # once for both products, where that is cached
            scores = [None] * len(fits) if V is None else scores_of(X, stacked(*fits))
            Y = np.stack([weigh(i, rows, Z) for i, Z in zip(fits, scores, strict=True)])
            Y = Y.reshape(-1, Y.shape[2]).astype(dtype, copy=False)  # (K for each fit, b)
            for tile in tiles(X):
                products = np.split(Y @ X[:, tile].astype(dtype, copy=False), len(fits))
                for i, product in zip(fits, products, strict=True):
                    sums[i, :, tile] += product
            sums[fits, :, -1] += Y.sum(axis=1).reshape(len(fits), -1)

        def of_part(blocks: list[Block]) -> np.ndarray:
            sums = np.zeros(shape, dtype)
            for rows, fits in served(blocks, used):
                add_block(rows, fits, sums)
            return sums

        parts = self._in_parts(self._blocks(used.any(axis=0)), of_part)
        sums = reduce(np.add, parts, np.zeros(shape))  # in double precision
        sums[..., :-1] -= sums[..., -1:] * self.centre
        sums[..., :-1] *= self.scale
        return sums

    def _stacked(self, V: np.ndarray, dtype: type) -> Callable[..., np.ndarray]:
        """Return a function: the weights of some fits, to multiply rows by as they lie."""
        w = self.scale * V[..., :-1]
        W = np.concatenate([w, V[..., -1:] - (w @ self.centre)[..., None]], axis=2).astype(dtype)
        return cache(lambda *fits: W if len(fits) == len(W) else W[list(fits)])


def divided(n: int, n_parts: int) -> list[slice]:
    """Divide n of something into slices of nearly the same length."""
    return [slice(*edges) for edges in pairwise(n * i // n_parts for i in range(n_parts + 1))]


def served(blocks: Sequence[Block], used: np.ndarray) -> Iterator[tuple[Block, np.ndarray]]:
    """Yield blocks with the indices of the fits that use some of their rows, if there are any."""
    for rows in blocks:
        fits = np.flatnonzero(used[:, rows].any(axis=1))
        if len(fits):
            yield rows, fits


def tiles(X: np.ndarray) -> list[slice]:
    """Divide features into as many as are multiplied at a time."""
    return divided(X.shape[1], -(-X.shape[1] // TILE))


def scores_of(X: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Multiply stacked weights (F, K, d + 1) by rows (b, d) as they lie: (F, K, b)."""
    flat = W.reshape(-1, W.shape[2])
    products = (X[:, tile].astype(W.dtype, copy=False) @ flat[:, tile].T for tile in tiles(X))
    scores = np.add(reduce(np.add, products).T, flat[:, -1:], order="C")
    return scores.reshape(*W.shape[:2], -1)


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


def reordered(rows: Rows, order: np.ndarray) -> Rows:
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
