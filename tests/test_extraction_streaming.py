from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import fake_network

from pyimagesearch.extraction import finite_features, stream_features
from pyimagesearch.utils.errors import NotResumableError

JOBS, BATCH = 3, 2


@pytest.mark.parametrize(
    ("concurrent", "most"),
    [
        pytest.param(True, 2 * JOBS * BATCH, id="in threads"),
        pytest.param(False, JOBS + 2 * BATCH, id="here"),
    ],
)
def test_few_pictures_are_under_way_and_rows_keep_their_order(concurrent, most):
    network = fake_network(batch_size=BATCH, concurrent=concurrent)
    loaded, rows = [], []

    def load(row: int) -> np.ndarray:
        loaded.append(row)
        return np.full((32, 32, 3), row, np.uint8)

    with ThreadPoolExecutor(JOBS) as pool:
        for features in stream_features(network, load, range(7, 100), pool, JOBS):
            rows.extend(features[:, 0])
            assert len(loaded) - len(rows) <= most
    assert rows == list(range(7, 100))
    assert sorted(loaded) == rows


def batches_with(wrong: float) -> list[np.ndarray]:
    """Return rows 6 to 9 in two batches, with wrong numbers in row 8."""
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows[2, 1:] = wrong
    rows.flags.writeable = False  # as what comes from a cluster
    return [rows[:2], rows[2:]]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_first_image_whose_features_are_not_finite_is_named(wrong):
    paths = [f"cats/{row}.jpg" for row in range(10)]
    features = finite_features(batches_with(wrong), paths, fake_network(), row=6)
    np.testing.assert_array_equal(next(features), [[0, 1, 2], [3, 4, 5]])
    message = "2 of the 3 features of 'cats/8.jpg' are NaN or infinite: 'fake' may have damaged"
    with pytest.raises(NotResumableError, match=message):
        next(features)


def test_features_of_no_image_become_0():
    features = finite_features(batches_with(np.nan), range(10), fake_network(), row=6, blank={8})
    got = np.concatenate(list(features))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [[0, 1, 2], [3, 4, 5], [6, 0, 0], [9, 10, 11]])
