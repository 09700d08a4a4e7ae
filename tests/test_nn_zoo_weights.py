"""Weights of every kind of file, read number by number or not at all, in small networks."""

import functools
import hashlib
import os

import h5py
import numpy as np
import pytest
from smallnetworks import (
    SIZE,
    SMALL,
    load_small,
    load_vgg,
    narrow_model,
    with_numbers,
    write_first_format,
)

from pyimagesearch.nn import Weights, kerasmodel, zoo
from pyimagesearch.nn.zoo.topology import topology_of
from pyimagesearch.nn.zoo.weights import load_zoo
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def small():
    """A small network of Keras, with numbers of its own."""
    return with_numbers(zoo.build(SMALL, SIZE))


@pytest.fixture
def built_once(monkeypatch):
    """The small network with other numbers, which Keras does not build for each file anew."""
    model, build = with_numbers(_other_small(), seed=2), zoo.build

    def build_once(network, size, **options):
        return build(network, size, **options) if options else model

    monkeypatch.setattr(zoo, "build", build_once)


@functools.cache
def _other_small():
    return zoo.build(SMALL, SIZE)


@pytest.fixture(scope="module")
def whole():
    """The small network with its head, and numbers of its own."""
    import keras

    return with_numbers(keras.applications.MobileNet(input_shape=(*SIZE, 3), weights=None))


@pytest.fixture(scope="module")
def nested():
    """A network of Keras that has networks within it, with numbers of its own."""
    return with_numbers(zoo.build(zoo.ZOO["ConvNeXtTiny"], SIZE))


@pytest.fixture(scope="module")
def sibling():
    """A network of Keras of another make."""
    return zoo.build(zoo.ZOO["MobileNetV2"], SIZE)


SAVERS = {
    "first.h5": write_first_format,
    "saved.h5": lambda model, path: model.save(path),
    "saved.weights.h5": lambda model, path: model.save_weights(path),
    "saved.keras": lambda model, path: model.save(path),
}
every_kind = pytest.mark.parametrize("name", SAVERS)


@every_kind
@pytest.mark.parametrize("head", [False, True], ids=["base", "whole"])
def test_every_kind_of_file_fills_a_chain_number_by_number(tmp_path, narrow, name, head):
    path = tmp_path / name
    model = narrow_model(head=head)
    SAVERS[name](model, path)
    arrays, loaded = load_vgg(str(path))
    expected = [layer.get_weights() for layer in model.layers if "conv" in layer.name]
    for got, layer in zip(arrays, expected, strict=True):
        for array, same in zip(got, layer, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, same)
    assert loaded == Weights(name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.slow
@every_kind
@pytest.mark.usefixtures("built_once")
def test_every_kind_of_file_fills_a_network_of_keras_number_by_number(tmp_path, small, name):
    path = tmp_path / name
    SAVERS[name](small, path)
    other, loaded = kerasmodel.zoo_model(SMALL, SIZE, str(path))
    for got, expected in zip(other.weights, small.weights, strict=True):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
    assert loaded == Weights(name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["saved.weights.h5", "saved.keras"])
@pytest.mark.usefixtures("built_once")
def test_the_kind_of_a_file_is_known_by_its_contents(tmp_path, small, kind):
    SAVERS[kind](small, tmp_path / kind)
    path = (tmp_path / kind).rename(tmp_path / "small.h5")
    other, _ = kerasmodel.zoo_model(SMALL, SIZE, str(path))
    for got, expected in zip(other.weights, small.weights, strict=True):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())


@pytest.mark.slow
@every_kind
def test_every_kind_of_file_is_read_without_keras_number_by_number(tmp_path, small, name):
    path = tmp_path / name
    SAVERS[name](small, path)
    arrays, loaded = load_small(str(path))
    layers = [layer for layer in small.layers if layer.weights]
    for got, layer in zip(arrays, layers, strict=True):
        for array, expected in zip(got, layer.weights, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, expected.numpy())
    assert loaded == Weights(name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.slow
@every_kind
def test_networks_within_a_network_are_read_without_keras(tmp_path, nested, name):
    path = tmp_path / name
    SAVERS[name](nested, path)
    _, filled, _ = load_zoo(
        zoo.ZOO["ConvNeXtTiny"], lambda published: topology_of(nested), str(path)
    )
    got = [array for found in filled.values() for array in found]
    for array, expected in zip(got, nested.weights, strict=True):
        np.testing.assert_array_equal(array, expected.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saved.h5", "saved.keras"])
@pytest.mark.usefixtures("built_once")
def test_a_network_with_its_head_fills_one_without(tmp_path, whole, name):
    whole.save(tmp_path / name)
    other, _ = kerasmodel.zoo_model(SMALL, SIZE, str(tmp_path / name))
    read, _ = load_small(str(tmp_path / name))
    arrays = [array for found in read for array in found]
    for got, again, expected in zip(other.weights, arrays, whole.weights, strict=False):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
        np.testing.assert_array_equal(again, expected.numpy())


@every_kind
def test_the_weights_of_a_sibling_are_refused_by_a_chain(tmp_path, narrow, name):
    path = tmp_path / name
    SAVERS[name](narrow_model("VGG19"), path)
    with pytest.raises(InputError, match=r"damaged or not VGG16's") as caught:
        load_vgg(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@every_kind
@pytest.mark.usefixtures("built_once")
def test_the_weights_of_a_sibling_are_refused_by_a_network_of_keras(tmp_path, sibling, name):
    path = tmp_path / name
    SAVERS[name](sibling, path)
    for load in (lambda path: kerasmodel.zoo_model(SMALL, SIZE, path), load_small):
        with pytest.raises(InputError, match=r"damaged or not MobileNet's") as caught:
            load(str(path))
        assert "\n" not in str(caught.value)


@every_kind
@pytest.mark.usefixtures("built_once")
def test_a_file_cut_short_is_refused(tmp_path, narrow, name):
    path = tmp_path / name
    SAVERS[name](narrow_model(), path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"damaged or not VGG16's"):
        load_vgg(str(path))
    for load in (lambda path: kerasmodel.zoo_model(SMALL, SIZE, path), load_small):
        with pytest.raises(InputError, match=r"damaged or not MobileNet's"):
            load(str(path))


def test_a_group_in_the_place_of_an_array_is_refused(tmp_path, narrow):
    path = tmp_path / "first.h5"
    write_first_format(narrow_model(), path)
    with h5py.File(path, "r+") as file:
        (name,) = (name for name in file["block1_conv1"] if name.endswith("_0:0"))
        del file["block1_conv1"][name]
        file["block1_conv1"].create_group(name)
    with pytest.raises(InputError, match=r"first\.h5' is damaged or not VGG16's"):
        load_vgg(str(path))


def test_a_file_without_one_layer_is_refused(tmp_path, narrow):
    path = tmp_path / "first.h5"
    write_first_format(narrow_model(), path)
    with h5py.File(path, "r+") as file:
        names = [name for name in file.attrs["layer_names"] if "block5_conv2" not in str(name)]
        file.attrs["layer_names"] = names
    with pytest.raises(InputError, match="some layers are missing"):
        load_vgg(str(path))


@pytest.mark.slow
@pytest.mark.usefixtures("built_once")
def test_a_number_that_is_not_finite_is_refused(tmp_path, narrow, small):
    for model, load in (
        (narrow_model(), load_vgg),
        (small, load_small),
        (small, lambda path: kerasmodel.zoo_model(SMALL, SIZE, path)),
    ):
        path = tmp_path / "first.h5"
        write_first_format(model, path)
        with h5py.File(path, "r+") as file:
            first = next(group for group in file.values() if len(group))
            next(iter(first.values()))[(0,) * 4] = np.nan
        with pytest.raises(InputError, match="not finite"):
            load(str(path))


@pytest.fixture
def published_efficientnet(monkeypatch, tmp_path):
    """What stands where EfficientNetB0's ImageNet weights are published, and its network.

    Keras builds one layer more for these weights than for any others.
    """
    import keras

    network = zoo.ZOO["EfficientNetB0"]
    model = zoo.build(network, SIZE)
    normalization = next(x for x in model.layers if isinstance(x, keras.layers.Normalization))
    kerasmodel.fill_with_random(model)
    normalization.adapt_mean.assign([0.4, 0.5, 0.6])
    served = tmp_path / "served.h5"
    write_first_format(model, served)
    digest = hashlib.md5(served.read_bytes()).hexdigest()
    module = keras.src.applications.efficientnet
    monkeypatch.setitem(module.WEIGHTS_HASHES, "b0", (digest, digest))
    monkeypatch.setattr(module, "BASE_WEIGHTS_PATH", f"{tmp_path.as_uri()}/")
    served.rename(tmp_path / "efficientnetb0_notop.h5")
    return network, tmp_path / "efficientnetb0_notop.h5"


@pytest.mark.slow
def test_published_weights_are_the_same_network_from_wherever_they_come(
    published_efficientnet, keras_home, tmp_path
):
    import keras

    network, path = published_efficientnet
    by_hand = path.rename(tmp_path / "by_hand.h5")
    from_file, _ = kerasmodel.zoo_model(network, SIZE, str(by_hand))
    by_hand.rename(path)
    downloaded, loaded = kerasmodel.zoo_model(network, SIZE, "imagenet")
    assert loaded.name == "imagenet"
    image = np.full((1, *SIZE, 3), 100, np.float32)
    same = downloaded.predict(image, verbose=0)
    np.testing.assert_array_equal(from_file.predict(image, verbose=0), same)
    rescaling = [x for x in downloaded.layers if isinstance(x, keras.layers.Rescaling)]
    assert len(rescaling) == 2
    normalization = next(x for x in downloaded.layers if isinstance(x, keras.layers.Normalization))
    np.testing.assert_allclose(np.ravel(normalization.mean), [0.4, 0.5, 0.6], rtol=1e-6)
