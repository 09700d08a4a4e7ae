"""Networks as Keras's guides build them: one as a layer of another, augmented, shared."""

import json
import pickle

import numpy as np
import pytest
from photographs import photographs, relative_difference

from pyimagesearch.nn import NetworkChoice, list_layers, load_network
from pyimagesearch.nn.graph import layer_paths
from pyimagesearch.nn.keraslayers import layer_shapes
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PIXELS = photographs(3, 16).astype(np.float32)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    import keras

    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)


def base(size: int | None = 16, name: str = "base", **options):
    """Build a network with a branch, as those of keras.applications have."""
    import keras

    layers = keras.layers
    start = keras.Input((size, size, 3))
    x = layers.Conv2D(5, 3, padding="same", bias_initializer="normal", name="conv")(start)
    y = layers.Conv2D(5, 1, activation="relu", name="branch")(x)
    x = layers.MaxPooling2D(2, name="pool")(layers.Add(name="add")([x, y]))
    x = layers.ReLU(name="out_relu")(layers.BatchNormalization(name="norm")(x))
    return keras.Model(start, x, name=name, **options)


def functional(inner, size: int | None = 16):
    """Build what keras.io/guides/transfer_learning does."""
    import keras

    start = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1, name="scale")(start)
    x = keras.layers.GlobalAveragePooling2D(name="average")(inner(x, training=False))
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(start, keras.layers.Dense(1, name="class")(x))


def sequential(inner, *before):
    import keras

    layers = keras.layers
    return keras.Sequential([*before, inner, layers.GlobalAveragePooling2D(), layers.Dense(3)])


def augmented(inner):
    """Build what keras.io/guides/transfer_learning does with data augmentation."""
    import keras

    layers = keras.layers
    augmentation = keras.Sequential(
        [
            layers.RandomFlip(),
            layers.RandomRotation(0.3),
            layers.RandomZoom(0.3),
            layers.RandomContrast(0.5),
            layers.RandomBrightness(0.5),
            layers.GaussianNoise(1.0),
        ],
        name="augmentation",
    )
    start = keras.Input((16, 16, 3))
    # What the guide of 2020 has: the layers shall augment whenever the network is called.
    x = inner(augmentation(start, training=True), training=True)
    x = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(start, x)


def save(model, path: str = "net.keras"):
    """Save a network, whose normalisation has learnt something."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.name in ("beta", "moving_mean"):
            variable.assign(rng.normal(size=variable.shape))
    model.save(path)


def load(engine: str = "auto", **options):
    choice = NetworkChoice("net.keras", preprocessing="none", **options)
    return load_network(choice, engine, batch_size=3)


def by_hand(inner, layer: str, pixels: np.ndarray) -> np.ndarray:
    import keras

    cut = keras.Model(inner.inputs, inner.get_layer(layer).output)
    return cut.predict(pixels, verbose=0).reshape(len(pixels), -1)


def scaled(pixels: np.ndarray) -> np.ndarray:
    return pixels / 127.5 - 1


def same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def with_input(inner):
    import keras

    return sequential(inner, keras.Input((16, 16, 3)))


GUIDES = [
    pytest.param(functional, scaled, id="Functional"),
    pytest.param(sequential, same, id="Sequential"),
    pytest.param(with_input, same, id="Sequential with an input"),
    pytest.param(augmented, same, id="augmented"),
]


@pytest.mark.parametrize(("build", "prepare"), GUIDES)
def test_a_network_within_is_cut_as_by_hand(build, prepare):
    inner = base()
    save(build(inner))
    for layer in ("conv", "pool", "out_relu"):
        network = load(layer=f"base/{layer}")
        assert network.description.layer == f"base/{layer}"
        expected = by_hand(inner, layer, prepare(PIXELS))
        assert relative_difference(network(PIXELS), expected) < 1e-6


@pytest.mark.parametrize(("build", "prepare"), GUIDES)
def test_by_default_the_classifier_around_a_network_is_left_out(build, prepare):
    inner = base()
    save(build(inner))
    network = load()
    assert (network.description.layer, network.description.feature_shape) == ("base", (8, 8, 5))
    expected = by_hand(inner, "out_relu", prepare(PIXELS))
    assert relative_difference(network(PIXELS), expected) < 1e-6
    pooled = load(pooling="avg")(PIXELS)
    mean = expected.reshape(3, 64, 5).mean(axis=1)
    assert relative_difference(pooled, mean) < 1e-5


def test_the_layers_of_both_levels_are_listed():
    save(functional(base()))
    listed = list_layers(NetworkChoice("net.keras", preprocessing="none"))
    assert list(listed) == [
        "scale",
        "base/conv",
        "base/branch",
        "base/add",
        "base/pool",
        "base/norm",
        "base/out_relu",
        "base",
        "average",
        "dropout",
        "class",
    ]
    assert (listed["base/conv"], listed["base"], listed["class"]) == ((16, 16, 5), (8, 8, 5), (1,))


def test_a_classifier_within_is_left_out_too():
    import keras

    layers = keras.layers
    start = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D(name="average")(base(name="trunk")(start))
    whole = keras.Model(start, layers.Dense(4, activation="softmax", name="top")(x), name="whole")
    head = keras.Sequential([layers.Dense(5), layers.Dense(2, name="class")], name="head")
    save(keras.Sequential([keras.Input((16, 16, 3)), whole, head]))
    listed = list(list_layers(NetworkChoice("net.keras", preprocessing="none")))
    assert listed[5:] == [
        "whole/trunk/out_relu",
        "whole/trunk",
        "whole/average",
        "whole/top",
        "whole",
        *(f"head/{layer.name}" for layer in head.layers),
        "head",
    ]
    network = load()
    assert network.description.layer == "whole/trunk"
    expected = by_hand(whole.get_layer("trunk"), "out_relu", PIXELS)
    assert relative_difference(network(PIXELS), expected) < 1e-6


@pytest.mark.parametrize("size", [16, 24])
def test_an_inner_network_for_any_size_has_the_shapes_of_its_layers(size):
    inner = base(size=None)
    save(functional(inner, size=None))
    with pytest.raises(InputError, match="takes images of any size: give the size"):
        load(layer="base/conv")
    network = load(layer="base/conv", size=(size, size))
    assert network.description.feature_shape == (size, size, 5)
    pixels = photographs(2, size).astype(np.float32)
    assert relative_difference(network(pixels), by_hand(inner, "conv", scaled(pixels))) < 1e-6


def test_a_network_around_one_for_a_single_size_takes_another_where_it_can():
    import keras

    inner = base()
    save(functional(inner))
    network = load(layer="base/norm", size=(24, 24))
    other = base(size=24)
    other.set_weights(inner.get_weights())
    pixels = photographs(2, 24).astype(np.float32)
    assert relative_difference(network(pixels), by_hand(other, "norm", scaled(pixels))) < 1e-6

    flat = keras.Sequential([base(), keras.layers.Flatten(), keras.layers.Dense(2)])
    save(keras.Sequential([keras.Input((16, 16, 3)), flat]))
    with pytest.raises(InputError, match="cannot take images of 24 x 24") as caught:
        load(size=(24, 24))
    assert "\n" not in str(caught.value)


def test_random_layers_do_nothing_whatever_they_were_called_with():
    save(augmented(base()))
    network = load(layer="augmentation")
    np.testing.assert_array_equal(network(PIXELS), PIXELS.reshape(3, -1))
    names = list(list_layers(NetworkChoice("net.keras", preprocessing="none")))[:6]
    assert all(name.startswith("augmentation/") for name in names)
    np.testing.assert_array_equal(load(layer=names[-1])(PIXELS), PIXELS.reshape(3, -1))


def test_each_call_of_a_shared_layer_is_a_place_of_its_own():
    import keras

    layers = keras.layers
    relu, start = layers.ReLU(name="relu"), keras.Input((16, 16, 3))
    first = layers.Conv2D(4, 3, name="first")(start)
    second = layers.Conv2D(4, 3, name="second")(relu(first))
    x = layers.GlobalAveragePooling2D(name="average")(relu(second))
    model = keras.Model(start, layers.Dense(2, name="class")(x))
    save(model)
    listed = list_layers(NetworkChoice("net.keras", preprocessing="none"))
    assert list(listed) == ["first", "relu", "second", "relu:2", "average", "class"]
    assert (listed["relu"], listed["relu:2"]) == ((14, 14, 4), (12, 12, 4))
    assert load().description.layer == "relu:2"
    for name, before in (("relu", "first"), ("relu:2", "second")):
        expected = np.maximum(by_hand(model, before, PIXELS), 0)
        assert relative_difference(load("keras", layer=name)(PIXELS), expected) < 1e-6


@pytest.mark.parametrize("inner_size", [16, None])
def test_each_call_of_a_shared_network_is_a_place_of_its_own(inner_size):
    import keras

    layers = keras.layers
    inner, start = base(size=inner_size), keras.Input((16, 16, 3))
    flipped = layers.Rescaling(-1.0, 255.0, name="negative")(start)
    both = layers.Concatenate(name="both")([inner(start), inner(flipped)])
    x = layers.GlobalAveragePooling2D(name="average")(both)
    save(keras.Model(start, layers.Dense(2, name="class")(x)))
    listed = list(list_layers(NetworkChoice("net.keras", preprocessing="none")))
    assert {"base/conv", "base", "base:2/conv", "base:2"} < set(listed)
    assert load().description.layer == "both"
    for name, pixels in (("base/norm", PIXELS), ("base:2/norm", 255 - PIXELS)):
        expected = by_hand(inner, "norm", pixels)
        assert relative_difference(load(layer=name)(PIXELS), expected) < 1e-5
    expected = [by_hand(inner, "out_relu", pixels) for pixels in (PIXELS, 255 - PIXELS)]
    expected = np.concatenate([each.reshape(3, 8, 8, 5) for each in expected], axis=3)
    assert relative_difference(load()(PIXELS), expected.reshape(3, -1)) < 1e-5


def random_model(seed):
    """Return a network whose layers are called by turns, on whatever there is."""
    import keras

    rng = np.random.default_rng(seed)
    there = [keras.Input((8, 8, 3))]
    shared = [keras.layers.ReLU() for _ in range(2)] + [keras.layers.Add() for _ in range(2)]
    for _ in range(8):
        layer = shared[rng.integers(4)]
        first, second = (there[i] for i in rng.integers(len(there), size=2))
        there.append(layer([first, second] if isinstance(layer, keras.layers.Add) else first))
    return keras.Model(there[0], keras.layers.Average()(there[-3:]))


@pytest.mark.parametrize("seed", range(20))
def test_shared_layers_are_listed_in_the_order_of_keras(seed):
    model = random_model(seed)
    assert layer_paths(json.loads(model.to_json())) == list(layer_shapes(model))


def test_a_network_called_with_two_sizes_keeps_its_weights_in_both():
    import keras

    layers = keras.layers
    inner, start = base(size=None), keras.Input((16, 16, 3))
    small = layers.AveragePooling2D(2, name="small")(start)
    average = layers.GlobalAveragePooling2D
    both = layers.Concatenate(name="both")([average()(inner(start)), average()(inner(small))])
    model = keras.Model(start, both)
    save(model)
    network = load()
    assert relative_difference(network(PIXELS), model.predict(PIXELS, verbose=0)) < 1e-6


def test_functions_of_keras_ops_are_part_of_the_network():
    import keras

    inner, start = base(), keras.Input((16, 16, 3))
    x = inner(keras.applications.mobilenet_v2.preprocess_input(start))
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    save(keras.Model(start, x))
    network = load(layer="base/pool")
    assert relative_difference(network(PIXELS), by_hand(inner, "pool", scaled(PIXELS))) < 1e-5


def test_a_sequential_network_that_was_called_before_it_was_saved_knows_its_input():
    import keras

    layers = keras.layers
    model = keras.Sequential([layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(2)])
    with pytest.warns(UserWarning, match="not yet been built"):
        model.save("net.keras")
    with pytest.raises(InputError, match=r"give it a keras\.Input, or call it once, and save it"):
        load()
    model(PIXELS[:2])
    model.save("net.keras")
    network = load("keras", layer=model.layers[1].name)
    assert network.batch_size == 3
    assert relative_difference(network(PIXELS), by_hand(model, model.layers[1].name, PIXELS)) < 1e-6


def test_a_wrong_layer_names_the_path_of_the_inner_one():
    save(functional(base()))
    with pytest.raises(InputError, match=r"has no layer 'outrelu' .*: expected 'base/out_relu'"):
        load(layer="outrelu")


def test_a_network_cut_within_travels():
    inner = base()
    save(augmented(inner))
    network = load(layer="base/norm")
    arrived = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(arrived(PIXELS), network(PIXELS))
