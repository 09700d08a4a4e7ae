from pathlib import Path

import numpy as np

from pyimagesearch.preprocessing import LabelledImages, contradictions, n_copies


def listed(contents, classes="a"):
    """Return one picture a letter of `contents`, and their digests; equal letters are copies."""
    paths = [f"{classes[i % len(classes)]}/{i}" for i in range(len(contents))]
    images = LabelledImages(Path(), (), np.empty(0, np.int64), ()).reordered(paths)
    return images, dict(zip(paths, contents, strict=True))


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
