import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from draw import draw_images

from pyimagesearch.io import Unfinished
from pyimagesearch.utils import InputError

PATHS = ["a/a_000.jpg", "b/b_001.jpg", "a/a_001.jpg", "b/b_000.jpg"]
DIGESTS = ["10", "11", "12", "13"]


def unfinished(n_rows, **provenance):
    return Unfinished(Path("f.hdf5.partial"), n_rows, provenance)


def recorded(n_rows=3, ago_s=0.0):
    created = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()
    return unfinished(n_rows, paths=PATHS, digests=DIGESTS, created=created)


@pytest.fixture
def folder(tmp_path):
    draw_images(tmp_path, ["a", "b"], 2)
    time.sleep(0.01)  # until the clock of the file system has moved
    return tmp_path


def test_images_that_are_done_are_known_by_their_digests(folder):
    assert recorded().untouched(folder) == dict(zip(PATHS[:3], DIGESTS[:3], strict=True))


def test_images_of_a_folder_that_was_copied_since_are_read_again(folder):
    assert recorded(ago_s=3600).untouched(folder) == {}


def test_of_a_run_that_began_in_the_future_no_image_is_known_to_be_unchanged(folder):
    assert recorded(ago_s=-3600).untouched(folder) == {}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: os.utime(path, (1e10, 1e10)), id="written"),
        pytest.param(os.unlink, id="gone"),
    ],
)
def test_an_image_that_was_changed_since_is_read_again(folder, change):
    change(folder / PATHS[1])
    assert list(recorded().untouched(folder)) == [PATHS[0], PATHS[2]]


def test_an_image_that_took_the_name_of_another_is_read_again(folder):
    for path in folder.glob("*/*"):
        os.utime(path, (0, 0))
    time.sleep(0.01)  # until the clock of the file system has moved
    earlier = recorded(4)
    time.sleep(0.01)
    (folder / PATHS[1]).rename(folder / "third")
    (folder / PATHS[3]).rename(folder / PATHS[1])
    (folder / "third").rename(folder / PATHS[3])
    assert list(earlier.untouched(folder)) == [PATHS[0], PATHS[2]]


def test_nothing_is_known_where_nothing_is_recorded(folder):
    for provenance in ({"paths": PATHS}, {"paths": PATHS, "digests": DIGESTS, "created": "then"}):
        assert unfinished(3, **provenance).untouched(folder) == {}
    assert unfinished(3, paths=PATHS, digests=DIGESTS[:2]).record.digest_of_path == {}
    unfinished(3, paths=PATHS).require_same_contents(dict(zip(PATHS, DIGESTS, strict=True)))


def test_images_that_changed_since_they_were_recorded_are_refused():
    now = dict(zip(PATHS, ["10", "13", "12", "11"], strict=True))
    with pytest.raises(InputError, match=r"^2 images changed .*, such as 'b/b_001.jpg'"):
        recorded().require_same_contents(now)
    recorded().require_same_contents(dict(zip(PATHS, DIGESTS, strict=True)))
