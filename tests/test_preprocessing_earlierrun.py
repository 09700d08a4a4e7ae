import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from draw import draw_images

from pyimagesearch.preprocessing import EarlierRun
from pyimagesearch.preprocessing.decoding import AS_STORED
from pyimagesearch.utils import InputError

PATHS = ["a/a_000.jpg", "b/b_001.jpg", "a/a_001.jpg", "b/b_000.jpg"]
DIGESTS = ["10", "11", "12", "13"]


def recorded(n_rows=3, ago_s=0.0):
    created = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()
    return EarlierRun.recorded({"paths": PATHS, "digests": DIGESTS, "created": created}, n_rows)


@pytest.fixture
def folder(tmp_path):
    draw_images(tmp_path, ["a", "b"], 2)
    time.sleep(0.01)  # until the clock of the file system has moved
    return tmp_path


def test_pictures_that_are_done_are_known_by_their_digests(folder):
    assert recorded().untouched(folder) == dict(zip(PATHS[:3], DIGESTS[:3], strict=True))


def test_pictures_of_a_folder_that_was_copied_since_are_read_again(folder):
    assert recorded(ago_s=3600).untouched(folder) == {}


def test_a_run_that_began_in_the_future_tells_nothing_of_what_has_changed_since(folder):
    assert recorded(ago_s=-3600).untouched(folder) == {}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: os.utime(path, (1e10, 1e10)), id="written"),
        pytest.param(os.unlink, id="gone"),
    ],
)
def test_a_picture_that_was_changed_since_is_read_again(folder, change):
    change(folder / PATHS[1])
    assert list(recorded().untouched(folder)) == [PATHS[0], PATHS[2]]


def test_a_picture_that_took_the_name_of_another_is_read_again(folder):
    for path in folder.glob("*/*"):
        os.utime(path, (0, 0))
    time.sleep(0.01)  # until the clock of the file system has moved
    began = time.time()
    earlier = EarlierRun(dict(zip(PATHS, DIGESTS, strict=True)), 4, began)
    time.sleep(0.01)
    (folder / PATHS[1]).rename(folder / "third")
    (folder / PATHS[3]).rename(folder / PATHS[1])
    (folder / "third").rename(folder / PATHS[3])
    assert list(earlier.untouched(folder)) == [PATHS[0], PATHS[2]]


def test_nothing_is_known_where_nothing_is_recorded(folder):
    earlier = EarlierRun.recorded({"paths": PATHS}, 3)
    assert earlier == EarlierRun(decoding=AS_STORED)  # as 1.0.0 read its images
    assert earlier.untouched(folder) == {}
    earlier.require_same(dict(zip(PATHS, DIGESTS, strict=True)))


def test_other_pictures_than_were_recorded_are_refused():
    now = dict(zip(PATHS, ["10", "13", "12", "11"], strict=True))
    with pytest.raises(InputError, match=r"^2 pictures are .*, such as 'b/b_001.jpg'"):
        recorded().require_same(now)
    recorded().require_same(dict(zip(PATHS, DIGESTS, strict=True)))
