import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from pyimagesearch.nn import vgg16, weights
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def model():
    """A headless VGG16 with weights that differ in every layer."""
    model = vgg16.build()
    weights.load_into(model, "random")
    rng = np.random.default_rng(1)
    model.set_weights([rng.standard_normal(w.shape, np.float32) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def with_head(model):
    import keras

    flat = keras.layers.Flatten(name="flatten")(model.output)
    return keras.Model(model.input, keras.layers.Dense(2, name="predictions")(flat))


def write_first_format(model, path: Path) -> None:
    """Write the file that Keras's own download is: names and arrays, layer by layer."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}_{kind}_1:0" for kind in "Wb"][: len(layer.get_weights())]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, layer.get_weights(), strict=True):
                group[name] = array


SAVERS = {
    "first.h5": write_first_format,
    "saved.h5": lambda model, path: model.save(path),
    "saved.weights.h5": lambda model, path: model.save_weights(path),
    "saved.keras": lambda model, path: model.save(path),
}


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("head", [False, True], ids=["base", "whole"])
def test_every_kind_of_weights_file_is_loaded_number_by_number(
    tmp_path, model, with_head, name, head
):
    path = tmp_path / name
    SAVERS[name](with_head if head else model, path)
    other = vgg16.build()
    loaded = weights.load_into(other, str(path))
    for got, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert loaded == weights.Weights(name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("name", SAVERS)
def test_the_weights_of_another_network_are_refused(tmp_path, name):
    import keras

    path = tmp_path / name
    shape = (*vgg16.INPUT_SIZE, 3)
    SAVERS[name](keras.applications.VGG19(include_top=False, weights=None, input_shape=shape), path)
    with pytest.raises(InputError, match=r"damaged or not VGG16's") as caught:
        weights.load_into(vgg16.build(), str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SAVERS)
def test_a_weights_file_cut_short_is_refused(tmp_path, model, name):
    path = tmp_path / name
    SAVERS[name](model, path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"damaged or not VGG16's"):
        weights.load_into(vgg16.build(), str(path))


def test_a_weights_file_without_one_layer_is_refused(tmp_path, model):
    path = tmp_path / "first.h5"
    write_first_format(model, path)
    with h5py.File(path, "r+") as file:
        names = [name for name in file.attrs["layer_names"] if "block4_conv2" not in str(name)]
        file.attrs["layer_names"] = names
    with pytest.raises(InputError, match="some layers are missing"):
        weights.load_into(vgg16.build(), str(path))


def test_a_weights_file_with_a_number_that_is_none_is_refused(tmp_path, model):
    path = tmp_path / "first.h5"
    write_first_format(model, path)
    with h5py.File(path, "r+") as file:
        file["block1_conv1/block1_conv1_W_1:0"][0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        weights.load_into(vgg16.build(), str(path))


def test_random_weights_are_he_initialised_and_always_the_same():
    model, again = vgg16.build(), vgg16.build()
    loaded = weights.load_into(model, "random")
    assert weights.load_into(again, "random") == loaded
    for array, same in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(array, same)
    for kernel, bias in zip(model.get_weights()[::2], model.get_weights()[1::2], strict=True):
        fan_in = np.prod(kernel.shape[:-1])
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan_in), rtol=0.05)
        assert not bias.any()


@pytest.fixture
def keras_home(tmp_path, monkeypatch) -> Path:
    """An empty folder where the ImageNet weights would be."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_imagenet_weights_are_looked_for_where_keras_keeps_them(keras_home, monkeypatch):
    import keras

    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: str(keras_home))
    path = weights.imagenet_path()
    path.parent.mkdir()
    path.write_bytes(b"kept")
    assert keras.utils.get_file(path.name, "http://unused", cache_subdir="models") == str(path)


def test_imagenet_weights_that_are_there_are_loaded(keras_home, model, monkeypatch):
    path = weights.imagenet_path()
    path.parent.mkdir()
    write_first_format(model, path)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(weights, "IMAGENET_MD5", md5)
    other = vgg16.build()
    assert weights.load_into(other, "imagenet").name == "imagenet"
    np.testing.assert_array_equal(other.get_weights()[-2], model.get_weights()[-2])


def test_imagenet_weights_are_downloaded_once(keras_home, model, tmp_path, monkeypatch):
    import keras

    served = tmp_path / "served.h5"
    write_first_format(model, served)
    monkeypatch.setattr(weights, "IMAGENET_URL", served.as_uri())
    monkeypatch.setattr(weights, "IMAGENET_MD5", hashlib.md5(served.read_bytes()).hexdigest())
    monkeypatch.setattr(keras.utils, "get_file", keras.utils.get_file)
    weights.load_into(vgg16.build(), "imagenet")
    served.unlink()
    other = vgg16.build()
    weights.load_into(other, "imagenet")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    assert list(weights.imagenet_path().parent.iterdir()) == [weights.imagenet_path()]


def test_damaged_imagenet_weights_are_named_and_not_deleted(keras_home):
    path = weights.imagenet_path()
    path.parent.mkdir()
    path.write_bytes(b"half a download")
    with pytest.raises(InputError, match="is damaged"):
        weights.load_into(vgg16.build(), "imagenet")
    assert path.read_bytes() == b"half a download"


def test_weights_that_cannot_be_downloaded_are_never_replaced_by_random_ones(
    keras_home, monkeypatch
):
    monkeypatch.setattr(weights, "IMAGENET_URL", (keras_home / "nowhere").as_uri())
    with pytest.raises(InputError) as caught:
        weights.load_into(vgg16.build(), "imagenet")
    message = str(caught.value)
    assert weights.IMAGENET_URL in message
    assert str(weights.imagenet_path()) in message
    assert "--weights FILE" in message
    assert "\n" not in message
    assert not list(weights.imagenet_path().parent.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("missing.h5", "no weights file", id="missing"),
        pytest.param("imagnet", "no weights file 'imagnet'", id="misspelt"),
        pytest.param("model.pt", r"ends in '\.pt'", id="another kind"),
    ],
)
def test_what_is_no_weights_file_is_refused_at_once(tmp_path, name, message):
    (tmp_path / "model.pt").touch()
    path = name if name == "imagnet" else str(tmp_path / name)
    with pytest.raises(InputError, match=message):
        weights.check_weights(path)
