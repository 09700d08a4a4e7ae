from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import fake_network

from pyimagesearch.extraction import stream_features

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
