import os
import random
import subprocess
import sys
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyimagesearch.preprocessing import (
    LabelledImages,
    SkippedFiles,
    list_labelled_images,
    load_image,
)
from pyimagesearch.utils import InputError

ROOT = Path(__file__).parents[1]
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
    """Make empty files; listing never reads them."""
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


def test_images_are_sorted_and_then_shuffled(animals):
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
    walk = os.walk

    def in_another_order(rng, *arguments, **options):
        for parent, folders, files in walk(*arguments, **options):
            rng.shuffle(folders)
            yield parent, folders, rng.sample(files, len(files))

    for seed in range(5):
        monkeypatch.setattr(os, "walk", partial(in_another_order, random.Random(seed)))
        assert list_labelled_images(animals).paths == expected


def test_paths_are_sorted_by_code_point_with_any_separator(tmp_path):
    # "cats/" sorts after "cats-big/" as text, before it part by part.
    images = list_labelled_images(put(tmp_path, "cats/1.jpg", "cats-big/1.jpg", "Dogs/1.jpg"))
    expected = ["Dogs/1.jpg", "cats-big/1.jpg", "cats/1.jpg"]
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


def test_the_label_is_the_images_own_folder_at_any_depth(tmp_path):
    images = list_labelled_images(put(tmp_path, "a/cats/1.jpg", "b/cats/1.jpg", "b/dogs/x/2.jpg"))
    named = {p: images.label_names[k] for p, k in zip(images.paths, images.labels, strict=True)}
    assert named == {"a/cats/1.jpg": "cats", "b/cats/1.jpg": "cats", "b/dogs/x/2.jpg": "x"}
    assert images.label_names == ("cats", "x")


def test_hidden_images_and_hidden_folders_are_skipped(animals):
    put(animals, "cats/._1.jpg", "cats/.ipynb_checkpoints/1.jpg", ".thumbs/small/1.jpg", "._2.jpg")
    assert sorted(list_labelled_images(animals).paths) == sorted(PATHS)


def test_a_dataset_inside_a_hidden_folder_is_listed(tmp_path):
    dataset = put(tmp_path / ".cache" / "animals", *PATHS)
    assert sorted(list_labelled_images(dataset).paths) == sorted(PATHS)


def test_other_files_are_skipped(animals):
    put(animals, "cats/notes.txt", "cats/1.jpg.part", "README", "birds/1.psd")
    assert sorted(list_labelled_images(animals).paths) == sorted(PATHS)


def test_skipped_files_are_counted_by_kind(animals):
    put(animals, "cats/notes.TXT", "cats/b.txt", "README", "birds/1.psd", "cats/._1.jpg")
    put(animals, ".ipynb_checkpoints/1.jpg")
    aside = list_labelled_images(animals).skipped
    assert str(aside) == "2 .txt, 2 hidden, 1 .psd, 1 without a suffix"


def test_a_folder_without_images_is_known_by_its_topmost_name(animals):
    put(animals, "birds/1.psd", "panda/red/young/1.txt", "docs/a/1.txt", "docs/b/1.txt")
    (animals / "empty").mkdir()
    aside = list_labelled_images(animals).skipped
    assert aside.folders == ("birds", "docs", "empty", "panda/red")


def test_nothing_is_reported_of_a_folder_of_images_only(animals):
    assert list_labelled_images(animals).skipped == SkippedFiles()


def test_a_line_names_the_ten_most_frequent_kinds():
    kinds = {f".{i}": 100 - i for i in range(20)}
    assert str(SkippedFiles(kinds)).startswith("100 .0, 99 .1, ")
    assert str(SkippedFiles(kinds)).endswith(", 91 .9, 855 of other kinds")


KINDS = [
    *[(suffix, "JPEG") for suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".JPG", "")],
    *[(".png", "PNG"), (".bmp", "BMP"), (".tif", "TIFF"), (".tiff", "TIFF"), (".gif", "GIF")],
    *[(".webp", "WEBP"), (".avif", "AVIF"), (".jp2", "JPEG2000"), (".j2k", "JPEG2000")],
    *[(".mpo", "MPO"), ("", "PNG"), ("", "WEBP")],
]


@pytest.mark.parametrize(("suffix", "kind"), KINDS)
def test_every_kind_that_is_read_is_listed(animals, suffix, kind):
    Image.new("RGB", (8, 8)).save(animals / "cats" / f"new{suffix}", format=kind)
    assert f"cats/new{suffix}" in list_labelled_images(animals).paths
    assert load_image(animals / "cats" / f"new{suffix}").shape == (224, 224, 3)


def test_heic_is_listed_and_read_where_pillow_heif_is_installed(animals):
    pytest.importorskip("pillow_heif")
    Image.new("RGB", (64, 64), "red").save(animals / "cats" / "new.HEIC", format="HEIF")
    assert "cats/new.HEIC" in list_labelled_images(animals).paths
    assert load_image(animals / "cats" / "new.HEIC").mean(axis=(0, 1))[0] > 200


def test_without_pillow_heif_the_line_names_the_package_to_install(animals):
    program = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from pyimagesearch.preprocessing import list_labelled_images\n"
        "print(list_labelled_images(sys.argv[1]).skipped)\n"
    )
    put(animals, "cats/1.heic", "cats/2.HEIC", "cats/3.txt")
    printed = subprocess.run(
        [sys.executable, "-c", program, str(animals)], cwd=ROOT, capture_output=True, check=True
    ).stdout
    assert printed == b"2 .heic (pip install pillow-heif reads them), 1 .txt\n"


def test_a_fifo_without_a_suffix_is_not_waited_for(animals):
    os.mkfifo(animals / "cats" / "pipe")
    assert str(list_labelled_images(animals).skipped) == "1 without a suffix"


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


def test_an_image_outside_a_class_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path("animals"), "0001.jpg", "cats/1.jpg")
    stray = "lies outside a class folder: move it into"
    advice = ", or label the images in a table or by their own names"
    assert complaint("animals") == f"'animals/0001.jpg' {stray} animals/<class>/{advice}"
    monkeypatch.chdir("animals")
    assert complaint(".") == f"'0001.jpg' {stray} <class>/{advice}"


def test_a_folder_without_images_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path("animals"), "cats/notes.txt", "cats/._1.jpg")
    printed = complaint("animals")
    assert printed.startswith("no images under 'animals': looked for .apng .avif .avifs .bmp .gif ")
    assert printed.endswith(" .webp, one folder per class; skipped: 1 .txt, 1 hidden")


def test_a_missing_folder_is_refused(tmp_path):
    dataset = tmp_path / "animals"
    assert complaint(dataset).startswith(f"'{dataset}' does not exist: ")


def test_a_folder_that_cannot_be_accessed_is_refused():
    assert "cannot be found: File name too long; expected" in complaint("n" * 300)


def test_an_empty_name_is_not_the_current_folder(animals, monkeypatch):
    monkeypatch.chdir(animals)
    assert complaint("").startswith("the name of the dataset is empty: ")


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
        "its images would be missing: make it readable, or move it elsewhere"
    )


def test_a_hidden_folder_that_cannot_be_listed_is_skipped(animals, monkeypatch):
    put(animals, ".Trashes/1.jpg")
    lock(monkeypatch, animals / ".Trashes")
    assert sorted(list_labelled_images(animals).paths) == sorted(PATHS)


@pytest.mark.parametrize("folder", ["lost+found", "$RECYCLE.BIN", "cats/@eaDir"])
def test_a_systems_folder_that_cannot_be_listed_is_skipped(animals, monkeypatch, folder):
    put(animals, f"{folder}/1.jpg")
    lock(monkeypatch, animals / folder)
    images = list_labelled_images(animals)
    assert sorted(images.paths) == sorted(PATHS)
    assert str(images.skipped) == f"1 {Path(folder).name}/"


def test_folders_that_a_system_makes_are_skipped_and_counted(animals):
    for name in PATHS:
        folder = (animals / name).parent
        put(folder, f"@eaDir/{Path(name).name}/SYNOPHOTO_THUMB_M.jpg")
    put(animals, "#recycle/old/1.jpg", "$Recycle.Bin/S-1/1.jpg", "cats/.thumbnails/1.jpg")
    put(animals, "System Volume Information/1.jpg", "lost+found/1.jpg", "__MACOSX/cats/1.jpg")
    images = list_labelled_images(animals)
    assert sorted(images.paths) == sorted(PATHS)
    assert images.label_names == ("cats", "dogs", "panda")
    assert str(images.skipped) == (
        "3 @eaDir/, 1 #recycle/, 1 $Recycle.Bin/, 1 System Volume Information/, 1 __MACOSX/, "
        "1 hidden, 1 lost+found/"
    )


def test_a_folder_that_is_named_like_an_image_is_skipped_and_counted(animals):
    put(animals, "cats_00001.jpg/1.jpg", "cats/cats_00002.PNG/thumb.jpg", "v1.0/1.jpg")
    images = list_labelled_images(animals)
    assert sorted(images.paths) == sorted([*PATHS, "v1.0/1.jpg"])
    assert str(images.skipped) == "2 named like an image but a folder"


def test_a_dataset_is_listed_under_any_name(tmp_path):
    for name in ("@eaDir", "animals.png"):
        assert len(list_labelled_images(put(tmp_path / name, *PATHS))) == len(PATHS)


def link(path, target):
    path.symlink_to(target, target_is_directory=True)


def test_a_linked_class_folder_is_followed_and_named_after_the_link(animals, tmp_path):
    put(tmp_path / "elsewhere", "1.jpg", "young/2.jpg")
    link(animals / "birds", tmp_path / "elsewhere")
    images = list_labelled_images(animals)
    assert sorted(images.paths) == sorted([*PATHS, "birds/1.jpg", "birds/young/2.jpg"])
    assert images.label_names == ("birds", "cats", "dogs", "panda", "young")
    assert images.skipped == SkippedFiles()


def test_links_within_links_are_followed(animals, tmp_path):
    put(tmp_path / "one", "1.jpg")
    put(tmp_path / "two", "2.jpg")
    link(tmp_path / "one" / "more", tmp_path / "two")
    link(animals / "birds", tmp_path / "one")
    paths = list_labelled_images(animals).paths
    assert sorted(paths) == sorted([*PATHS, "birds/1.jpg", "birds/more/2.jpg"])


def test_a_folder_is_listed_once_under_its_own_path(animals, tmp_path):
    link(animals / "a", animals / "cats")
    link(animals / "cats" / "circle", animals)
    link(animals / "cats" / "up", tmp_path)
    put(tmp_path, "beside/1.jpg")
    images = list_labelled_images(animals)
    assert sorted(images.paths) == sorted(PATHS)
    assert str(images.skipped) == "3 linked twice"


def test_what_a_link_leads_to_is_listed_without_the_part_that_is_listed_already(tmp_path):
    put(tmp_path, "all/cats/1.jpg", "all/dogs/2.jpg", "set/birds/3.jpg")
    link(tmp_path / "set" / "cats", tmp_path / "all" / "cats")
    link(tmp_path / "set" / "rest", tmp_path / "all")
    paths = list_labelled_images(tmp_path / "set").paths
    assert sorted(paths) == ["birds/3.jpg", "cats/1.jpg", "rest/dogs/2.jpg"]


def test_a_broken_link_is_known(animals, tmp_path):
    link(animals / "birds", tmp_path / "gone")
    (animals / "cats" / "3.jpg").symlink_to(tmp_path / "gone.jpg")
    images = list_labelled_images(animals)
    assert sorted(images.paths) == sorted(PATHS)
    assert images.skipped.broken_links == ("birds", "cats/3.jpg")


def test_a_broken_link_of_another_kind_is_skipped(animals, tmp_path):
    (animals / "cats" / "notes.txt").symlink_to(tmp_path / "gone.txt")
    skipped = list_labelled_images(animals).skipped
    assert skipped.broken_links == ()
    assert str(skipped) == "1 linked to nothing"


def test_a_link_to_what_cannot_be_accessed_is_broken(animals):
    (animals / "cats" / "3.jpg").symlink_to("n" * 300)
    assert list_labelled_images(animals).skipped.broken_links == ("cats/3.jpg",)


def test_images_of_a_folder_that_cannot_be_entered_are_listed(animals, monkeypatch):
    lstat = os.lstat

    def refuse(path, **options):
        if Path(path).parent == animals / "cats":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return lstat(path, **options)

    monkeypatch.setattr(os, "lstat", refuse)
    assert sorted(list_labelled_images(animals).paths) == sorted(PATHS)


def test_a_hidden_link_is_skipped_and_a_linked_image_is_listed(animals, tmp_path):
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


def test_without_drops_a_class_that_has_no_images_left(animals):
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


def test_without_an_image_that_is_not_listed_is_a_defect(animals):
    with pytest.raises(ValueError, match=r"not among the 7 images: \[.cats/3.jpg.\]"):
        list_labelled_images(animals).without(["cats/3.jpg"])


def test_a_listing_cannot_be_changed(animals):
    images = list_labelled_images(animals)
    assert isinstance(images, LabelledImages)
    with pytest.raises(FrozenInstanceError):
        images.paths = ()
    with pytest.raises(ValueError, match="read-only"):
        images.labels[0] = 1
