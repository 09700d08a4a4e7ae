import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from pyimagesearch.preprocessing import EarlierRows, check_images, list_labelled_images, load_image
from pyimagesearch.utils import InputError


def checked(folder, known=None):
    known = known or {}
    calls = []
    images = list_labelled_images(folder)
    found = check_images(images, 2, lambda: calls.append(1), EarlierRows(known))
    assert len(calls) == len(images) - len(known)
    return found


def test_readable_images_are_loaded_by_row(image_folder):
    found = checked(image_folder)
    assert not found.bad
    for row, path in enumerate(found.images.paths):
        expected = load_image(image_folder / path, (32, 40))
        np.testing.assert_array_equal(found.pixels(row, (32, 40)), expected)


def test_bad_images_are_named_and_skipped(image_folder):
    (image_folder / "cats" / "cats_000.jpg").write_bytes(b"")
    (image_folder / "dogs" / "dogs_001.jpg").write_text("<html>")
    found = checked(image_folder)
    assert sorted(found.bad) == ["cats/cats_000.jpg", "dogs/dogs_001.jpg"]
    assert "empty" in found.bad["cats/cats_000.jpg"]
    assert len(found.images) == 13
    assert not set(found.bad) & set(found.images.paths)


def test_an_image_that_has_changed_since_the_check_is_refused(image_folder):
    found = checked(image_folder)
    path = found.images.absolute_path(3)
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(InputError, match="has changed since it was checked"):
        found.pixels(3, (32, 32))


def test_an_image_that_was_written_again_is_refused(image_folder):
    found = checked(image_folder)
    os.utime(found.images.absolute_path(3), ns=(0, 0))
    with pytest.raises(InputError, match="has changed since it was checked"):
        found.pixels(3, (32, 32))


def test_an_image_that_is_gone_is_named(image_folder):
    found = checked(image_folder)
    found.images.absolute_path(3).unlink()
    with pytest.raises(InputError, match=r"\.jpg' cannot be read"):
        found.pixels(3, (32, 32))


def test_a_size_of_none_keeps_that_of_the_image(image_folder):
    path = next(image_folder.rglob("*.jpg"))
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_image(path, size=None), np.asarray(image))


def test_the_contents_are_digested(image_folder):
    found = checked(image_folder)
    path = found.images.paths[3]
    contents = (image_folder / path).read_bytes()
    assert found.digests[path] == hashlib.blake2b(contents, digest_size=8).hexdigest()
    assert len(set(found.digests.values())) == len(found.images)
    joined = "".join(found.digests[path] for path in found.images.paths)
    assert found.contents_sha256 == hashlib.sha256(joined.encode()).hexdigest()


def test_a_broken_link_is_named_like_a_bad_image(image_folder):
    (image_folder / "birds").symlink_to("gone")
    found = checked(image_folder)
    assert found.bad == {"birds": "it is a link to 'gone', which does not exist"}
    assert len(found.images) == 15


def test_duplicates_are_put_side_by_side(image_folder):
    names = list_labelled_images(image_folder).paths
    (image_folder / names[9]).write_bytes((image_folder / names[2]).read_bytes())
    ordered = checked(image_folder).images.paths
    assert abs(ordered.index(names[9]) - ordered.index(names[2])) == 1


def test_an_image_that_is_known_is_not_read_again(image_folder):
    whole = checked(image_folder)
    path = whole.images.paths[4]
    (image_folder / path).write_bytes(b"no image any longer")
    found = checked(image_folder, known={path: whole.digests[path]})
    assert not found.bad
    assert found.digests == whole.digests
    assert found.stamps[path].n_bytes == len(b"no image any longer")
