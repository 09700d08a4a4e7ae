import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyimagesearch.preprocessing import (
    LabelledImages,
    contradictions,
    keep_copies_together,
    n_copies,
)
from pyimagesearch.utils.split import n_train_rows


def listed(contents, classes="a"):
    """Return one picture a letter of `contents`, and their digests; equal letters are copies."""
    paths = [f"{classes[i % len(classes)]}/{i}" for i in range(len(contents))]
    images = LabelledImages(Path(), (), np.empty(0, np.int64), ()).reordered(paths)
    return images, dict(zip(paths, contents, strict=True))


def order(contents):
    """Return the contents of the rows after they were put together."""
    images, digests = listed(contents)
    together = keep_copies_together(images, digests)
    assert sorted(together.paths) == sorted(images.paths)
    return "".join(digests[path] for path in together.paths)


def test_without_copies_the_order_stays_as_it_is():
    images, digests = listed("abcdefgh")
    assert keep_copies_together(images, digests) is images


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        pytest.param("abcaefgb", "aabbcefg", id="behind the first"),
        # 8 rows, of which 6 train.
        pytest.param("abcdefgf", "abcdegff", id="a single takes the place of a group"),
        pytest.param("aabbfffg", "aagfffbb", id="a group leaves for a larger one"),
        pytest.param("abcdeeee", "abeeeecd", id="single pictures leave for a group"),
        pytest.param("aabbbbccddeeff", "aabbbbccddeeff", id="no group fills the place"),
    ],
)
def test_copies_stay_on_one_side_of_the_split(contents, expected):
    assert order(contents) == expected


@given(
    copies=st.lists(st.integers(1, 4), min_size=1, max_size=20),
    singles=st.integers(3, 10),
    seed=st.integers(0, 99),
)
def test_where_there_are_single_pictures_no_copies_lie_across_the_split(copies, singles, seed):
    contents = [chr(65 + k) for k, n in enumerate([*copies, *[1] * singles]) for _ in range(n)]
    random.Random(seed).shuffle(contents)
    found = order("".join(contents))
    n_train = n_train_rows(len(found))
    assert not set(found[:n_train]) & set(found[n_train:])


def test_copies_within_a_class_are_counted():
    images, digests = listed("xyxyxz", classes="ab")  # x: a a a, y: b b, z: b
    assert n_copies(images, digests) == 3
    assert contradictions(images, digests) == []
    assert n_copies(*listed("uvw")) == 0


def test_copies_in_several_classes_are_contradictions():
    images, digests = listed("xxyzzz", classes="ab")
    assert contradictions(images, digests) == [
        f"the same picture lies in 2 classes: {paths}; keep it in the right one only"
        for paths in ("'a/0', 'b/1'", "'b/3', 'a/4'")
    ]
    assert n_copies(images, digests) == 1  # b/3 and b/5


def test_no_more_than_five_contradictions_are_named():
    lines = contradictions(*listed("ttuuvvwwxxyyzz", classes="ab"))
    assert len(lines) == 6
    assert lines[-1] == "2 more pictures lie in several classes"
