"""Passes over the rows: what they compute, and that fits share them."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pyimagesearch.linear import rows as module
from pyimagesearch.linear.rows import Pass, Rows, centred, copied, together
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


def there_and_back(used, V, dtype):
    """Ask for (2 V X^T) X, of the rows that are used."""
    return (yield Pass(used, dtype, V, lambda rows, scores: 2 * scores * used[rows]))


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_pass_multiplies_by_the_rows_and_by_their_transpose(
    pool, small_blocks, dtype, rtol, in_memory
):
    X = random_rows()
    rows, order = centred(X, 3, pool, 2), np.arange(len(X))
    if in_memory:
        order = order[::-1]
        rows = copied(rows, order)
    assert len(rows.blocks) == 8
    V = np.random.default_rng(1).standard_normal((3, 8))
    used = np.arange(100) % 3 > 0
    (found,) = together(rows, [there_and_back(used, V, dtype)])
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
    (found,) = together(rows, [there_and_back(np.ones(64, bool), V, np.float64)])
    Z = np.hstack([X, np.ones((64, 1))])
    np.testing.assert_allclose(found, (2 * (V @ Z.T)) @ Z, rtol=1e-10)


def test_fits_that_wait_share_a_pass(pool, small_blocks, monkeypatch):
    rows, made = centred(random_rows(), 2, pool, 2), []
    make_pass = Rows.make_pass

    def counting(self, asked):
        made.append(len(asked))
        return make_pass(self, asked)

    monkeypatch.setattr(Rows, "make_pass", counting)
    every, V = np.ones(100, bool), np.ones((2, 8))

    def fit(n_single, n_double):
        for dtype in [np.float32] * n_single + [np.float64] * n_double:
            scores = yield Pass(every, dtype, V)
            assert scores.dtype == dtype
        return n_single + n_double

    assert together(rows, [fit(3, 2), fit(1, 2), fit(1, 1)]) == [5, 3, 2]
    # The first fit's passes in single precision are made before the others' in double.
    assert made == [3, 1, 1, 3, 2]


def test_passes_for_scores_and_for_gradients_are_made_at_once(pool, small_blocks):
    X = random_rows()
    rows, Z = centred(X, 3, pool, 2), by_hand(X)
    random, every, half = np.random.default_rng(1), np.ones(100, bool), np.arange(100) < 48
    V, Y = random.standard_normal((3, 8)), random.standard_normal((3, 100)) * half
    scores, gradient, both = rows.make_pass(
        [
            Pass(every, V=V),
            Pass(half, task=lambda rows, scores: Y[:, rows]),
            Pass(half, np.float64, V, lambda rows, scores: scores * half[rows]),
        ]
    )
    np.testing.assert_allclose(scores, V @ Z.T)
    np.testing.assert_allclose(gradient, Y @ Z)
    np.testing.assert_allclose(both, (V @ Z.T * half) @ Z)


def test_where_few_rows_are_used_no_others_are_read(pool, small_blocks, monkeypatch):
    rows, read = Rows(random_rows(64), 2, pool, 2), []
    block = Rows.block
    monkeypatch.setattr(Rows, "block", lambda self, rows: read.append(rows) or block(self, rows))
    used = np.arange(64) % 3 == 1
    together(rows, [there_and_back(used, np.ones((2, 8)), np.float64)])
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
