"""The names of KerasHub's presets, and the errors where one cannot be used."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

import extract_features
from pyimagesearch.nn import NetworkChoice, presets, zoo
from pyimagesearch.nn.presets import names
from pyimagesearch.utils import InputError

needs_keras_hub = pytest.mark.keras_hub
PAGE = "https://www.kaggle.com/models/keras/dinov2/keras/dinov2_small"


@pytest.fixture
def without_keras_hub(monkeypatch):
    """Hide it, as far as it is found without being imported."""
    monkeypatch.setattr(names, "is_installed", lambda: False)
    monkeypatch.setattr(names.importlib.util, "find_spec", lambda name: None)
    names.image_presets.cache_clear()
    yield
    names.image_presets.cache_clear()


def test_without_keras_hub_a_preset_is_answered_with_what_to_install(
    without_keras_hub, tmp_path, capsys
):
    Path(tmp_path, "preset").mkdir()
    for network in ("dinov2_small", str(tmp_path / "preset")):
        with pytest.raises(SystemExit) as caught:
            extract_features.main(["-d", "a", "-o", "b", "--network", network])
        assert caught.value.code == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert "KerasHub, which is not installed: pip install -r requirements-hub.txt" in last


@needs_keras_hub
def test_a_name_that_is_nowhere_is_answered_with_the_nearest_of_both_worlds():
    with pytest.raises(InputError, match="no network 'dinov2_smal': expected 'dinov2_small' or"):
        NetworkChoice("dinov2_smal")
    with pytest.raises(InputError, match="no network 'VGG1': expected 'VGG19' or"):
        NetworkChoice("VGG1")


@needs_keras_hub
def test_a_name_of_keras_applications_is_not_a_preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vgg16").mkdir()
    assert not NetworkChoice("vgg16").is_preset
    assert NetworkChoice("./vgg16").folder == Path("./vgg16")
    Path("dinov2_small").mkdir()
    assert NetworkChoice("dinov2_small").folder is None
    Path("own").mkdir()
    assert NetworkChoice("own").folder == Path("own")
    assert not {name.lower() for name in zoo.ZOO} & presets.image_presets().keys()


@needs_keras_hub
def test_weights_beside_a_preset_are_refused():
    with pytest.raises(InputError, match="'dinov2_small' brings its own weights"):
        NetworkChoice("dinov2_small", weights="random")


@needs_keras_hub
@pytest.mark.slow
def test_the_names_are_those_that_keras_hub_registers():
    code = (
        "import keras_hub\n"
        "from keras_hub.src.utils.preset_utils import BUILTIN_PRESETS_FOR_BACKBONE\n"
        "from keras_hub.src.utils.preset_utils import list_subclasses\n"
        "converters = list_subclasses(keras_hub.layers.ImageConverter)\n"
        "for backbone in filter(None, (each.backbone_cls for each in converters)):\n"
        "    for name, about in BUILTIN_PRESETS_FOR_BACKBONE[backbone].items():\n"
        "        print(name, about['kaggle_handle'], backbone.__module__.split('.')[-2])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["dinov2_small", "kaggle://keras/dinov2/keras/dinov2_small/1", "dinov2"] in lines
    known = {name: f"kaggle://{handle}" for name, handle in presets.image_presets().items()}
    assert set(names.NOT_FOR_SINGLE_IMAGES) <= {family for *_, family in lines}
    for name, handle, family in lines:
        assert known.get(name) == (None if family in names.NOT_FOR_SINGLE_IMAGES else handle)


@needs_keras_hub
def test_a_wrong_name_is_answered_without_importing_keras_or_keras_hub():
    code = (
        "import sys, extract_features\n"
        "try: extract_features.main(['-d', 'a', '-o', 'b', '--network', 'dinov2_smal'])\n"
        "except SystemExit as error: print(error.code)\n"
        "print(sorted({'keras', 'keras_hub', 'kagglehub'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["2", "[]"]


@needs_keras_hub
@pytest.mark.parametrize(
    ("failure", "message"),
    [
        pytest.param(
            requests.ConnectionError("Max retries exceeded with url: /v1"),
            "from Kaggle: it cannot be reached; download it by hand from",
            id="offline",
        ),
        pytest.param(
            OSError("disk quota exceeded\nand more"),
            "from Kaggle: disk quota exceeded; download it by hand from",
            id="disk",
        ),
        pytest.param(
            401, "from Kaggle: HTTP 401; sign in and accept its terms, download", id="401"
        ),
        pytest.param(
            403, "from Kaggle: HTTP 403; sign in and accept its terms, download", id="403"
        ),
    ],
)
def test_a_preset_that_cannot_be_fetched_is_answered_with_how_to_get_it(
    monkeypatch, failure, message
):
    import kagglehub

    def fail(handle, path):
        assert (handle, path) == ("keras/dinov2/keras/dinov2_small/1", "config.json")
        error = failure
        if isinstance(failure, int):
            error = RuntimeError(f"{failure} Client Error.\n\nYou don't have permission")
            error.response = SimpleNamespace(status_code=failure)
        raise error

    monkeypatch.setattr(kagglehub, "model_download", fail)
    with pytest.raises(InputError) as caught:
        presets.find("dinov2_small")
    assert str(caught.value).startswith(f"cannot download preset 'dinov2_small' {message}")
    assert f"{PAGE}, unpack it, and give its folder as the network, ./dinov2_small" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


@needs_keras_hub
@pytest.mark.parametrize("sharded", [False, True], ids=["one file", "several"])
def test_a_preset_is_fetched_by_the_file_and_once(monkeypatch, tmp_path, sharded):
    import kagglehub

    kept = {"config.json": "{}", "model.weights.h5": "numbers"}
    if sharded:
        kept |= {"model.weights.json": '{"weight_map": {"a": "m_1.h5", "b": ["m_0.h5", "m_1.h5"]}}'}
        kept |= {"m_0.h5": "0", "m_1.h5": "1"}
        del kept["model.weights.h5"]
    asked = []

    def download(handle, path):
        asked.append(path)
        if path not in kept:
            error = RuntimeError("404 Client Error")
            error.response = SimpleNamespace(status_code=404)
            raise error
        (tmp_path / path).write_text(kept[path])
        return str(tmp_path / path)

    monkeypatch.setattr(kagglehub, "model_download", download)
    preset = presets.find("dinov2_small")
    assert (preset.folder, preset.has_converter) == (tmp_path, False)
    expected = ["config.json", "image_converter.json", "model.weights.h5"]
    assert asked == expected + (["model.weights.json", "m_0.h5", "m_1.h5"] if sharded else [])
    weights = preset.weights()
    assert weights.name == "preset"
    (tmp_path / ("m_1.h5" if sharded else "model.weights.h5")).write_text("others")
    assert preset.weights().sha256 != weights.sha256
