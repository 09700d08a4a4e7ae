"""Whole runs with labels from tables and names: what is in the file, and how a run is resumed."""

import contextlib
import random

import h5py
import numpy as np
import pytest
from draw import draw_images
from test_extract_folders import provenance, run, stop_after

from pyimagesearch.io import open_features
from pyimagesearch.utils import InputError


@pytest.fixture
def flat(tmp_path, monkeypatch):
    """Draw 24 images in one folder, and return it with a line of a table for each."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    draw_images(tmp_path / "drawn", ["cats", "dogs", "owls"], 8)
    folder = tmp_path / "flat"
    folder.mkdir()
    lines = {}
    for path in sorted((tmp_path / "drawn").rglob("*.jpg")):
        path.rename(folder / path.name)
        lines[path.name] = path.parent.name
    return folder, lines


def table(folder, lines, header="id,breed"):
    path = folder.parent / "labels.csv"
    path.write_text("\n".join([header, *lines]))
    return str(path)


def rows_of(path):
    """Return the label's name of each row's image."""
    with open_features(path) as features:
        names = [features.label_names[label] for label in features.labels]
        return dict(zip(features.record.paths, names, strict=True)), features.n_train


def test_a_table_labels_the_rows_whatever_its_order(flat, tmp_path):
    folder, labels = flat
    lines = [f"{name[:-4]},{label}" for name, label in labels.items()]
    one, other = tmp_path / "one.hdf5", tmp_path / "other.hdf5"
    run(folder, one, labels=table(folder, lines))
    random.Random(3).shuffle(lines)
    run(folder, other, labels=table(folder, lines))
    assert rows_of(one) == (labels, 18)
    assert one.read_bytes() == other.read_bytes()
    assert "n_train" not in provenance(one)
    assert "groups" not in provenance(one)


def test_names_label_the_rows(flat, tmp_path):
    folder, labels = flat
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("_", "."))
    printed = run(folder, tmp_path / "f.hdf5", labels_from="name")
    assert "cats  8\n    dogs  8\n    owls  8" in printed
    assert rows_of(tmp_path / "f.hdf5")[0] == {
        name.replace("_", "."): label for name, label in labels.items()
    }


def test_a_given_split_is_in_the_file_train_first(flat, tmp_path):
    folder, labels = flat
    splits = {name: "train" if i % 2 else "test" for i, name in enumerate(labels)}
    lines = [f"{name},{label},{splits[name]}" for name, label in labels.items()]
    run(folder, tmp_path / "f.hdf5", labels=table(folder, lines, "path,label,split"))
    recorded = provenance(tmp_path / "f.hdf5")
    assert recorded["n_train"] == 12
    assert [splits[path] for path in recorded["paths"]] == ["train"] * 12 + ["test"] * 12
    assert rows_of(tmp_path / "f.hdf5") == (labels, 12)


def test_a_class_that_the_test_part_lacks_keeps_its_number(flat, tmp_path):
    folder, labels = flat
    splits = [
        "test" if label == "owls" and i % 2 else "train" for i, label in enumerate(labels.values())
    ]
    lines = [
        f"{name},{label},{split}"
        for (name, label), split in zip(labels.items(), splits, strict=True)
    ]
    run(folder, tmp_path / "f.hdf5", labels=table(folder, lines, "path,label,split"))
    with h5py.File(tmp_path / "f.hdf5") as db:
        assert db["label_names"].asstr()[:].tolist() == ["cats", "dogs", "owls"]
        assert set(db["labels"][20:].tolist()) == {2}


@pytest.mark.parametrize("size", [2, 3, 5])
def test_no_patient_is_on_both_sides_of_the_split(flat, tmp_path, size):
    folder, labels = flat
    group_of = {name: f"patient {i // size}" for i, name in enumerate(labels)}
    lines = [f"{name},{label},{group_of[name]}" for name, label in labels.items()]
    run(folder, tmp_path / "f.hdf5", labels=table(folder, lines, "path,label,group"))
    recorded = provenance(tmp_path / "f.hdf5")
    _, n_train = rows_of(tmp_path / "f.hdf5")
    patients = [group_of[path] for path in recorded["paths"]]
    assert not set(patients[:n_train]) & set(patients[n_train:])
    assert 15 <= n_train <= 18
    assert recorded.get("n_train", 18) == n_train
    for group in recorded["groups"]:
        assert len({patients[row] for row in group}) == 1
    assert sum(map(len, recorded["groups"])) == sum(
        patients.count(p) for p in set(patients) if patients.count(p) > 1
    )


def test_duplicates_and_patients_are_one_mechanism(flat, tmp_path):
    folder, labels = flat
    first, *_, last = labels
    (folder / last).write_bytes((folder / first).read_bytes())  # of two patients
    group_of = {name: f"patient {i // 2}" for i, name in enumerate(labels)}
    lines = [f"{name},{label},{group_of[name]}" for name, label in labels.items()]
    run(folder, tmp_path / "f.hdf5", labels=table(folder, lines, "path,label,group"))
    paths = provenance(tmp_path / "f.hdf5")["paths"]
    together = {name for name in labels if group_of[name] in (group_of[first], group_of[last])}
    rows = sorted(paths.index(name) for name in together)
    _, n_train = rows_of(tmp_path / "f.hdf5")
    assert len(rows) == 4
    assert len({row < n_train for row in rows}) == 1


def test_one_group_of_all_is_refused(flat, tmp_path):
    folder, labels = flat
    lines = [f"{name},{label},p" for name, label in labels.items()]
    with pytest.raises(InputError, match="the groups leave none of 24 images to train"):
        run(folder, tmp_path / "f.hdf5", labels=table(folder, lines, "path,label,group"))


def test_a_photograph_on_both_sides_of_a_given_split_is_warned_of(flat, tmp_path, capsys):
    folder, labels = flat
    first, *_, last = labels
    (folder / last).write_bytes((folder / first).read_bytes())
    lines = [f"{n},{label},{'test' if n == last else 'train'}" for n, label in labels.items()]
    run(folder, tmp_path / "f.hdf5", labels=table(folder, lines, "path,label,split"))
    assert "the given split has 1 photograph on both sides, such as" in capsys.readouterr().err


def test_a_run_is_resumed_with_the_same_labels_only(flat, tmp_path):
    folder, labels = flat
    header = "path,label,split,group"
    lines = [
        f"{name},{label},{'train' if i % 3 else 'test'},{'g' if i in (1, 2) else ''}"
        for i, (name, label) in enumerate(labels.items())
    ]
    whole, broken = tmp_path / "whole.hdf5", tmp_path / "broken.hdf5"
    run(folder, whole, labels=table(folder, lines, header))
    with contextlib.suppress(InputError):
        run(
            folder,
            broken,
            labels=table(folder, lines, header),
            load_network=stop_after(4),
            buffer_size=1,
        )
    changed = [*lines[:-1], lines[-1].replace("owls", "cats")]
    with pytest.raises(InputError, match=r"which differs in labels sha256 \("):
        run(folder, broken, labels=table(folder, changed, header))
    with pytest.raises(InputError, match="which differs in labels from "):
        run(folder, broken, labels_from="name")
    random.Random(1).shuffle(lines)
    run(folder, broken, labels=table(folder, lines, header))
    assert broken.read_bytes() == whole.read_bytes()


def test_a_run_with_a_table_is_not_resumed_without_it(image_folder, tmp_path):
    lines = [f"{p.relative_to(image_folder)},{p.parent.name}" for p in image_folder.rglob("*.jpg")]
    with contextlib.suppress(InputError):
        named = table(image_folder, lines, "path,label")
        run(image_folder, tmp_path / "f.hdf5", labels=named, load_network=stop_after(4))
    with pytest.raises(InputError, match=r"which differs in labels \("):
        run(image_folder, tmp_path / "f.hdf5")


def test_no_line_of_a_folder_of_classes_is_recorded(image_folder, tmp_path):
    run(image_folder, tmp_path / "f.hdf5")
    assert not {"labels", "n_train", "groups"} & set(provenance(tmp_path / "f.hdf5"))


def test_the_labels_are_those_of_the_images(flat, tmp_path):
    """Swapped labels in the table are swapped labels in the file: order is not what counts."""
    folder, labels = flat
    swapped = {"cats": "dogs", "dogs": "cats", "owls": "owls"}
    lines = [f"{name},{swapped[label]}" for name, label in labels.items()]
    run(folder, tmp_path / "f.hdf5", labels=table(folder, lines))
    assert rows_of(tmp_path / "f.hdf5")[0] == {n: swapped[label] for n, label in labels.items()}
    with h5py.File(tmp_path / "f.hdf5") as db:
        assert np.bincount(db["labels"][:]).tolist() == [8, 8, 8]
