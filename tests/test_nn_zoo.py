"""The table of networks against keras.applications itself, and a few networks whole."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from photographs import photographs, relative_difference

from pyimagesearch.nn import PREPROCESSINGS, NetworkChoice, list_layers, load_network, zoo
from pyimagesearch.nn.kerasmodel import fill_with_random
from pyimagesearch.nn.zoo import vgg
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[1]
every_network = pytest.mark.parametrize("name", zoo.ZOO)


def constructor_of(name: str):
    import keras

    return getattr(keras.applications, name)


def module_of(name: str):
    return sys.modules[constructor_of(name).__module__]


def test_the_table_has_every_network_of_keras():
    import keras

    theirs = {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and "include_top" in inspect.signature(value).parameters
    }
    assert set(zoo.ZOO) == theirs


@every_network
def test_its_size_is_the_one_that_keras_takes_by_default(name, monkeypatch):
    class Asked(Exception):  # noqa: N818
        pass

    def obtain_input_shape(input_shape, default_size, **_):
        raise Asked(input_shape, default_size)

    imagenet_utils = module_of(name).imagenet_utils
    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", obtain_input_shape)
    if name.startswith("MobileNetV3"):  # built for any size by default; its text names its own
        assert "(224, 224, 3)" in constructor_of(name).__doc__
        assert zoo.ZOO[name].size == 224
        return
    with pytest.raises(Asked) as caught:
        constructor_of(name)(weights=None)
    assert caught.value.args == (None, zoo.ZOO[name].size)


@every_network
def test_its_preprocessing_is_keras_to_the_last_bit(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    expected = module_of(name).preprocess_input(pixels.astype(np.float32))
    got = PREPROCESSINGS[zoo.ZOO[name].preprocessing](pixels)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", vgg.VGG)
def test_its_weights_are_the_file_that_keras_asks_for(name, monkeypatch):
    class Asked(Exception):  # noqa: N818
        pass

    def get_file(fname, origin, file_hash, **_):
        raise Asked(origin, file_hash)

    monkeypatch.setattr(module_of(name).file_utils, "get_file", get_file)
    with pytest.raises(Asked) as caught:
        constructor_of(name)(include_top=False)
    assert caught.value.args == (vgg.VGG[name].url, vgg.VGG[name].md5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param("MobileNet", 128, id="scaled to -1 to 1"),
        pytest.param("MobileNetV3Small", 224, id="of its own size"),
        pytest.param("EfficientNetB0", 64, id="scales the pixels itself"),
    ],
)
def test_a_network_gives_what_keras_gives_by_hand(name, size):
    pixels = photographs(2, size)
    choice = NetworkChoice(name.upper(), size=(size, size), weights="random")
    network = load_network(choice, batch_size=2)
    model = constructor_of(name)(include_top=False, weights=None, input_shape=(size, size, 3))
    fill_with_random(model)
    prepared = module_of(name).preprocess_input(pixels.astype(np.float32))
    expected = model.predict(prepared, verbose=0).reshape(2, -1)
    rows = network(network.preprocess(pixels))
    assert network.description.feature_shape == model.output.shape[1:]
    assert expected.std() > 0
    assert relative_difference(rows, expected) < 1e-5


@pytest.mark.slow
def test_layers_have_the_same_names_however_many_networks_were_built_before():
    choice = NetworkChoice("MobileNetV3Small", size=(32, 32))
    names = list(list_layers(choice))
    assert "re_lu" in names  # numbered from the second one on
    assert list(list_layers(choice)) == names


@pytest.mark.slow
def test_the_layers_of_a_plain_chain_are_those_of_keras():
    model = zoo.build(zoo.ZOO["VGG19"], (75, 75))
    theirs = {layer.name: layer.output.shape[1:] for layer in model.layers[1:]}
    assert list_layers(NetworkChoice("VGG19", size=(75, 75))) == theirs


@pytest.mark.slow
def test_wrong_names_and_the_layers_of_a_plain_chain_need_no_keras():
    program = (
        "import sys, extract_features\n"
        "assert extract_features.main(['--list-layers']) == 0\n"
        "try:\n"
        "    extract_features.main(['--list-layers', '--network', 'ResNet5'])\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 2\n"
        "assert extract_features.main(['-n', 'gone.keras', '--list-layers']) == 1\n"
        "assert not {'keras', 'tensorflow'} & sys.modules.keys()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["layer", "shape", "numbers", "per", "image"]
    assert " ".join(lines[1].split()) == "block1_conv1 224 x 224 x 64 3,211,264"
    assert " ".join(lines[-1].split()) == "block5_pool 7 x 7 x 512 25,088"
    assert len(lines) == 1 + 18


def test_the_nearest_names_are_named():
    with pytest.raises(InputError, match=r"no network 'EficientNetB0': expected 'EfficientNetB0'"):
        NetworkChoice("EficientNetB0")
