from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from pyimagesearch.preprocessing import LabelledImages, SkippedFiles
from pyimagesearch.preprocessing.classes import (
    class_table,
    class_warnings,
    require_two_classes,
    skipped_folder_warnings,
    small_classes,
)
from pyimagesearch.utils import InputError, split


def labelled(*paths, **options):
    """Label paths of files that do not exist."""
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
    assert class_table(labelled("a\nb/1")) == "    a\\nb  1"


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        pytest.param(
            ["train/cat.0.jpg", "train/dog.0.jpg"],
            [
                "the 2 images under '/data' are of one class, 'train'",
                "the name of their folder ('train')",
                "put the images of each class into their own folder",
            ],
            id="flat",
        ),
        pytest.param(
            ["cats/batch1/1.jpg", "dogs/batch1/1.jpg"],
            [
                "of one class, 'batch1', the name of their folder ('cats/batch1', 'dogs/batch1')",
                "move the images up into 'cats', 'dogs'",
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
        "images into one folder per class, such as x/Test/<class>/, "
        "and give '/data/x/Test' as the dataset"
    )


def test_classes_from_several_folders_are_named_with_what_to_give_instead():
    (line,) = class_warnings(labelled("paris/cats/1", "rome/cats/1", "rome/dogs/1"))
    assert line == (
        "1 of 2 classes are collected from several folders, such as 'cats' from 'paris/cats', "
        "'rome/cats': to use only one, give '/data/paris' as the dataset"
    )


@pytest.mark.parametrize("test", ["test", "val"])
def test_folders_to_train_and_to_test_are_given_the_commands_that_keep_them_apart(test):
    (line,) = class_warnings(labelled("b/train/cats/1", f"b/{test}/cats/1", "b/train/dogs/1"))
    assert line.startswith(f"{', '.join(sorted([repr('b/train'), repr(f'b/{test}')]))} look like ")
    assert "'python extract_features.py --dataset /data/b/train --output train.hdf5'" in line
    assert f"'python extract_features.py --dataset /data/b/{test} --output test.hdf5'" in line
    assert line.endswith("give both to train_model.py, --db train.hdf5 --test test.hdf5")


def test_plain_class_folders_give_no_warning():
    images = of_sizes(5, 5, 5)
    assert class_warnings(images) == skipped_folder_warnings(images) == []


def test_folders_without_images_are_named():
    aside = SkippedFiles(folders=tuple("abcdefg"))
    (line,) = skipped_folder_warnings(labelled("x/1", skipped=aside))
    assert line == ("no images in 'a', 'b', 'c', 'd', 'e' and 2 more: they are not classes")


def test_all_classes_with_fewer_than_4_images_are_named_in_one_line():
    assert small_classes(of_sizes(9, 4, 4)) == []
    assert small_classes(of_sizes(9, 3, 1)) == [
        "2 classes have fewer than 4 images, 'c001' (3), 'c002' (1): too few for 3 training "
        "folds and a test; add images, or remove the classes"
    ]
    (line,) = small_classes(of_sizes(9, 2))
    assert line.startswith("1 class has fewer than 4 images, 'c001' (2): ")
    assert line.endswith("; add images, or remove the class")


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (3, 3, 3)])
def test_that_nothing_can_be_trained_is_reported_before_the_work(sizes):
    (line,) = small_classes(of_sizes(*sizes))
    named = ", ".join(f"'c{k:03}' ({n})" for k, n in enumerate(sizes))
    assert line == (
        "no class has 3 images to train on, one per fold: train_model.py can only "
        f"test on their features; add images to {named}"
    )


def test_of_many_small_classes_twenty_are_named():
    (line,) = small_classes(of_sizes(*[3] * 1000))
    assert line.startswith("1,000 classes have fewer than 4 images, 'c000' (3), ")
    assert "'c019' (3) and 980 more: " in line


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("caf\u00e9", "cafe\u0301", id="normal forms"),
        pytest.param("cats", "cats ", id="a space at the end"),
        pytest.param("cats", "Cats", id="case"),
        pytest.param("stra\u00dfe", "STRASSE", id="case of one letter that becomes two"),
        pytest.param("cats", "cats\u200b", id="zero-width space"),
        pytest.param("cats", "\ufeffcats", id="byte order mark"),
        pytest.param("ca\u00adts", "cats", id="soft hyphen"),
        pytest.param("\u2764\ufe0f", "\u2764", id="variation selector"),
        pytest.param("big cats", "big\u00a0cats", id="no-break space"),
        pytest.param("big cats", "big  cats", id="two spaces"),
        pytest.param("big cats", "big\u3000Cats", id="ideographic space and case"),
        pytest.param("cats", "\uff43\uff41\uff54\uff53", id="full-width letters"),
        pytest.param("cats", "cats\t", id="tab"),
    ],
)
def test_classes_whose_names_look_alike_are_warned_of_with_their_folders(one, other):
    images = labelled(*(f"x/{name}/{i}" for name in (one, other, "dogs") for i in range(4)))
    assert len(images.label_names) == 3
    (line,) = class_warnings(images)
    assert line.startswith("2 classes have names that look alike, from the folders ")
    named = [text for text in (f"x/{one}", f"x/{other}") if repr(text) in line]
    named += [text for text in (f"x/{one}", f"x/{other}") if ascii(text) in line]
    assert len(set(named)) == 2
    assert line.endswith(": if they are one class, move their images into one folder")


def test_names_that_only_resemble_each_other_are_not_warned_of():
    names = ["cat", "cats", "bigcats", "big cats", "big-cats", "cafe", "caf\u00e9", "1", "l"]
    assert class_warnings(labelled(*(f"{name}/{i}" for name in names for i in range(4)))) == []


def test_normal_forms_of_a_name_are_distinguished_by_their_code_points():
    (line,) = class_warnings(labelled("caf\u00e9/1", "cafe\u0301/1", "dogs/1"))
    assert "from the folders 'cafe\\u0301', 'caf\\xe9': " in line


def test_no_more_than_five_pairs_of_names_that_look_alike_are_named():
    lines = class_warnings(labelled(*(f"{name}/1" for k in "abcdefg" for name in (k, k.upper()))))
    assert len(lines) == 6
    assert lines[-1] == "2 more classes have names that look alike"


def test_a_class_folder_inside_another_is_warned_of():
    assert class_warnings(labelled("cats/1", "cats/kittens/2", "cats/kittens/3", "dogs/4")) == [
        "1 class folder is inside that of another class, such as 'cats/kittens': its 2 images "
        "are of class 'kittens', not 'cats'; move them into 'cats' if that is wrong"
    ]
    (line,) = class_warnings(labelled("cats/1", "cats/a/b/2", "cats/c/3"))
    assert line.startswith("2 class folders are inside that of another class, such as 'cats/a/b': ")
    assert "its 1 image is of class 'b', not 'cats'" in line


def test_a_folder_of_the_same_name_inside_a_class_is_not_another_class():
    (line,) = class_warnings(labelled("cats/1", "cats/cats/2", "dogs/3"))
    assert "are collected from several folders" in line


def test_class_folders_below_a_folder_without_images_are_not_inside_another_class():
    assert class_warnings(labelled("pets/cats/1", "pets/dogs/2", "wild/wolf/3")) == []


def test_the_table_is_aligned_by_the_columns_of_a_terminal():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
    images = labelled("\u732b/1", "cafe\u0301/1", f"{family}/1")
    assert class_table(images) == (f"    cafe\u0301  1\n    \u732b    1\n    {family}    1")


def test_three_quarters_of_the_rows_train_rounded_down():
    assert [split.n_train_rows(n) for n in (3, 4, 300)] == [2, 3, 225]
