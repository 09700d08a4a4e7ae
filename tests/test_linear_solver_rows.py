"""Passes over the rows: what they compute for several fits at once, and what they read."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pyimagesearch.linear.solver import rows as module
from pyimagesearch.linear.solver.rows import Rows, centred, reordered
from pyimagesearch.utils import InputError


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    monkeypatch.setattr(module, "LEAST_ROWS", 16)
    monkeypatch.setattr(module, "TILE", 3)


def random_rows(n_rows=100, n_features=7, dtype=np.float64):
    X = np.random.default_rng(0).standard_normal((n_rows, n_features)) * 30 + 100
    return X.astype(dtype)


def by_hand(X):
    """Return rows as `centred` should have them, with the feature of the intercepts."""
    X = X - X.mean(axis=0, dtype=np.float64)
    X /= np.sqrt(np.square(X).sum() / len(X))
    return np.hstack([X, np.ones((len(X), 1))])


def there_and_back(rows, used, V, dtype):
    """Return (2 V X^T) X, of the rows that are used."""
    (found,) = rows.weighted_sums(
        lambda _, block, scores: 2 * scores * used[block], used[None], dtype, V[None]
    )
    return found


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_pass_multiplies_by_the_rows_and_by_their_transpose(
    pool, small_blocks, dtype, rtol, in_memory
):
    X = random_rows()
    rows, order = centred(X, 3, pool, 2), np.arange(len(X))
    if in_memory:
        order = order[::-1]
        rows = reordered(rows, order)
    assert len(rows.blocks) == 8
    V = np.random.default_rng(1).standard_normal((3, 8))
    used = np.arange(100) % 3 > 0
    found = there_and_back(rows, used, V, dtype)
    assert found.dtype == np.float64
    Z = by_hand(X)[order]
    expected = (2 * (V @ Z.T) * used) @ Z
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    np.testing.assert_allclose(rows.squared_lengths + 1, np.square(Z).sum(axis=1), rtol=1e-9)


def test_a_lower_triangle_is_read_without_its_zeros(pool, small_blocks):
    X = np.tril(random_rows(64, 64))
    rows = Rows(X, 2, pool, 2, lower=True)
    assert [rows.block(block).shape[1] for block in rows.blocks] == [16, 32, 48, 64]
    V = np.random.default_rng(1).standard_normal((2, 65))
    found = there_and_back(rows, np.ones(64, bool), V, np.float64)
    Z = np.hstack([X, np.ones((64, 1))])
    np.testing.assert_allclose(found, (2 * (V @ Z.T)) @ Z, rtol=1e-10)


def test_a_pass_serves_several_fits_each_with_rows_of_its_own(pool, small_blocks, monkeypatch):
    X = random_rows()
    rows, Z, read = centred(X, 3, pool, 2), by_hand(X), []
    V = np.random.default_rng(1).standard_normal((2, 3, 8))
    used = np.stack([np.ones(100, bool), np.arange(100) < 50])  # blocks of 12 or 13 rows
    block = Rows.block
    monkeypatch.setattr(Rows, "block", lambda self, rows: read.append(rows) or block(self, rows))

    def weigh(i, block, scores):
        return (i + 1) * scores * used[i, block]

    for dtype, rtol in [(np.float32, 1e-4), (np.float64, 1e-10)]:
        scores = rows.scores(V, used, dtype)
        assert scores.dtype == dtype
        np.testing.assert_allclose(scores, (V @ Z.T) * used[:, None], rtol=rtol, atol=rtol)
        sums = rows.weighted_sums(weigh, used, dtype, V)
        expected = (V @ Z.T * used[:, None] * [[[1]], [[2]]]) @ Z
        np.testing.assert_allclose(sums, expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    assert len(read) == 4 * 8


def test_blocks_that_no_fit_uses_are_not_read(pool, small_blocks):
    X = random_rows()
    rows, Z, V = centred(X, 3, pool, 2), by_hand(X), np.ones((1, 3, 8))
    used = np.arange(100)[None] >= 12  # the first of 8 blocks is not
    scores = rows.scores(V, used, np.float64)
    np.testing.assert_allclose(scores, V @ Z.T * used, atol=1e-12)
    sums = rows.weighted_sums(lambda _, block, scores: scores, used, np.float64, V)
    np.testing.assert_allclose(sums, scores @ Z, atol=1e-9)


def test_sums_are_of_what_a_function_returns_where_no_scores_are_needed(pool, small_blocks):
    X = random_rows()
    rows, Y = centred(X, 3, pool, 2), np.random.default_rng(1).standard_normal((3, 100))
    half = np.arange(100) < 50
    (sums,) = rows.weighted_sums(lambda _, block, __: (Y * half)[:, block], half[None], np.float64)
    np.testing.assert_allclose(sums, (Y * half) @ by_hand(X))


def test_where_few_rows_are_used_no_others_are_read(pool, small_blocks, monkeypatch):
    rows, read = Rows(random_rows(64), 2, pool, 2), []
    block = Rows.block
    monkeypatch.setattr(Rows, "block", lambda self, rows: read.append(rows) or block(self, rows))
    used = np.arange(64) % 3 == 1
    there_and_back(rows, used, np.ones((2, 8)), np.float64)
    np.testing.assert_array_equal(np.unique(np.concatenate(read)), np.flatnonzero(used))


def test_the_mean_is_taken_without_keeping_the_sums_of_all_blocks(pool, small_blocks):
    X = random_rows(3200, 4000, np.float32)  # 200 blocks, each with sums of 32 kB
    tracemalloc.start()
    try:
        rows = centred(X, 3, pool, 2)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(rows.centre, X.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert peak_bytes < 200 * 4000 * 8 / 2


def test_infinities_of_both_signs_are_refused_without_a_warning(pool, small_blocks):
    X = random_rows(320, dtype=np.float32)
    X[::32, 0], X[16::32, 0] = np.inf, -np.inf  # in other blocks
    with pytest.raises(InputError, match=r"^20 of 320 rows .*not finite"):
        centred(X, 3, pool, 2)
