"""VGG16 itself, on both engines, against an independent Keras ``predict``."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from pyimagesearch.nn import start_loading, vgg16
from pyimagesearch.nn.chain import plain_chain
from pyimagesearch.nn.kerasnetwork import PROCESSOR_BATCH_SIZE, KerasNetwork
from pyimagesearch.nn.ncnnnetwork import NcnnNetwork
from pyimagesearch.nn.weights import Weights, load_into
from pyimagesearch.utils import InputError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CORNERS = [(0, 0), (0, 208), (0, 416), (203, 0), (203, 208), (203, 416), (100, 300)]
PHOTOGRAPHS = load_sample_images().images  # a temple and a flower, (427, 640, 3)
PICTURES = np.stack(
    [PHOTOGRAPHS[i % 2][y : y + 224, x : x + 224] for i, (y, x) in enumerate(CORNERS)]
)


@pytest.fixture(scope="module")
def model():
    model = vgg16.build()
    load_into(model, "random")
    return model


@pytest.fixture(scope="module")
def expected(model) -> np.ndarray:
    """What the chapter's own lines give: (7, 25088)."""
    import keras

    batch = keras.applications.vgg16.preprocess_input(PICTURES.astype(np.float32))
    features = model.predict(batch, batch_size=7, verbose=0)
    return features.reshape((features.shape[0], 512 * 7 * 7))


def description(weights: Weights = Weights("random", "0" * 64)):  # noqa: B008 - frozen
    from pyimagesearch.nn.loading import _describe

    return _describe(weights)


def relative_difference(got: np.ndarray, expected: np.ndarray) -> float:
    return np.abs(got - expected).max() / np.abs(expected).max()


def test_preprocessing_is_that_of_keras_to_the_last_bit():
    import keras

    expected = keras.applications.vgg16.preprocess_input(PICTURES.astype(np.float32))
    got = vgg16.preprocess(PICTURES)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_keras_features_are_those_of_predict_whatever_the_batch(model, expected, batch_size):
    network = KerasNetwork(model, description(), batch_size, why="a test")
    assert network.batch_size == min(batch_size, PROCESSOR_BATCH_SIZE)
    step = network.batch_size
    prepared = network.preprocess(PICTURES)
    rows = np.concatenate([network(prepared[i : i + step]) for i in range(0, 7, step)])
    assert rows.dtype == np.float32
    assert relative_difference(rows, expected) < 1e-5


def test_the_last_short_batch_is_not_compiled_anew(model):
    network = KerasNetwork(model, description(), 4, why="a test")
    shapes = []

    def record(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape)
        return model.predict_on_batch(batch)

    network.model = SimpleNamespace(predict_on_batch=record)
    prepared = network.preprocess(PICTURES)
    assert len(network(prepared[:4])) == 4
    assert len(network(prepared[4:])) == 3
    assert shapes == [(4, 224, 224, 3)] * 2


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 7])
def test_ncnn_features_agree_with_keras_for_any_batch_and_threads(model, expected, threads, batch):
    network = NcnnNetwork(plain_chain(model), description(), why="a test")
    prepared = network.preprocess(PICTURES)
    with ThreadPoolExecutor(threads) as pool:
        batches = pool.map(network, [prepared[i : i + batch] for i in range(0, 7, batch)])
        rows = np.concatenate(list(batches))
    assert rows.dtype == np.float32
    assert relative_difference(rows, expected) < 1e-5


def test_ncnn_features_of_a_picture_are_the_same_bits_whatever_its_neighbours(model):
    network = NcnnNetwork(plain_chain(model), description(), why="a test")
    prepared = network.preprocess(PICTURES)
    alone = np.concatenate([network(prepared[i : i + 1]) for i in range(7)])
    np.testing.assert_array_equal(network(prepared), alone)


@pytest.mark.parametrize("size", [(30, 30), (61, 47)])
def test_ncnn_computes_kernels_of_other_sizes_and_linear_layers_too(size):
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    start = keras.Input((*size, 3))
    x = layers.Conv2D(8, 5, padding="valid", bias_initializer="normal")(start)
    x = layers.MaxPooling2D(3)(x)
    x = layers.Conv2D(20, 5, padding="same", bias_initializer="normal")(x)
    x = layers.Conv2D(4, 1, activation="relu", bias_initializer="normal")(x)
    model = keras.Model(start, x)
    features = replace(description(), input_size=size, feature_shape=model.output.shape[1:])
    network = NcnnNetwork(plain_chain(model), features, why="a test")
    pictures = np.random.default_rng(0).standard_normal((3, *size, 3), np.float32)
    expected = model.predict(pictures, verbose=0).reshape(3, -1)
    assert relative_difference(network(pictures), expected) < 1e-5


def test_only_plain_chains_are_taken_apart():
    import keras

    layers = keras.layers
    start = keras.Input((8, 8, 3))
    plain = layers.Conv2D(3, 3, padding="same", activation="relu")(start)
    assert len(plain_chain(keras.Model(start, plain))) == 1
    others = [
        layers.Conv2D(3, 3, strides=2)(start),
        layers.Conv2D(3, 3, dilation_rate=2)(start),
        layers.Conv2D(3, 3, activation="tanh")(start),
        layers.Conv2D(3, 3, use_bias=False)(start),
        layers.Conv2D(3, 2, padding="same")(start),
        layers.MaxPooling2D(2, padding="same")(start),
        layers.MaxPooling2D(2, strides=1)(start),
        layers.AveragePooling2D(2)(start),
        layers.BatchNormalization()(start),
        layers.Add()([plain, start]),
    ]
    assert [plain_chain(keras.Model(start, other)) for other in others] == [None] * len(others)


def test_a_network_loaded_in_another_process_gives_the_same_features(expected):
    network = start_loading("random", "ncnn", jobs=1)()
    assert network.engine == "ncnn"
    assert network.description.weights.name == "random"
    assert network.description.feature_shape == (7, 7, 512)
    prepared = network.preprocess(PICTURES[:1])
    assert relative_difference(network(prepared), expected[:1]) < 1e-5


def test_auto_takes_ncnn_on_a_processor_and_keras_where_ncnn_is_missing(monkeypatch):
    from pyimagesearch.nn import loading

    monkeypatch.setattr(loading, "accelerator_devices", lambda: ["/dev/nvidia0"])
    network = start_loading("random", "auto")()
    assert (network.engine, network.why) == ("ncnn", "Keras sees no accelerator")
    monkeypatch.setattr(loading, "accelerator_devices", list)
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None)
    network = start_loading("random", "auto")()
    assert (network.engine, network.why) == ("keras", "ncnn is not installed")
    with pytest.raises(InputError, match="pip install ncnn"):
        start_loading("random", "ncnn")


def test_auto_takes_keras_where_it_sees_an_accelerator(monkeypatch):
    from pyimagesearch.nn import kerasnetwork, loading

    monkeypatch.setattr(loading, "accelerator_devices", lambda: ["/dev/nvidia0"])
    monkeypatch.setattr(kerasnetwork, "sees_accelerator", lambda model: True)
    network = start_loading("random", "auto", batch_size=16)()
    assert (network.engine, network.batch_size) == ("keras", 16)


def test_an_error_in_the_loading_process_is_raised_here(tmp_path):
    path = tmp_path / "junk.h5"
    path.write_bytes(b"junk")
    with pytest.raises(InputError, match=r"damaged or not VGG16's"):
        start_loading(str(path), "ncnn")()


def send_chain_in_a_process(before: str) -> subprocess.CompletedProcess:
    """Run what the loading process runs, with an empty network and `before` ahead of it."""
    program = (
        "import atexit, multiprocessing\n"
        "from pyimagesearch.nn import loading\n"
        "loading._load_chain = lambda *arguments: ([], 'weights')\n"
        "receiver, sender = multiprocessing.Pipe(duplex=False)\n"
        f"{before}\n"
        "loading._send_chain(sender, 'random', 1)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )


def test_the_loading_process_ends_once_it_has_sent_the_network():
    done = send_chain_in_a_process("atexit.register(print, 'a long goodbye')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_loading_process_ends_quietly_if_its_caller_is_gone():
    done = send_chain_in_a_process("receiver.close()")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_loading_process_that_is_killed_is_reported_at_once():
    finish = start_loading("random", "ncnn")
    (process,) = multiprocessing.active_children()
    process.kill()
    with pytest.raises(InputError, match="ended with exit code -9"):
        finish()


@pytest.mark.parametrize("engine", ["keras", "ncnn"])
def test_loading_writes_nothing_on_the_screen(engine):
    program = f"from pyimagesearch.nn import start_loading as s; s('random', '{engine}')()"
    if engine == "ncnn":  # a process that spawns another needs a main module to guard
        program = f"if __name__ == '__main__':\n    {program}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        env={k: v for k, v in os.environ.items() if not k.startswith("TF_")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout + done.stderr == ""
