import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pyimagesearch.preprocessing import check_images, list_labelled_images, load_image
from pyimagesearch.utils import InputError


def checked(folder):
    calls = []
    with ThreadPoolExecutor(2) as pool:
        images = list_labelled_images(folder)
        found = check_images(images, pool, 4, lambda: calls.append(1))
    assert len(calls) == len(images)
    return found


def test_readable_pictures_are_loaded_by_row(image_folder):
    found = checked(image_folder)
    assert not found.bad
    for row, path in enumerate(found.images.paths):
        expected = load_image(image_folder / path, (32, 40))
        np.testing.assert_array_equal(found.load(row, (32, 40)), expected)


def test_bad_pictures_are_named_and_left_out(image_folder):
    (image_folder / "cats" / "cats_000.jpg").write_bytes(b"")
    (image_folder / "dogs" / "dogs_001.jpg").write_text("<html>")
    found = checked(image_folder)
    assert sorted(found.bad) == ["cats/cats_000.jpg", "dogs/dogs_001.jpg"]
    assert "empty" in found.bad["cats/cats_000.jpg"]
    assert len(found.images) == 13
    assert not set(found.bad) & set(found.images.paths)


def test_a_picture_that_is_another_than_was_checked_is_refused(image_folder):
    found = checked(image_folder)
    path = found.images.absolute_path(3)
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(InputError, match="has changed since it was checked"):
        found.load(3, (32, 32))


def test_a_picture_that_was_written_again_is_refused(image_folder):
    found = checked(image_folder)
    os.utime(found.images.absolute_path(3), ns=(0, 0))
    with pytest.raises(InputError, match="has changed since it was checked"):
        found.load(3, (32, 32))


def test_a_picture_that_is_gone_is_named(image_folder):
    found = checked(image_folder)
    found.images.absolute_path(3).unlink()
    with pytest.raises(InputError, match=r"\.jpg' cannot be read"):
        found.load(3, (32, 32))


def test_a_size_of_none_keeps_that_of_the_picture(image_folder):
    path = next(image_folder.rglob("*.jpg"))
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_image(path, size=None), np.asarray(image))
