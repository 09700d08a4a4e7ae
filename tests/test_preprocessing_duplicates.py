import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_preprocessing_nearduplicates import VARIANTS, photograph

from pyimagesearch.preprocessing import Duplicates, LabelledImages
from pyimagesearch.preprocessing.duplicates import (
    contradictions,
    duplicate_notes,
    find_duplicates,
)
from pyimagesearch.preprocessing.nearduplicates import thumbnail


def listed(contents, classes="a"):
    """Return one image a letter of `contents`, and their digests; equal letters are duplicates."""
    paths = [f"{classes[i % len(classes)]}/{i}" for i in range(len(contents))]
    labels = np.arange(len(paths)) % len(classes)
    images = LabelledImages(Path(), tuple(paths), labels, tuple(classes))
    return images, dict(zip(paths, contents, strict=True))


def notes(images, digests, duplicates=None):
    return duplicate_notes(images, digests, duplicates or Duplicates())


def warnings(images, digests, duplicates=None):
    return contradictions(images, digests, duplicates or Duplicates())


def test_duplicates_within_a_class_are_counted():
    images, digests = listed("xyxyxz", classes="ab")  # x: a a a, y: b b, z: b
    assert notes(images, digests) == [
        "duplicates: 3 of 6 images repeat another of their class byte for byte; "
        "duplicates stay on the same side of the split"
    ]
    assert warnings(images, digests) == []
    assert notes(*listed("uvw")) == []


def test_duplicates_in_several_classes_are_contradictions():
    images, digests = listed("xxyzzz", classes="ab")
    assert warnings(images, digests) == [
        f"the same image is in 2 classes: {paths}; keep it in the right one only"
        for paths in ("'a/0', 'b/1'", "'b/3', 'a/4'")
    ]
    assert notes(images, digests)[0].startswith("duplicates: 1 of 6 images repeat")  # b/3, b/5


def test_no_more_than_five_contradictions_are_named():
    lines = warnings(*listed("ttuuvvwwxxyyzz", classes="ab"))
    assert len(lines) == 6
    assert lines[-1] == "2 more images are in several classes"


def test_near_duplicates_are_counted_and_those_in_two_classes_are_named():
    images, digests = listed("uvwxy", classes="ab")
    group_of = {"a/0": "a/0", "a/2": "a/0", "b/1": "a/0", "b/3": "b/3", "a/4": "b/3"}
    near = (("a/0", "a/2", False), ("a/0", "b/1", True), ("a/4", "b/3", False))
    found = Duplicates(group_of, near)
    assert notes(images, digests, found) == [
        "near duplicates: 3 images repeat another one (saved again or resized, 1 of them "
        "mirrored); duplicates stay on the same side of the split"
    ]
    assert warnings(images, digests, found) == [
        f"{pair} look like the same image, in 2 classes: keep it in the right one only"
        for pair in ("'a/0' and 'b/1'", "'a/4' and 'b/3'")
    ]


def test_exact_and_near_duplicates_are_one_group_in_any_order():
    photographs = [photograph(0), photograph(1), VARIANTS["as PNG"](photograph(1))]
    small = {
        name: np.asarray(thumbnail(image)) for name, image in zip("xyz", photographs, strict=True)
    }
    images, digests = listed("yxzyx")
    expected = {"a/0": "a/0", "a/2": "a/0", "a/3": "a/0", "a/1": "a/1", "a/4": "a/1"}
    for paths in (images.paths, images.paths[::-1]):
        thumbnails = np.stack([small[digests[path]] for path in paths])
        found = find_duplicates(paths, digests, thumbnails)
        assert found.group_of == expected
        assert found.near == (("a/0", "a/2", False),)
        assert found.groups(["a/3", "a/9", "a/0"]) == [[0, 2]]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_image_that_a_flag_turns_is_found(tmp_path, orientation):
    from pyimagesearch.preprocessing.imageloader import TURNS, inspect_image

    def saved(name, image, **options):
        image.save(tmp_path / name, quality=90, **options)
        return inspect_image(tmp_path / name).thumbnail

    back = {6: 8, 8: 6}.get(orientation, orientation)  # the turn that undoes it
    lying = photograph(0).transpose(TURNS[back])
    exif = Image.Exif()
    exif[0x112] = orientation
    thumbnails = np.stack([saved("a.jpg", photograph(0)), saved("b.jpg", lying, exif=exif)])
    digests = {"a.jpg": "1", "b.jpg": "2"}
    found = find_duplicates(["a.jpg", "b.jpg"], digests, thumbnails)
    assert found.near == (("a.jpg", "b.jpg", False),)


def test_a_jpeg_of_any_size_and_kind_is_found(tmp_path):
    from pyimagesearch.preprocessing.imageloader import inspect_image

    large = photograph(0, size=(1600, 1280))
    for name, size in {"a.jpg": 1600, "b.jpg": 800, "c.webp": 180}.items():
        file = io.BytesIO()
        large.resize((size, size * 4 // 5)).save(file, Image.registered_extensions()[name[1:]])
        (tmp_path / name).write_bytes(file.getvalue())
    paths = ["a.jpg", "b.jpg", "c.webp"]
    thumbnails = np.stack([inspect_image(tmp_path / path).thumbnail for path in paths])
    found = find_duplicates(paths, dict(zip(paths, "123", strict=True)), thumbnails)
    assert set(found.group_of) == set(paths)
