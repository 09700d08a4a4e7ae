from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from pyimagesearch.preprocessing import (
    LabelledImages,
    LeftAside,
    class_table,
    class_warnings,
    left_aside_warnings,
    require_two_classes,
    small_classes,
)
from pyimagesearch.utils import InputError, split


def labelled(*paths, **options):
    """Label paths of which no file is there."""
    names = [PurePosixPath(path).parent.name for path in paths]
    label_names, labels = np.unique(names, return_inverse=True)
    return LabelledImages(Path("/data"), paths, labels, tuple(label_names.tolist()), **options)


def of_sizes(*sizes):
    return labelled(*(f"c{k:03}/{i}" for k, n in enumerate(sizes) for i in range(n)))


def test_the_table_has_every_class_up_to_twenty():
    assert class_table(of_sizes(1000, 1, 20)) == "    c000  1,000\n    c001      1\n    c002     20"
    assert len(class_table(of_sizes(*range(1, 21))).splitlines()) == 20


def test_of_more_classes_the_table_has_the_five_largest_and_the_five_smallest():
    lines = class_table(of_sizes(*range(1, 102))).splitlines()
    assert lines[:2] == ["    c100         101", "    c099         100"]
    assert lines[5] == "    ... 91 more"
    assert lines[-2:] == ["    c001           2", "    c000           1"]
    assert len(lines) == 11


def test_a_name_with_a_line_break_stays_in_its_row():
    assert class_table(labelled("a\nb/1")) == '    "a\\nb"  1'


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        pytest.param(
            ["train/cat.0.jpg", "train/dog.0.jpg"],
            [
                "the 2 images under '/data' are of one class, 'train'",
                "the folder they lie in ('train')",
                "put the pictures of each class into a folder of its own",
            ],
            id="flat",
        ),
        pytest.param(
            ["cats/batch1/1.jpg", "dogs/batch1/1.jpg"],
            [
                "of one class, 'batch1', the name of the folder they lie in "
                "('cats/batch1', 'dogs/batch1')",
                "move the pictures up into 'cats', 'dogs'",
            ],
            id="batches",
        ),
    ],
)
def test_one_class_is_refused_with_where_it_was_collected(paths, words):
    with pytest.raises(InputError) as caught:
        require_two_classes(labelled(*paths))
    assert all(part in str(caught.value) for part in words)


def test_two_classes_are_not_refused():
    require_two_classes(labelled("a/1", "b/1"))


def test_class_names_of_splits_are_named_with_their_folders():
    (line,) = class_warnings(labelled("x/train/1", "x/Test/1", "x/cats/1"))
    assert line == (
        "classes have the names of a split, 'Test', 'train', from 'x/Test', 'x/train': put the "
        "pictures into one folder per class, such as x/Test/<class>/, "
        "and give --dataset /data/x/Test"
    )


def test_classes_from_several_folders_are_named_with_what_to_give_instead():
    (line,) = class_warnings(labelled("train/cats/1", "test/cats/1", "train/dogs/1"))
    assert line == (
        "1 of 2 classes are collected from several folders, such as 'cats' from 'test/cats', "
        "'train/cats': for the pictures of one of them, give --dataset /data/test"
    )


def test_plain_class_folders_give_no_warning():
    images = of_sizes(5, 5, 5)
    assert class_warnings(images) == left_aside_warnings(images) == []


def test_folders_without_pictures_are_named():
    aside = LeftAside(folders=tuple("abcdefg"))
    (line,) = left_aside_warnings(labelled("x/1", left_aside=aside))
    assert line == (
        "no pictures were found in 'a', 'b', 'c', 'd', 'e' and 2 more: "
        "they are not among the classes"
    )


def test_a_class_with_fewer_than_3_pictures_that_train_is_named():
    # 8 rows, of which 6 train: 4 of a, and 2 of the 4 of b.
    images = labelled("a/1", "a/2", "a/3", "b/1", "b/2", "a/4", "b/3", "b/4")
    (line,) = small_classes(images)
    assert line.startswith("class 'b' has 2 of its 4 images among the first 6 rows, which train: ")
    assert small_classes(labelled(*(f"{name}/{i}" for i in range(4) for name in "ab"))) == []


def test_no_more_than_five_small_classes_are_named():
    lines = small_classes(of_sizes(*[1] * 8))
    assert len(lines) == 6
    assert lines[-1] == "3 more classes are as small"


def test_three_quarters_of_the_rows_train_rounded_down():
    assert [split.n_train_rows(n) for n in (3, 4, 300)] == [2, 3, 225]
