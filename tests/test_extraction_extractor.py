"""Features in order, in little memory, and none that is not a number."""

import numpy as np
import pytest
from conftest import fake_network

from pyimagesearch.extraction import open_extractor
from pyimagesearch.utils.errors import NotResumableError

JOBS, BATCH = 3, 2


class DrawnImages:
    """Images whose pixels are the number of their row, but for some that are given."""

    def __init__(self, unreadable=()):
        self.loaded = []
        self.unreadable = dict.fromkeys(unreadable, "wrong")

    def name(self, row: int) -> str:
        return f"cats/{row}.jpg"

    def pixels(self, row: int, size: tuple[int, int]) -> np.ndarray:
        self.loaded.append(row)
        return np.full((*size, 3), row, np.uint8)


@pytest.mark.parametrize(
    ("concurrent", "most"),
    [
        pytest.param(True, 2 * JOBS * BATCH, id="in threads"),
        pytest.param(False, JOBS + 2 * BATCH, id="here"),
    ],
)
def test_few_images_are_under_way_and_rows_keep_their_order(concurrent, most):
    images, rows = DrawnImages(), []
    network = fake_network(batch_size=BATCH, concurrent=concurrent)
    with open_extractor(network, jobs=JOBS) as extractor:
        for features in extractor.features(images, range(7, 100)):
            rows.extend(features[:, 0])
            assert len(images.loaded) - len(rows) <= most
    assert rows == list(range(7, 100))
    assert sorted(images.loaded) == rows


def network_with(wrong: float):
    """Return a network that gives three numbers, two of them wrong for row 8."""
    network = fake_network(batch_size=BATCH, concurrent=False)

    def compute(batch: np.ndarray) -> np.ndarray:
        features = batch[:, 0, :3, 0].astype(np.float32)
        features[features[:, 0] == 8, 1:] = wrong
        features.flags.writeable = False  # as what comes from a cluster
        return features

    network.compute = compute
    return network


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_first_image_whose_features_are_not_finite_is_named(wrong):
    with open_extractor(network_with(wrong)) as extractor:
        features = extractor.features(DrawnImages(), range(6, 10))
        np.testing.assert_array_equal(next(features), [[6, 6, 6], [7, 7, 7]])
        message = "2 of the 3 features of 'cats/8.jpg' are NaN or infinite: 'fake' may have damaged"
        with pytest.raises(NotResumableError, match=message):
            next(features)


def test_features_of_an_image_that_cannot_be_read_may_be_anything():
    with open_extractor(network_with(np.nan)) as extractor:
        got = np.concatenate(list(extractor.features(DrawnImages([8]), range(6, 10))))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[:, 0], [6, 7, 8, 9])
    assert np.isfinite(got).all()
