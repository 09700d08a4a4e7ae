"""Near duplicates between two datasets of which only fingerprints are left."""

import base64

import numpy as np
import pytest
from PIL import ImageOps
from test_preprocessing_nearduplicates import VARIANTS, photograph, thumbnails_of

from pyimagesearch.preprocessing.fingerprints import fingerprints, near_duplicates_between
from pyimagesearch.preprocessing.nearduplicates import Pair


def of(images) -> list[str]:
    return fingerprints(thumbnails_of(images))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_photograph_is_found_in_another_set_and_no_other(variant):
    first = of([photograph(seed) for seed in range(12)])
    second = of([VARIANTS[variant](photograph(seed)) for seed in (20, 3, 21, 11)])
    expected = [Pair(3, 1, mirrored=False), Pair(11, 3, mirrored=False)]
    assert near_duplicates_between(first, second) == expected


def test_a_mirror_image_is_found_in_another_set_and_called_so():
    first = of([photograph(seed) for seed in range(6)])
    second = of([ImageOps.mirror(photograph(4)), photograph(5)])
    expected = [Pair(4, 0, mirrored=True), Pair(5, 1, mirrored=False)]
    assert near_duplicates_between(first, second) == expected


def test_pairs_within_a_set_are_not_looked_for():
    twice = of([photograph(0), photograph(0), photograph(1)])
    assert near_duplicates_between(twice, of([photograph(2)])) == []
    assert near_duplicates_between([], twice) == near_duplicates_between(twice, []) == []


def test_a_fingerprint_has_64_bytes_and_does_not_depend_on_the_others():
    images = [photograph(seed) for seed in range(3)]
    together = of(images)
    assert together == [*of(images[:1]), *of(images[1:])]
    assert [len(base64.b64decode(one)) for one in together] == [64] * 3


def test_an_image_that_shows_nothing_is_like_no_other():
    grey = np.full((2, 16, 16), 128, np.uint8)
    faint = grey + np.indices((16, 16)).sum(axis=0).astype(np.uint8) % 2
    (first, second), (third, _) = fingerprints(grey), fingerprints(faint)
    assert near_duplicates_between([first, third], [second, third]) == []


def test_shading_that_is_stronger_than_the_detail_does_not_hide_it():
    rows = np.linspace(0, 200, 16)[:, None] * np.ones(16)
    dots = np.random.default_rng(0).normal(0, 6, (2, 16, 16))
    images = np.clip(rows + dots + 20, 0, 255).astype(np.uint8)
    (one, other), (again,) = fingerprints(images), fingerprints(images[:1] + np.uint8(1))
    assert near_duplicates_between([one, other], [again]) == [Pair(0, 0, mirrored=False)]


def test_an_invalid_fingerprint_is_like_no_other():
    (known,) = of([photograph(0)])
    odd = ["", "no base64", "aGk=", None, 3, ""]
    assert near_duplicates_between([known, *odd], odd) == []
