"""Presets of KerasHub from the command line: extract, resume, train, classify."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import CLASSES, N_IMAGES
from draw import draw_images
from smallpresets import save_preset

import classify_images
import extract_features
import train_model
from pyimagesearch.extraction.shipment import required_versions
from pyimagesearch.nn import NetworkChoice, load_network
from pyimagesearch.preprocessing import load_image

pytestmark = [
    pytest.mark.keras_hub,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras
]


class StoppedError(Exception):
    """Ends a run as a crash would."""


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """Return a folder with a preset of a DINOv2, drawn images, and their features."""
    root = tmp_path_factory.mktemp("house")
    save_preset(root / "dinov2_tiny", "dinov2")
    draw_images(root / "images", CLASSES, N_IMAGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "0")
        patch.chdir(root)
        assert extract_features.main(command("features.hdf5")) == 0
    return root


@pytest.fixture(autouse=True)
def at_home(house, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    monkeypatch.chdir(house)


def command(output: str, *options: str) -> list[str]:
    return ["-d", "images", "-o", output, "--network", "./dinov2_tiny", "-s", "5", *options]


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_the_rows_are_those_of_images_in_their_own_size():
    network = load_network(NetworkChoice("./dinov2_tiny"))
    with h5py.File("features.hdf5") as file:
        rows, record = file["features"][:], json.loads(file["features"].attrs["provenance"])
    assert (record["network"], record["pooling"]) == ("dinov2_tiny", "cls")
    assert record["preprocessing"]["interpolation"] == "bicubic"
    assert record["weights_file"] == str(Path("dinov2_tiny").absolute())
    images = [load_image(Path("images", path), size=None) for path in record["paths"]]
    batch = np.stack([network.preprocess(image) for image in images])
    n = network.batch_size
    expected = np.concatenate([network(batch[i : i + n]) for i in range(0, len(batch), n)])
    np.testing.assert_array_equal(rows, expected)


def test_a_run_that_was_stopped_is_resumed_to_the_same_bytes(monkeypatch):
    def load_mortal(*arguments, **options):
        network = load_network(*arguments, **options)
        compute = type(network).__call__

        class Mortal(type(network)):
            n_calls = 0

            def __call__(self, batch):
                self.n_calls += 1
                if self.n_calls == 2:
                    raise StoppedError
                return compute(self, batch)

        network.__class__ = Mortal
        return network

    choice = NetworkChoice("./dinov2_tiny")
    with pytest.raises(StoppedError):
        extract_features.extract(
            "images", "b.hdf5", choice=choice, buffer_size=5, load_network=load_mortal
        )
    assert Path("b.hdf5.partial").exists()
    assert extract_features.main(command("b.hdf5")) == 0
    assert Path("b.hdf5").read_bytes() == Path("features.hdf5").read_bytes()


def test_a_run_is_not_resumed_with_another_preset(capsys):
    shutil.copy("features.hdf5", "c.hdf5.partial")
    with h5py.File("c.hdf5.partial", "r+") as file:
        record = json.loads(file["features"].attrs["provenance"])
        record["weights"]["sha256"] = "0" * 64
        file["features"].attrs["provenance"] = json.dumps(record)
    assert extract_features.main(command("c.hdf5")) == 1
    assert f"weights sha256 ({'0' * 64} recorded, " in last_line(capsys)


def test_a_classifier_finds_its_preset_again_and_refuses_another(capsys, tmp_path):
    assert train_model.main(["--db", "features.hdf5", "--model", "m.cpickle"]) == 0
    assert classify_images.main(["--model", "m.cpickle", "images"]) == 0
    out = capsys.readouterr().out
    assert sum(f"images/{name}/" in line for name in CLASSES for line in out.splitlines()) == 15
    moved = Path(shutil.copytree("dinov2_tiny", tmp_path / "moved"))
    assert classify_images.main(["--model", "m.cpickle", "--weights", str(moved), "images"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("images")] == [
        line for line in out.splitlines() if line.startswith("images")
    ]
    with (moved / "config.json").open("a") as file:
        file.write(" ")
    assert classify_images.main(["--model", "m.cpickle", "--weights", str(moved), "images"]) == 1
    assert "was recorded: give the file that the features were made with" in last_line(capsys)


def test_a_whole_model_of_a_preset_is_refused_in_one_line_before_the_search(capsys):
    assert train_model.main(["--db", "features.hdf5", "--model", "m.keras"]) == 1
    assert "resizes images in its own way, which a whole model cannot:" in last_line(capsys)


def test_layers_are_listed_without_weights(capsys, tmp_path):
    bare = Path(shutil.copytree("dinov2_tiny", tmp_path / "bare"))
    (bare / "model.weights.h5").unlink()
    assert extract_features.main(["--network", str(bare), "--list-layers"]) == 0
    out = capsys.readouterr().out
    assert "dinov2_backbone_encoder/layers_0" in out
    assert out.splitlines()[-1].split() == ["dinov2_backbone_layernorm", "17", "x", "8", "136"]


def test_workers_must_have_the_same_keras_hub():
    network = load_network(NetworkChoice("./dinov2_tiny"))
    assert network.packages == ("keras-hub",)
    assert required_versions("keras", network.packages)["keras-hub"] is not None
    assert "keras-hub" not in required_versions("keras")
