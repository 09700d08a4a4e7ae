import os
import random
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from pyimagesearch.preprocessing import LabelledImages, imagepaths, list_labelled_images
from pyimagesearch.utils import InputError

PATHS = [
    "cats/1.jpg",
    "cats/10.JPG",
    "cats/2.jpeg",
    "dogs/1.png",
    "dogs/Zo\u00eb.bmp",
    "panda/a.tif",
    "panda/b.tiff",
]


def put(root, *paths):
    """Make files; listing never looks inside them."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


@pytest.fixture
def animals(tmp_path):
    return put(tmp_path / "animals", *PATHS)


def complaint(dataset):
    with pytest.raises(InputError) as caught:
        list_labelled_images(dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_pictures_are_sorted_and_then_shuffled(animals):
    expected = sorted(PATHS)
    random.Random(7).shuffle(expected)
    assert list_labelled_images(animals, seed=7).paths == tuple(expected)


def test_the_order_of_a_seed_is_the_one_it_has_always_been(animals):
    assert list_labelled_images(animals).paths == (
        "cats/10.JPG",
        "dogs/1.png",
        "dogs/Zo\u00eb.bmp",
        "cats/2.jpeg",
        "panda/b.tiff",
        "cats/1.jpg",
        "panda/a.tif",
    )


def test_another_seed_gives_another_order(animals):
    one, other = (list_labelled_images(animals, seed=seed).paths for seed in (1, 2))
    assert one != other
    assert sorted(one) == sorted(other) == sorted(PATHS)


def test_the_order_does_not_depend_on_the_file_system(animals, monkeypatch):
    expected = list_labelled_images(animals).paths
    as_found = list(imagepaths.imutils_paths.list_images(str(animals)))
    for seed in range(5):
        shuffled = random.Random(seed).sample(as_found, len(as_found))
        monkeypatch.setattr(
            imagepaths.imutils_paths, "list_images", lambda _, found=shuffled: iter(found)
        )
        assert list_labelled_images(animals).paths == expected


def test_paths_are_sorted_by_code_point_whatever_the_separator(tmp_path):
    # "cats/" sorts after "cats-big/" as text, before it part by part.
    images = list_labelled_images(put(tmp_path, "cats/1.jpg", "cats-big/1.jpg", "Cats/1.jpg"))
    expected = ["Cats/1.jpg", "cats-big/1.jpg", "cats/1.jpg"]
    random.Random(42).shuffle(expected)
    assert images.paths == tuple(expected)


def test_labels_are_those_of_label_encoder(tmp_path):
    from sklearn.preprocessing import LabelEncoder

    names = ["panda", "Zebra", "cats", "\u00e9l\u00e9phant", "10", "9", "\U0001f43c"]
    images = list_labelled_images(put(tmp_path, *(f"{n}/{i}.jpg" for n in names for i in range(3))))
    encoder = LabelEncoder()
    expected = encoder.fit_transform([path.split("/")[0] for path in images.paths])
    assert images.label_names == tuple(encoder.classes_)
    np.testing.assert_array_equal(images.labels, expected)
    assert images.labels.dtype == np.int64


def test_the_label_is_the_pictures_own_folder_at_any_depth(tmp_path):
    images = list_labelled_images(put(tmp_path, "a/cats/1.jpg", "b/cats/1.jpg", "b/dogs/x/2.jpg"))
    named = {p: images.label_names[k] for p, k in zip(images.paths, images.labels, strict=True)}
    assert named == {"a/cats/1.jpg": "cats", "b/cats/1.jpg": "cats", "b/dogs/x/2.jpg": "x"}
    assert images.label_names == ("cats", "x")


def test_hidden_pictures_and_hidden_folders_are_left_out(animals):
    put(animals, "cats/._1.jpg", "cats/.ipynb_checkpoints/1.jpg", ".thumbs/small/1.jpg", "._2.jpg")
    assert sorted(list_labelled_images(animals).paths) == sorted(PATHS)


def test_a_dataset_inside_a_hidden_folder_is_listed(tmp_path):
    dataset = put(tmp_path / ".cache" / "animals", *PATHS)
    assert sorted(list_labelled_images(dataset).paths) == sorted(PATHS)


def test_other_files_are_left_out(animals):
    put(animals, "cats/notes.txt", "cats/1.jpg.part", "README", "birds/1.webp")
    assert sorted(list_labelled_images(animals).paths) == sorted(PATHS)


@pytest.mark.parametrize("dataset", ["animals", "./animals/", "../here/animals", "."])
def test_a_relative_dataset_keeps_its_place_when_the_folder_changes(tmp_path, monkeypatch, dataset):
    here = tmp_path / "here"
    put(here if dataset == "." else here / "animals", *PATHS)
    monkeypatch.chdir(here)
    images = list_labelled_images(dataset)
    monkeypatch.chdir(tmp_path)
    assert sorted(images.paths) == sorted(PATHS)
    assert all(images.absolute_path(row).is_file() for row in range(len(images)))
    assert images.absolute_path(2).as_posix().endswith(images.paths[2])
    assert images.absolute_path(2).is_absolute()


def test_a_picture_outside_a_class_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path("animals"), "0001.jpg", "cats/1.jpg")
    stray = "lies outside a class folder: move it into"
    assert complaint("animals") == f"'animals/0001.jpg' {stray} animals/<class>/"
    monkeypatch.chdir("animals")
    assert complaint(".") == f"'0001.jpg' {stray} <class>/"


def test_a_folder_without_pictures_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path("animals"), "cats/notes.txt", "cats/._1.jpg")
    assert complaint("animals") == (
        "no images under 'animals': looked for .jpg .jpeg .png .bmp .tif .tiff, "
        "one folder per class"
    )


def test_a_missing_folder_is_refused(tmp_path):
    dataset = tmp_path / "animals"
    assert complaint(dataset).startswith(f"'{dataset}' does not exist: ")


def test_a_file_instead_of_a_folder_is_refused(animals):
    dataset = animals / "cats" / "1.jpg"
    assert complaint(dataset).startswith(f"'{dataset}' is not a folder: ")


def lock(monkeypatch, folder):
    """Make a folder that nobody can list, not even root."""
    scandir = os.scandir

    def refuse(path):
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


@pytest.mark.parametrize("folder", [".", "dogs", "panda/red"])
def test_a_folder_that_cannot_be_listed_is_refused(animals, monkeypatch, folder):
    put(animals, "panda/red/1.jpg")
    lock(monkeypatch, animals / folder)
    assert complaint(animals) == (
        f"folder '{animals / folder}' cannot be listed: Permission denied; "
        "its pictures would be missing"
    )


def test_a_hidden_folder_that_cannot_be_listed_is_left_out(animals, monkeypatch):
    put(animals, ".Trashes/1.jpg")
    lock(monkeypatch, animals / ".Trashes")
    assert sorted(list_labelled_images(animals).paths) == sorted(PATHS)


def test_a_linked_class_folder_is_refused_for_it_would_be_passed_over(animals, tmp_path):
    put(tmp_path / "elsewhere", "1.jpg")
    (animals / "birds").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert complaint(animals).startswith(f"'{animals / 'birds'}' is a link to a folder, ")


def test_a_hidden_link_is_left_out_and_a_linked_picture_is_listed(animals, tmp_path):
    put(tmp_path / "elsewhere", "1.jpg")
    (animals / ".birds").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (animals / "cats" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    assert sorted(list_labelled_images(animals).paths) == sorted([*PATHS, "cats/3.jpg"])


def test_a_linked_dataset_is_listed(animals, tmp_path):
    (tmp_path / "link").symlink_to(animals, target_is_directory=True)
    assert sorted(list_labelled_images(tmp_path / "link").paths) == sorted(PATHS)


def test_a_class_name_that_is_not_utf8_is_refused(animals):
    try:
        put(animals, os.fsdecode(b"caf\xe9/1.jpg"))
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    assert r"/caf\udce9' is not valid UTF-8: " in complaint(animals)


def test_without_keeps_the_order_of_the_others(animals):
    images = list_labelled_images(animals)
    rest = images.without({images.paths[1], images.paths[4]})
    kept = [0, 2, 3, 5, 6]
    assert rest.paths == tuple(images.paths[row] for row in kept)
    np.testing.assert_array_equal(rest.labels, images.labels[kept])
    assert rest.labels.dtype == np.int64
    assert (rest.root, rest.label_names) == (images.root, images.label_names)


def test_without_drops_a_class_that_has_no_pictures_left(animals):
    images = list_labelled_images(animals)
    rest = images.without([path for path in PATHS if path.startswith("dogs/")])
    assert rest.label_names == ("cats", "panda")
    assert [rest.label_names[label] for label in rest.labels] == [
        path.split("/")[0] for path in rest.paths
    ]


def test_without_everything_leaves_nothing(animals):
    rest = list_labelled_images(animals).without(PATHS)
    assert (len(rest), rest.paths, rest.label_names) == (0, (), ())
    assert (rest.labels.shape, rest.labels.dtype) == ((0,), np.int64)


def test_without_a_picture_that_is_not_listed_is_a_defect(animals):
    with pytest.raises(ValueError, match=r"not among the 7 pictures: \[.cats/3.jpg.\]"):
        list_labelled_images(animals).without(["cats/3.jpg"])


def test_a_listing_cannot_be_changed(animals):
    images = list_labelled_images(animals)
    assert isinstance(images, LabelledImages)
    with pytest.raises(FrozenInstanceError):
        images.paths = ()
    with pytest.raises(ValueError, match="read-only"):
        images.labels[0] = 1
