"""One decoding for all images of a data set: from the check to the file, the classifier, the rest.

Half of the images are floats, half are turned.
"""

import contextlib
import csv
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import fake_network, load_fake
from PIL import Image
from sklearn.linear_model import LogisticRegression

import classify_images
import extract_features
from extract_features import extract
from pyimagesearch.io import open_features
from pyimagesearch.linear import save_classifier
from pyimagesearch.preprocessing import Decoding, check_images, load_image
from pyimagesearch.preprocessing.decoding import AS_STORED
from pyimagesearch.utils import InputError
from pyimagesearch.utils.console import console_logging

RANGE = (0.0, 300.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Save counts of 0 to 300, which only one image shows, and turned JPEGs."""
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[274] = 6
    for name, brightest in (("cats", 300), ("dogs", 60)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(4):
            values = rng.random((32, 40)).astype(np.float32) * brightest
            values[0, :2] = 0, brightest
            Image.fromarray(values).save(tmp_path / "images" / name / f"{i}.tif")
            pixels = rng.integers(0, 256, (32, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.jpg", exif=exif)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "images"


def provenance(path):
    with h5py.File(path) as db:
        return json.loads(db["features"].attrs["provenance"])


def rows(path):
    with open_features(path) as features:
        return features.read(0, len(features.labels))


def rows_of(folder, path, decoding):
    """Return the rows that the fake network gives of the images recorded in a file."""
    network = fake_network()
    return np.concatenate(
        [
            network(load_image(folder / name, (32, 32), decoding=decoding)[None])
            for name in provenance(path)["paths"]
        ]
    )


def stopped(n_batches):
    """Return a loader of a network that fails after so many batches of two."""
    network = fake_network(concurrent=False)
    compute, left = network.compute, iter(range(n_batches))

    def fail_at_last(batch):
        if next(left, None) is None:
            raise InputError("stopped here")
        return compute(batch)

    network.compute = fail_at_last
    return lambda *_: network


def check_as_1_0_0(images, jobs, advance, earlier):
    return check_images(images, jobs, advance, replace(earlier, decoding=AS_STORED))


def test_it_is_reported_and_recorded_and_decides_on_the_rows(folder, capsys):
    with console_logging("extract_features"):
        extract(folder, "f.hdf5", load_network=load_fake)
    printed = capsys.readouterr().out
    assert "[INFO] float images: 0 to 300 becomes black to white in all 8 of them\n" in printed
    assert "[INFO] turned upright by orientation flags: 8 images\n" in printed
    recorded = {"upright": True, "float_range": [0.0, 300.0], "white_16_bit": None}
    assert provenance("f.hdf5")["decoding"] == recorded
    expected = rows_of(folder, "f.hdf5", Decoding(float_range=RANGE))
    np.testing.assert_array_equal(rows("f.hdf5"), expected)


@pytest.mark.parametrize("n_batches", [0, 3, 7])
def test_a_resumed_run_takes_it_from_the_file(folder, n_batches):
    extract(folder, "whole.hdf5", load_network=load_fake)
    with pytest.raises(InputError, match="stopped here"):
        extract(folder, "f.hdf5", load_network=stopped(n_batches), buffer_size=1)
    extract(folder, "f.hdf5", load_network=load_fake)
    assert Path("f.hdf5").read_bytes() == Path("whole.hdf5").read_bytes()


def test_an_unfinished_file_of_1_0_0_is_resumed_as_it_began(folder, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(extract_features, "check_images", check_as_1_0_0)
        extract(folder, "whole.hdf5", load_network=load_fake)
        with contextlib.suppress(InputError):
            extract(folder, "f.hdf5", load_network=stopped(3), buffer_size=1)
    assert "decoding" not in provenance("f.hdf5.partial")
    with console_logging("extract_features"):
        extract(folder, "f.hdf5", load_network=load_fake)
    assert "upright" not in capsys.readouterr().out
    assert Path("f.hdf5").read_bytes() == Path("whole.hdf5").read_bytes()
    np.testing.assert_array_equal(rows("f.hdf5"), rows_of(folder, "f.hdf5", AS_STORED))


def classify(path, extraction):
    """Train on a file, and return the probabilities of its images and those of classifying them."""
    with open_features(path) as features:
        X, y = features.read(0, len(features.labels)), features.labels
        model = LogisticRegression(C=1e-4).fit(X.astype(float), y)
        save_classifier("m.cpickle", model, features.label_names, extraction)
        paths = [str(Path("images", name)) for name in features.record.paths]
    command = ["-m", "m.cpickle", *paths, "--csv", "a.csv", "--all", "--sheet", "sheet.png"]
    assert classify_images.main(command, load=lambda *_, **__: fake_network()) == 0
    with Path("a.csv").open(newline="") as file:
        got = np.array([row[3:] for row in list(csv.reader(file))[1:]], float)
    return got, model.predict_proba(X)


def test_new_images_are_read_as_those_that_trained(folder):
    extract(folder, "f.hdf5", load_network=load_fake)
    np.testing.assert_allclose(*classify("f.hdf5", provenance("f.hdf5")), atol=1e-12)


def test_a_classifier_of_1_0_0_reads_images_as_it_did(folder, monkeypatch):
    monkeypatch.setattr(extract_features, "check_images", check_as_1_0_0)
    extract(folder, "f.hdf5", load_network=load_fake)
    np.testing.assert_allclose(*classify("f.hdf5", provenance("f.hdf5")), atol=1e-12)


def test_a_float_image_is_refused_by_a_classifier_that_has_seen_none(folder, capsys):
    for path in folder.glob("*/*.tif"):
        path.rename(path.with_suffix(".tif.txt"))
    extract(folder, "f.hdf5", load_network=load_fake)
    recorded = provenance("f.hdf5")
    (folder / "new.tif").write_bytes((folder / "cats" / "1.tif.txt").read_bytes())
    with open_features("f.hdf5") as features:
        X, y = features.read(0, len(features.labels)), features.labels
        model = LogisticRegression().fit(X.astype(float), y)
        save_classifier("m.cpickle", model, features.label_names, recorded)
    command = ["-m", "m.cpickle", str(folder / "new.tif")]
    assert classify_images.main(command, load=lambda *_, **__: fake_network()) == 1
    assert "new.tif' cannot be read: it holds floats or 32-bit integers" in capsys.readouterr().err


def test_images_without_a_common_range_stop_the_run_in_one_line(folder, capsys):
    Image.fromarray(np.full((9, 9), 0.5, np.float32) * np.arange(9, dtype="f4")).save(
        folder / "dogs" / "small.tif"
    )
    for path in folder.glob("cats/*.tif"):
        values = np.asarray(Image.open(path)) * 200
        Image.fromarray(values).save(path)
    for path in folder.glob("dogs/*.tif"):
        values = np.asarray(Image.open(path)) / 60
        Image.fromarray(values).save(path)
    with pytest.raises(InputError, match="float images are on different scales"):
        extract(folder, "f.hdf5", load_network=load_fake)
    assert not Path("f.hdf5").exists()
    assert not Path("f.hdf5.partial").exists()
