"""Whole networks in a .keras file that the test makes: used as they are, cut, or refused."""

import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import pytest
from photographs import photographs, relative_difference

from pyimagesearch.nn import Description, NetworkChoice, list_layers, load_described, load_network
from pyimagesearch.nn.weights import sha256_of
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PIXELS = photographs(3, 16)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def backbone(size: int | None = 16, head: bool = False):
    """Build a small network that scales its pixels itself, with numbers of its own."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    scale = layers.Normalization(name="scale", mean=[120, 110, 100], variance=[5000, 6000, 7000])
    learnt = layers.Normalization(name="learnt")
    learnt.adapt(np.random.default_rng(0).normal(3, 2, (20, 4, 4, 3)))
    start = keras.Input((size, size, 3))
    x = layers.Conv2D(6, 3, strides=2, name="conv")(learnt(scale(start)))
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    if head:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(4, activation="softmax", name="classes")(x)
    return keras.Model(start, x)


def by_hand(model, layer: str) -> np.ndarray:
    import keras

    cut = keras.Model(model.inputs, model.get_layer(layer).output)
    return cut.predict(PIXELS.astype(np.float32), verbose=0).reshape(len(PIXELS), -1)


def load(path: str, **options):
    return load_network(NetworkChoice(path, preprocessing="none", **options), batch_size=3)


@pytest.mark.parametrize(
    ("head", "layer", "cut_after", "shape"),
    [
        pytest.param(False, None, "relu", (7, 7, 6), id="without a head it is used whole"),
        pytest.param(True, None, "relu", (7, 7, 6), id="its head is left out"),
        pytest.param(True, "pool", "pool", (6,), id="cut in its head"),
        pytest.param(True, "conv", "conv", (7, 7, 6), id="cut before"),
        pytest.param(True, "learnt", "learnt", (16, 16, 3), id="cut after what scales the pixels"),
    ],
)
def test_a_file_is_used_whole_or_cut(head, layer, cut_after, shape):
    model = backbone(head=head)
    model.save("net.keras")
    network = load("net.keras", layer=layer)
    described = network.description
    assert (described.network, described.layer) == ("net.keras", cut_after)
    assert (described.size, described.feature_shape) == ((16, 16), shape)
    assert described.weights.sha256 == sha256_of(Path("net.keras"))
    rows = network(network.preprocess(PIXELS))
    assert relative_difference(rows, by_hand(model, cut_after)) < 1e-5


def test_a_file_for_images_of_any_size_needs_a_size():
    model = backbone(size=None)
    model.save("net.keras")
    with pytest.raises(InputError, match="takes images of any size: give the size"):
        load("net.keras")
    network = load("net.keras", size=(16, 16))
    assert network.description.feature_shape == (7, 7, 6)
    rows = network(network.preprocess(PIXELS))
    assert relative_difference(rows, by_hand(model, "relu")) < 1e-5


def test_a_file_for_one_size_takes_another_where_it_can():
    backbone().save("net.keras")
    assert load("net.keras", size=(30, 30)).description.feature_shape == (14, 14, 6)
    import keras

    start = keras.Input((16, 16, 3))
    keras.Model(start, keras.layers.Dense(2)(keras.layers.Flatten()(start))).save("flat.keras")
    with pytest.raises(InputError, match=r"flat.keras cannot take images of 30 x 30") as caught:
        load("flat.keras", size=(30, 30))
    assert "\n" not in str(caught.value)


def test_a_plain_chain_in_a_file_is_computed_by_ncnn():
    import keras

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    model.save("net.keras")
    network = load("net.keras")
    assert (network.engine, network.description.layer) == ("ncnn", "conv")
    rows = network(network.preprocess(PIXELS))
    assert relative_difference(rows, by_hand(model, "conv")) < 1e-5


def test_the_layers_of_a_file_are_listed():
    backbone(head=True).save("net.keras")
    listed = list_layers(NetworkChoice("net.keras", preprocessing="none"))
    assert list(listed) == ["scale", "learnt", "conv", "norm", "relu", "pool", "classes"]
    assert (listed["relu"], listed["pool"]) == ((7, 7, 6), (6,))


def test_a_file_is_refused_without_its_preprocessing():
    with pytest.raises(InputError, match="give the preprocessing, one of caffe, tf, torch, none"):
        NetworkChoice("net.keras")


def test_a_file_is_refused_beside_weights():
    with pytest.raises(InputError, match="brings its own weights: leave out 'random'"):
        NetworkChoice("net.keras", preprocessing="none", weights="random")


def save_lambda() -> None:
    import keras

    start = keras.Input((8, 8, 3))
    keras.Model(start, keras.layers.Lambda(lambda x: 2 * x)(start)).save("net.keras")


def save_unknown_class() -> None:
    import keras

    class Own(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    start = keras.Input((8, 8, 3))
    keras.Model(start, keras.layers.Conv2D(2, 3)(Own()(start))).save("net.keras")


def save_registered(package: str):
    """Return what saves a network with a layer of a package that is not there any more."""

    def save() -> None:
        import keras

        class Tokens(keras.layers.Layer):
            def call(self, inputs):
                return inputs

        register = keras.saving.register_keras_serializable(package, "Tokens")
        start = keras.Input((8, 8, 3))
        inner = keras.Model(start, keras.layers.Conv2D(2, 3)(register(Tokens)()(start)))
        keras.Sequential([keras.Input((8, 8, 3)), inner]).save("net.keras")
        keras.saving.get_custom_objects().pop(f"{package}>Tokens")

    return save


def save_impossible_layer() -> None:
    backbone().save("whole.keras")
    with zipfile.ZipFile("whole.keras") as whole, zipfile.ZipFile("net.keras", "w") as file:
        for name in whole.namelist():
            file.writestr(name, whole.read(name).replace(b'"filters": 6', b'"filters": -6'))


def save_two_inputs() -> None:
    import keras

    starts = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    keras.Model(starts, keras.layers.Add()(starts)).save("net.keras")


def save_truncated() -> None:
    backbone().save("whole.keras")
    Path("net.keras").write_bytes(Path("whole.keras").read_bytes()[:-100])


def save_another_archive() -> None:
    with zipfile.ZipFile("net.keras", "w") as archive:
        archive.writestr("readme.txt", "no network")


@pytest.mark.parametrize(
    ("save", "message"),
    [
        pytest.param(save_lambda, "it has a Lambda layer, which is code", id="Lambda"),
        pytest.param(save_unknown_class, "Could not locate class 'Own'", id="class of its own"),
        pytest.param(
            save_registered("keras_hub"),
            "'Tokens' of the package keras_hub, "
            "(which is not installed; pip install keras-hub|whose installed version lacks it; "
            "install another)$",
            id="keras_hub",
        ),
        pytest.param(
            save_registered("numpy.layers"),
            "class 'Tokens' of the package numpy, whose code is not loaded; expected layers that",
            id="another package",
        ),
        pytest.param(
            save_registered("Custom"),
            "'Tokens' of the package test_nn_kerasfile, whose",
            id="module",
        ),
        pytest.param(
            save_impossible_layer, "net.keras': Invalid value for argument `filters`", id="layer"
        ),
        pytest.param(save_two_inputs, r"takes \[.*\]: expected images", id="two inputs"),
        pytest.param(save_truncated, "is not a complete .keras file", id="truncated"),
        pytest.param(save_another_archive, "cannot load the network", id="another archive"),
        pytest.param(
            lambda: Path("net.keras").write_text("hello"),
            "is not a complete .keras file",
            id="text",
        ),
        pytest.param(lambda: None, "no network file 'net.keras'", id="missing"),
    ],
)
def test_what_is_not_a_safe_network_for_images_is_refused_in_one_line(save, message):
    save()
    with pytest.raises(InputError, match=message) as caught:
        load("net.keras")
    assert "\n" not in str(caught.value)


def test_weights_that_are_nan_matter_up_to_the_cut_only():
    model = backbone(head=True)
    kernel, bias = model.get_layer("classes").get_weights()
    model.get_layer("classes").set_weights([kernel * np.nan, bias])
    model.save("net.keras")
    assert np.isfinite(load("net.keras")(PIXELS.astype(np.float32))).all()
    with pytest.raises(InputError, match=r"'classes' of 'net\.keras' has weights that are NaN"):
        load("net.keras", layer="classes")


def test_a_layer_that_an_installed_package_lacks_is_told_so(monkeypatch):
    save_registered("keras_cv")()
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "keras_cv" or found(name))
    with pytest.raises(InputError, match="package keras_cv, whose installed version lacks it"):
        load("net.keras")


def test_a_file_that_cannot_be_read_is_not_called_damaged(monkeypatch):
    backbone().save("net.keras")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot read network file 'net\.keras': Permission den"):
        load("net.keras")


def test_a_description_brings_back_the_network_from_wherever_its_file_is_now():
    backbone(head=True).save("net.keras")
    first = load("net.keras", layer="norm", pooling="max")
    recorded = Description.from_json(first.description.to_json())
    assert recorded == first.description
    moved = Path("net.keras").rename("moved.keras")
    again = load_described(recorded, moved, batch_size=3)
    assert again.description == recorded
    np.testing.assert_array_equal(again(again.preprocess(PIXELS)), first(first.preprocess(PIXELS)))


def test_another_file_than_was_recorded_is_refused_with_both_digests():
    backbone().save("net.keras")
    recorded = load("net.keras").description
    backbone(head=True).save("net.keras")
    digests = rf"{sha256_of(Path('net.keras'))}, but {recorded.weights.sha256} was recorded"
    with pytest.raises(InputError, match=digests):
        load_described(recorded, Path("net.keras"))
    for gone in (None, Path("gone.keras")):
        with pytest.raises(InputError, match=r"no weights file .* SHA-256"):
            load_described(recorded, gone)


def test_random_weights_are_described_and_brought_back_without_a_file():
    choice = NetworkChoice("VGG16", "block1_pool", "avg", (32, 32), "tf", "random")
    first = load_network(choice)
    again = load_described(first.description)
    pixels = photographs(2, 32)
    np.testing.assert_array_equal(again(again.preprocess(pixels)), first(first.preprocess(pixels)))
