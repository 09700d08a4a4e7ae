"""Files that 1.0.0 made keep working; tests/data/1.0.0/make.py had its code make them."""

import csv
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import fake_network, load_fake

import classify_images
import train_model
from extract_features import extract
from pyimagesearch.io import open_features

MADE = Path(__file__).parent / "data" / "1.0.0"


@pytest.fixture(autouse=True)
def in_a_copy(tmp_path, monkeypatch):
    shutil.copytree(MADE, tmp_path / "1.0.0")
    monkeypatch.chdir(tmp_path / "1.0.0")


def probabilities(path: str) -> tuple[list[str], np.ndarray]:
    with Path(path).open(newline="") as file:
        rows = list(csv.reader(file))
    return [row[0] for row in rows], np.array([row[3:] for row in rows[1:]], float)


def test_an_unfinished_file_is_completed_to_the_same_bytes(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    done = extract("images", "unfinished", load_network=load_fake)
    assert done.n_computed == 10  # three batches of two are there
    assert Path("unfinished").read_bytes() == Path("features.hdf5").read_bytes()


def test_a_features_file_records_its_images_and_nothing_that_1_0_0_did_not_know():
    with open_features("features.hdf5") as features:
        record = features.record
        assert features.shape == (16, 24)
        assert (record.network, record.seed, len(record.paths)) == ("fake", 42, 16)
        assert record.decoding is None
        assert record.duplicate_groups is None


@pytest.mark.parametrize("name", ["features", "vgg16"])
def test_training_on_a_features_file_gives_the_classifier_that_1_0_0_found(name, capsys):
    assert train_model.main(["-d", f"{name}.hdf5", "-m", "new.cpickle"]) == 0
    assert capsys.readouterr().err == ""
    old, new = (pickle.loads(Path(f"{stem}.cpickle").read_bytes()) for stem in (name, "new"))
    assert new.C == old.C
    assert new.label_names_ == old.label_names_
    # Both are within a bound of the minimum, which they approach in different ways.
    np.testing.assert_allclose(new.coef_, old.coef_, atol=0.01 * np.abs(old.coef_).max())
    assert new.extraction_ == old.extraction_


@pytest.mark.parametrize("suffix", [".cpickle", ".skops"])
@pytest.mark.parametrize("name", ["features", "vgg16"])
def test_a_classifier_answers_as_it_did(name, suffix):
    """Also of images on their side and of floats, which are now read in another way."""
    paths, expected = probabilities(f"{name}.csv")
    options = {"load": lambda *_, **__: fake_network()} if name == "features" else {}
    argv = ["-m", f"{name}{suffix}", *paths[1:], "--csv", "new.csv", "--all"]
    assert classify_images.main(argv, **options) == 0
    new_paths, got = probabilities("new.csv")
    assert new_paths == paths
    # Of a real network the last digits are those of the processor.
    np.testing.assert_allclose(got, expected, atol=1e-12 if name == "features" else 1e-4)


def test_the_images_of_these_files_would_be_read_in_another_way_today():
    extract("images", "new.hdf5", load_network=load_fake)
    with h5py.File("new.hdf5") as new, h5py.File("features.hdf5") as old:
        assert list(new["labels"]) == list(old["labels"])
        differing = (new["features"][:] != old["features"][:]).any(axis=1).sum()
    assert differing >= 4
