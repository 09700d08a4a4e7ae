"""Tables of labels as people have them, and wrong ones."""

import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from pyimagesearch.preprocessing import list_labelled_images
from pyimagesearch.preprocessing.labeltable import read_label_table
from pyimagesearch.utils import InputError

IMAGES = ("a.jpg", "b.jpg", "sub/c.png", "d.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make empty files instead of images: listing does not read them."""
    for name in IMAGES:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "images"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder.parent / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def listed(folder: Path, text: str | bytes, **options):
    return list_labelled_images(folder, table=write(folder, text), **options)


PLAIN = {"a.jpg": "cat", "b.jpg": "dog", "sub/c.png": "cat", "d.jpg": "dog"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("path,label\na.jpg,cat\nb.jpg,dog\nsub/c.png,cat\nd.jpg,dog\n", id="plain"),
        pytest.param("id,breed\na,cat\nb,dog\nsub/c,cat\nd,dog\n", id="dog breeds of Kaggle"),
        pytest.param("Label;File\ncat;a.jpg\ndog;b.jpg\ncat;./sub/c.png\ndog;d.jpg\n", id="Excel"),
        pytest.param("image\tcategory\na\tcat\nb\tdog\nsub\\c.png\tcat\nd\tdog", id="tabs"),
        pytest.param(
            "\ufefffilename,class\r\n\r\na.jpg , cat\r\nb.jpg,dog\r\nsub/c,cat\r\nd.jpg,dog\r\n",
            id="BOM, CRLF, empty lines and spaces",
        ),
        pytest.param(
            '"path","label"\n"a.jpg","cat"\nb.jpg,dog\nsub/c.png,cat\nd.jpg,dog\na,cat\n',
            id="quotes, and one line twice",
        ),
        pytest.param(
            "image,cat,dog\na,1,0\nb,0.0,1.0\nsub/c,1,0\nd,0,1\n", id="one-hot, as of diseases"
        ),
        pytest.param(
            "id,filename,label\n1,a.jpg,cat\n2,b.jpg,dog\n3,sub/c.png,cat\n4,d.jpg,dog\n",
            id="a number of each line beside",
        ),
        pytest.param("Image_ID,Breed\na,cat\nb,dog\nsub/c,cat\nd,dog\n", id="a name of two words"),
        pytest.param(
            "file name,cat,dog\na,True,False\nb,False,True\nsub/c,TRUE,FALSE\nd,false,true\n",
            id="one-hot, as pandas writes it",
        ),
        pytest.param(
            "path,label\na.JPG,cat\nb.Jpg,dog\nsub/c.PNG,cat\nd.jpg,dog\n",
            id="suffixes in other letters",
        ),
        pytest.param(
            ",path,label,,\n0,a.jpg,cat,,\n1,b.jpg,dog,,\n2,sub/c.png,cat,,\n3,d.jpg,dog,,\n",
            id="columns without a name",
        ),
    ],
)
def test_tables_as_people_have_them_are_understood(folder, text):
    images = listed(folder, text)
    assert images.label_of == PLAIN
    assert images.label_names == ("cat", "dog")
    assert images.is_test is None
    assert images.groups == []
    assert not any("''" in note for note in images.labelling.notes)


def test_absolute_paths_are_those_of_the_folder(folder):
    lines = [f"{folder / image},{label}" for image, label in PLAIN.items()]
    assert listed(folder, "\n".join(["path,label", *lines])).label_of == PLAIN


def test_one_hot_columns_keep_the_capitals_of_their_names(folder):
    images = listed(folder, "image,MEL,NV,age\na,1,0,70\nb,0,1,50\nsub/c,1,0,3\nd,0,1,9\n")
    assert images.label_names == ("MEL", "NV")
    (note,) = images.labelling.notes
    assert note.endswith("labels.csv': ignored the column 'age'")


def test_a_permuted_table_gives_the_same_images_and_the_same_record(folder):
    lines = [f"{image},{label},g{i // 2}" for i, (image, label) in enumerate(PLAIN.items())]
    images = listed(folder, "\n".join(["path,label,group", *lines]))
    random.Random(1).shuffle(lines)
    again = listed(folder, "\n".join(["path,label,group", *lines]))
    assert again.paths == images.paths
    assert np.array_equal(again.labels, images.labels)
    assert again.labelling.record(again.label_of) == images.labelling.record(images.label_of)


@pytest.mark.parametrize("change", ["cat,train,x", "dog,test,x", "dog,train,y"])
def test_another_label_split_or_group_has_another_record(folder, change):
    text = "path,label,split,group\na,cat,train,\nb,{},\nsub/c,cat,test,\nd,dog,test,"
    records = []
    for b in ("dog,train,x", change):
        images = listed(
            folder,
            text.format(b)
            .replace(",\n", "\n")
            .replace("cat,train\n", "cat,train,\n")
            .replace("cat,test\n", "cat,test,\n"),
        )
        records.append(images.labelling.record(images.label_of))
    assert records[0] != records[1]


def test_images_without_a_line_are_skipped_and_named(folder):
    images = listed(folder, "path,label\na,cat\nb,dog\n")
    assert sorted(images.paths) == ["a.jpg", "b.jpg"]
    (note,) = images.labelling.notes
    assert note.startswith("skipped 2 images without a line in ")
    assert note.endswith(": 'd.jpg', 'sub/c.png'")


def test_lines_without_an_image_are_refused_or_skipped(folder):
    text = "path,label\na,cat\nb,dog\n" + "".join(f"gone{i},cat\n" for i in range(7))
    with pytest.raises(InputError) as error:
        listed(folder, text)
    assert "7 lines of " in str(error.value)
    assert "'gone0' (line 4), 'gone1' (line 5), " in str(error.value)
    assert "'gone4' (line 8) and 2 more: expected images under" in str(error.value)
    images = listed(folder, text, skip_bad=True)
    assert sorted(images.paths) == ["a.jpg", "b.jpg"]
    assert any(note.startswith("skipped 7 lines of ") for note in images.labelling.notes)


@pytest.mark.parametrize(
    ("splits", "test"),
    [
        (("train", "test", "train", "test"), {"b.jpg", "d.jpg"}),
        (("Train", "VALIDATION", "train", "valid"), {"b.jpg", "d.jpg"}),
        (("train", "val", "train", "test"), {"d.jpg"}),  # there is a test: val trains
    ],
)
def test_a_given_split_is_taken_as_it_is(folder, splits, test):
    lines = [f"{image},{PLAIN[image]},{split}" for image, split in zip(PLAIN, splits, strict=True)]
    images = listed(folder, "\n".join(["path,label,split", *lines]))
    assert images.labelling.test == test
    assert {
        path for path, is_test in zip(images.paths, images.is_test, strict=True) if is_test
    } == test
    n_test = len(test)
    assert (
        f"split of the table: {4 - n_test} of 4 images train, {n_test} test"
        in images.labelling.notes[-1]
    )


def test_groups_are_those_of_the_table(folder):
    images = listed(folder, "path,label,group\na,cat,p1\nb,dog,p2\nsub/c,cat,p1\nd,dog,\n")
    (group,) = images.groups
    assert {images.paths[row] for row in group} == {"a.jpg", "sub/c.png"}
    (same,) = images.reordered(images.paths[::-1]).groups
    assert same == [3 - row for row in group[::-1]]


def test_labels_follow_images_that_are_removed_or_reordered(folder):
    images = listed(folder, "path,label\na,cat\nb,dog\nsub/c,owl\nd,dog\n").without(["sub/c.png"])
    assert images.label_of == {"a.jpg": "cat", "b.jpg": "dog", "d.jpg": "dog"}
    assert images.label_names == ("cat", "dog")


WRONG = [
    pytest.param(b"", "'labels.csv' is empty: expected a header", id="empty"),
    pytest.param("path,label\n", "'labels.csv' is a header only", id="no line"),
    pytest.param(
        "photo,label\na,cat\n", "has no column of images, only 'photo', 'label': ", id="no path"
    ),
    pytest.param(
        "path,kind\na,cat\n", "has no column of labels, only 'path', 'kind': ", id="no label"
    ),
    pytest.param(
        "path,label,class\na,1,cat\n",
        "has 2 columns of labels, 'label', 'class': ",
        id="two labels",
    ),
    pytest.param(
        "path,label,label\na,1,cat\n", "has several columns named 'label': ", id="a name twice"
    ),
    pytest.param(
        "path,label\na,caf\u00e9\n".encode("latin-1"), "is not UTF-8 (byte 16)", id="Latin-1"
    ),
    pytest.param("path,label\na,cat\n".encode("utf-16"), "is not UTF-8 (byte 0)", id="UTF-16"),
    pytest.param(
        "path,label\na,cat\nb,dog,brown\n",
        "line 3 of 'labels.csv' has 3 columns, but the header 2",
        id="long",
    ),
    pytest.param(
        "path,label\na\n", "line 2 of 'labels.csv' has 1 column, but the header 2", id="short"
    ),
    pytest.param(
        'path,label\na,"cat\n',
        "line 2 of 'labels.csv' cannot be read: unexpected end",
        id="open quote",
    ),
    pytest.param(
        "path,label\na,cat\nb,\n", "line 3 of 'labels.csv' has an empty 'label'", id="no value"
    ),
    pytest.param("path,label\n,cat\n", "line 2 of 'labels.csv' has an empty 'path'", id="no image"),
    pytest.param(
        "path,label,split\na,cat,fold1\n",
        "line 2 of 'labels.csv' has the split 'fold1'",
        id="split",
    ),
    pytest.param(
        "path,label,split\na,cat,\n", "line 2 of 'labels.csv' has the split ''", id="no split"
    ),
    pytest.param(
        "path,label,split\na,cat,train\nb,dog,train\n",
        "the column 'split' of 'labels.csv' has 'train' only",
        id="one side",
    ),
    pytest.param(
        "path,label\na,cat\na.jpg,dog\n",
        "has two labels for 'a.jpg', 'cat' in line 2 and 'dog' in line 3",
        id="contradiction",
    ),
    pytest.param(
        "path,label,split,group\na,cat,train,p\nb,dog,test,p\n",
        "has group 'p' on both sides of the split, in lines 2 and 3: ",
        id="group on both sides",
    ),
    pytest.param(
        "image,cat,dog\na,1,0\nb,1,1\n",
        "line 3 of 'labels.csv' has a 1 in 'cat', 'dog'",
        id="two ones",
    ),
    pytest.param("image,cat,dog\na,1,0\nb,0,0\n", "line 3 of 'labels.csv' has no 1", id="no one"),
    pytest.param(
        "path,label\nx/a.jpg,cat\n",
        "is an image under 'images': the first is 'x/a.jpg'",
        id="elsewhere",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_table_gets_one_line(folder, monkeypatch, text, message):
    write(folder, text)
    monkeypatch.chdir(folder.parent)
    with pytest.raises(InputError) as error:
        list_labelled_images("images", table="labels.csv")
    assert message in str(error.value)
    assert "; " in str(error.value) or ": " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_matched_in_any_normal_form(folder, form):
    accented = {other: unicodedata.normalize(other, "caf\u00e9.jpg") for other in ("NFC", "NFD")}
    (folder / accented["NFD"]).touch()
    text = f"path,label\n{accented[form]},cat\nb.jpg,dog\n"
    assert listed(folder, text).label_of == {accented["NFD"]: "cat", "b.jpg": "dog"}
    (folder / accented["NFC"]).touch()  # now each line is of the image of exactly its name
    if sum(path.name.startswith("caf") for path in folder.iterdir()) == 2:
        assert accented[form] in listed(folder, text).paths
        with pytest.raises(InputError, match="matches 2 images"):
            listed(folder, text.replace(accented[form], accented["NFC"][:-4]))


def test_a_suffix_in_another_case_is_not_another_image(folder):
    (folder / "a.JPG").touch()
    if sum(path.stem == "a" for path in folder.iterdir()) == 2:  # the disk distinguishes case
        assert "a.JPG" not in listed(folder, "path,label\na.jpg,cat\nb,dog\n").paths
        with pytest.raises(InputError, match=r"matches 2 images, 'a\.JPG', 'a\.jpg'"):
            listed(folder, "path,label\na.Jpg,cat\nb,dog\n")


def test_a_line_that_matches_two_images_is_refused(folder):
    (folder / "a.png").touch()
    with pytest.raises(InputError, match=r"line 2 of .* matches 2 images, 'a.jpg', 'a.png': "):
        listed(folder, "path,label\na,cat\nb,dog\n")
    assert "a.png" not in listed(folder, "path,label\na.jpg,cat\nb,dog\n").paths


@pytest.mark.parametrize(("table", "why"), [("none.csv", "no such file"), ("images", "is a dir")])
def test_a_table_that_cannot_be_read_is_named(folder, monkeypatch, table, why):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(InputError, match=f"cannot read '{table}': {why}"):
        read_label_table(table)


def test_dogs_and_cats_are_labelled_by_their_names(tmp_path):
    for name in ("dog.1.jpg", "cat.0.jpg", "dog.12500.jpg", "great_dane_7.jpg", "cat (3).jpg"):
        (tmp_path / name).touch()
    images = list_labelled_images(tmp_path, labels_from="name")
    assert images.label_names == ("cat", "dog", "great_dane")
    assert images.label_of["cat (3).jpg"] == "cat"
    assert images.labelling.record(images.label_of) == {"from": "name"}


def test_names_without_a_class_are_refused(tmp_path):
    for name in ("1.jpg", "002.jpg", "dog.1.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"2 images .* no class in the name, '002.jpg', '1.jpg': "):
        list_labelled_images(tmp_path, labels_from="name")
