"""All engines against an independent Keras ``predict``, on photographs."""

import dataclasses
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from graphs import saved_graph
from photographs import photographs, relative_difference

from pyimagesearch.nn import Description, NetworkChoice, Weights, load_network, loading, zoo
from pyimagesearch.nn.kerasmodel import fill_with_random
from pyimagesearch.nn.kerasnetwork import PROCESSOR_BATCH_SIZE, KerasNetwork
from pyimagesearch.nn.ncnn import NcnnNetwork, plain_chain
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGES = photographs(7)


@pytest.fixture(scope="module")
def model():
    """VGG16 as Keras builds it, with the random weights that our own chain has."""
    model = zoo.build(zoo.ZOO["VGG16"], (224, 224))
    fill_with_random(model)
    return model


@pytest.fixture(scope="module")
def expected(model) -> np.ndarray:
    """What the chapter's own lines give: (7, 25088)."""
    import keras

    batch = keras.applications.vgg16.preprocess_input(IMAGES.astype(np.float32))
    features = model.predict(batch, batch_size=7, verbose=0)
    return features.reshape((features.shape[0], 512 * 7 * 7))


@pytest.fixture(scope="module")
def vgg16_on_ncnn():
    return load_network(NetworkChoice(weights="random"), "ncnn")


@pytest.fixture(scope="module")
def vgg16_on_keras():
    return load_network(NetworkChoice(weights="random"), "keras", batch_size=3)


@pytest.mark.slow
def test_keras_features_are_those_of_predict_in_batches_of_one_shape(vgg16_on_keras, expected):
    assert vgg16_on_keras.batch_size == 3
    prepared = vgg16_on_keras.preprocess(IMAGES)
    rows = np.concatenate([vgg16_on_keras(prepared[i : i + 3]) for i in (0, 3, 6)])
    assert rows.dtype == np.float32
    assert relative_difference(rows, expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 7])
def test_ncnn_features_agree_with_keras_for_any_batch_and_threads(
    vgg16_on_ncnn, expected, threads, batch
):
    prepared = vgg16_on_ncnn.preprocess(IMAGES)
    with ThreadPoolExecutor(threads) as pool:
        batches = pool.map(vgg16_on_ncnn, [prepared[i : i + batch] for i in range(0, 7, batch)])
        rows = np.concatenate(list(batches))
    assert rows.dtype == np.float32
    assert relative_difference(rows, expected) < 1e-5


@pytest.mark.slow
def test_ncnn_features_of_an_image_are_the_same_bits_whatever_its_neighbours(vgg16_on_ncnn):
    prepared = vgg16_on_ncnn.preprocess(IMAGES)
    alone = np.concatenate([vgg16_on_ncnn(prepared[i : i + 1]) for i in range(7)])
    np.testing.assert_array_equal(vgg16_on_ncnn(prepared), alone)


SMALL_IMAGES = IMAGES[:2, :96, :96]


@pytest.fixture(scope="module")
def small_model():
    """The same VGG16 for images of another size."""
    model = zoo.build(zoo.ZOO["VGG16"], (96, 96))
    fill_with_random(model)
    return model


@pytest.fixture(scope="module", params=["block3_pool", "block4_conv2", "block5_pool"])
def cut_by_hand(small_model, request) -> tuple[str, np.ndarray]:
    """VGG16 cut at a layer with Keras itself: the layer, and what it gives for two images."""
    import keras

    cut = keras.Model(small_model.inputs, small_model.get_layer(request.param).output)
    batch = keras.applications.vgg16.preprocess_input(SMALL_IMAGES.astype(np.float32))
    return request.param, cut.predict(batch, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ncnn", "openvino", "keras"])
def test_vgg16_cut_anywhere_and_pooled_is_what_keras_gives(cut_by_hand, engine):
    """Each layer as it is, and pooled in one way: the pooling knows nothing of the layer."""
    import keras

    layer, given = cut_by_hand
    poolings = {
        "none": keras.layers.Flatten(),
        "avg": keras.layers.GlobalAveragePooling2D(),
        "max": keras.layers.GlobalMaxPooling2D(),
    }
    for pooling in ("none", "max" if layer == "block4_conv2" else "avg"):
        pool = poolings[pooling]
        expected = np.asarray(pool(given))
        choice = NetworkChoice("VGG16", layer, pooling, (96, 96), weights="random")
        network = load_network(choice, engine, batch_size=2)
        assert (network.description.layer, network.description.pooling) == (layer, pooling)
        assert network.description.n_features == expected.shape[1]
        rows = network(network.preprocess(SMALL_IMAGES))
        assert relative_difference(rows, expected) < 1e-5


def describe_model(model) -> Description:
    return Description(
        "a test",
        model.layers[-1].name,
        "none",
        tuple(model.input.shape[1:3]),
        "none",
        tuple(model.output.shape[1:]),
        Weights("random", "0" * 64),
    )


def test_the_last_short_batch_is_not_compiled_anew():
    import keras

    start = keras.Input((8, 8, 3))
    model = keras.Model(start, keras.layers.Conv2D(2, 3)(start))
    network = KerasNetwork(model, describe_model(model), 32, why="a test")
    assert network.batch_size == PROCESSOR_BATCH_SIZE
    shapes = []

    def record(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape)
        return model.predict_on_batch(batch)

    network.model = SimpleNamespace(predict_on_batch=record)
    assert network(np.zeros((4, 8, 8, 3), np.float32)).shape == (4, 72)
    assert network(np.zeros((3, 8, 8, 3), np.float32)).shape == (3, 72)
    assert shapes == [(4, 8, 8, 3)] * 2


@pytest.mark.parametrize("size", [(30, 30), (61, 47)])
def test_ncnn_computes_kernels_of_other_sizes_and_linear_layers_too(size, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    start = keras.Input((*size, 3))
    x = layers.Conv2D(8, 5, padding="valid", bias_initializer="normal")(start)
    x = layers.MaxPooling2D(3)(x)
    x = layers.Conv2D(20, 5, padding="same", bias_initializer="normal")(x)
    x = layers.Conv2D(4, 1, activation="relu", bias_initializer="normal")(x)
    model = keras.Model(start, x)
    chain = plain_chain(saved_graph(model, tmp_path))
    network = NcnnNetwork(chain, describe_model(model), why="a test")
    images = np.random.default_rng(0).standard_normal((3, *size, 3), np.float32)
    expected = model.predict(images, verbose=0).reshape(3, -1)
    assert relative_difference(network(images), expected) < 1e-5


def test_only_plain_chains_are_taken_for_one(tmp_path):
    import keras

    layers = keras.layers
    start = keras.Input((8, 8, 3))
    plain = layers.Conv2D(3, 3, padding="same", activation="relu")(start)
    folded = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(3, 3, use_bias=False)(start)))
    chains = [plain, layers.MaxPooling2D(2)(plain), folded, layers.Conv2D(3, 3)(start)]
    others = [
        layers.Conv2D(3, 3, strides=2)(start),
        layers.Conv2D(3, 3, dilation_rate=2)(start),
        layers.Conv2D(3, 3, activation="tanh")(start),
        layers.Conv2D(3, (1, 3))(start),
        layers.Conv2D(3, 3, groups=3)(start),
        layers.Conv2D(3, 2, padding="same")(start),
        layers.MaxPooling2D(2, padding="same")(layers.Conv2D(3, 2)(start)),
        layers.MaxPooling2D(2, strides=1)(start),
        layers.AveragePooling2D(2)(start),
        layers.BatchNormalization()(start),
        layers.Add()([plain, start]),
    ]

    def is_chain(output) -> bool:
        return plain_chain(saved_graph(keras.Model(start, output), tmp_path)) is not None

    assert [is_chain(output) for output in chains] == [True] * len(chains)
    assert [is_chain(output) for output in others] == [False] * len(others)


CHAIN = NetworkChoice(weights="random", size=(32, 32))
BRANCHED = NetworkChoice("MobileNet", weights="random", size=(32, 32))


@pytest.fixture
def untranslatable(tmp_path) -> NetworkChoice:
    """A network with a layer that has no translation, and a branch."""
    import keras

    layers = keras.layers
    start = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, name="conv")(start)
    x = layers.TimeDistributed(layers.Dense(2), name="odd")(x)
    keras.Model(start, x).save(tmp_path / "odd.keras")
    return NetworkChoice(str(tmp_path / "odd.keras"), preprocessing="none")


def installed(monkeypatch, *names: str) -> None:
    """Have only some of the engines installed, on a machine without an accelerator."""
    monkeypatch.setattr(loading, "is_installed", lambda engine: engine in names)
    monkeypatch.setattr(loading, "accelerator_devices", list)


@pytest.mark.parametrize(
    ("there", "choice", "expected"),
    [
        pytest.param(
            ("ncnn", "openvino"),
            CHAIN,
            ("ncnn", "no GPU; simple convolutional network"),
            id="chain",
        ),
        pytest.param(
            ("ncnn", "openvino"),
            BRANCHED,
            ("openvino", "no GPU; every layer supported"),
            id="branched",
        ),
        pytest.param(
            ("openvino",),
            CHAIN,
            ("openvino", "no GPU; every layer supported"),
            id="chain without ncnn",
        ),
        pytest.param(
            ("ncnn",), BRANCHED, ("keras", "OpenVINO is not installed"), id="branched on ncnn"
        ),
        pytest.param((), CHAIN, ("keras", "OpenVINO is not installed"), id="Keras only"),
    ],
)
def test_auto_takes_the_fastest_engine_that_is_there(monkeypatch, there, choice, expected):
    installed(monkeypatch, *there)
    network = load_network(choice)
    assert (network.engine, network.why) == expected


def test_keras_computes_what_has_no_translation_and_the_layer_is_named(monkeypatch, untranslatable):
    installed(monkeypatch, "ncnn", "openvino")
    network = load_network(untranslatable)
    why = "layer 'odd' (TimeDistributed): there is no translation of its kind"
    assert (network.engine, network.why) == ("keras", why)
    with pytest.raises(InputError, match=r"'openvino' cannot compute .*: layer 'odd' \(TimeDis"):
        load_network(untranslatable, "openvino")


def test_layers_after_the_cut_need_no_translation(monkeypatch, untranslatable):
    installed(monkeypatch, "openvino")
    choice = dataclasses.replace(untranslatable, layer="conv")
    assert load_network(choice).engine == "openvino"


def test_an_engine_is_refused_where_it_cannot_be_taken(monkeypatch):
    with pytest.raises(
        InputError, match="it is not a simple convolutional network; use the engine"
    ):
        load_network(BRANCHED, "ncnn")
    installed(monkeypatch)
    for engine in ("ncnn", "openvino"):
        with pytest.raises(InputError, match=f"pip install {engine}"):
            load_network(CHAIN, engine)


@pytest.mark.slow
def test_auto_takes_keras_for_a_chain_where_it_sees_an_accelerator(monkeypatch):
    monkeypatch.setattr(loading, "accelerator_devices", lambda: ["/dev/nvidia0"])
    assert load_network(CHAIN).engine == "ncnn"  # Keras cannot use what is there
    monkeypatch.setattr(loading, "sees_accelerator", lambda: True)
    network = load_network(CHAIN, batch_size=16)
    assert (network.engine, network.why) == ("keras", "Keras sees an accelerator")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["keras", "ncnn", "openvino"])
def test_loading_writes_nothing_and_a_chain_needs_no_keras(engine):
    program = (
        "import sys\n"
        "from pyimagesearch.nn import NetworkChoice, load_network\n"
        "import numpy as np\n"
        f"network = load_network(NetworkChoice(weights='random', size=(32, 32)), {engine!r})\n"
        f"if {engine!r} != 'keras':\n"
        "    network(np.zeros((1, 32, 32, 3), np.float32))\n"
        f"assert ('keras' in sys.modules) == ({engine!r} == 'keras')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        env={k: v for k, v in os.environ.items() if not k.startswith("TF_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("backend", ["tensorflo", "torch"])
def test_a_backend_that_cannot_be_imported_is_named(backend):
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from pyimagesearch.nn.backend import import_keras\n"
        "from pyimagesearch.utils.script import script\n"
        "raise SystemExit(script(import_keras)(1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    (printed,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert printed.startswith(f"[ERROR] cannot import Keras with KERAS_BACKEND '{backend}': ")
    assert printed.endswith("; install it, or unset KERAS_BACKEND")


IMPORT = (
    "import sys, importlib.util\n"
    "from pyimagesearch.nn.backend import import_keras\n"
    "from pyimagesearch.utils.script import script\n"
    "def main():\n"
    "    print(import_keras(1).config.image_data_format())\n"
    "    print(*{'matplotlib', 'sklearn'} & sys.modules.keys())\n"
    "    print(importlib.util.find_spec('sklearn') is not None)\n"
    "raise SystemExit(script(main)())\n"
)


def import_with(settings: str | None, tmp_path: Path) -> subprocess.CompletedProcess:
    """Import Keras with the settings of a ``keras.json``; None makes a folder of that name."""
    path = tmp_path / "keras.json"
    path.mkdir() if settings is None else path.write_text(settings)
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=Path(__file__).parents[1],
        env=environment | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        pytest.param(
            '{"backend": "theano"}',
            "with the backend 'theano' of '{path}': Unable to import backend : theano; ",
            id="a backend of another time",
        ),
        pytest.param(
            '{"backend": "absent"}', "with the backend 'absent' of '{path}': ", id="no backend"
        ),
        pytest.param("[]", "with its settings in '{path}': expected an object", id="a list"),
        pytest.param(None, "with its settings in '{path}': Is a directory", id="a folder"),
        pytest.param(
            '{"epsilon": "small"}',
            "with its settings in '{path}': Invalid `epsilon` configuration",
            id="a setting of another type",
        ),
        pytest.param(
            '{"floatx": []}', "with its settings in '{path}': unhashable type", id="a list within"
        ),
    ],
)
def test_settings_that_keras_cannot_use_are_named(settings, reason, tmp_path):
    done = import_with(settings, tmp_path)
    (printed,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert printed.startswith(
        f"[ERROR] cannot import Keras {reason.format(path=tmp_path / 'keras.json')}"
    )
    assert printed.endswith("delete that file")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param("{", id="no JSON"),
        pytest.param(
            '{"image_data_format": "channels_first", "floatx": "float16"}', id="another format"
        ),
    ],
)
def test_neither_settings_nor_what_is_not_used_come_with_keras(settings, tmp_path):
    done = import_with(settings, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["channels_last", "", "True"]  # none now, but later


@pytest.mark.parametrize("engine", ["keras", "ncnn"])
def test_an_engine_without_a_temporary_folder_reports_it_in_one_line(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    choice = NetworkChoice(weights="random", size=(32, 32))
    with pytest.raises(InputError, match="cannot write in the temporary folder"):
        load_network(choice, engine)(np.zeros((1, 32, 32, 3), np.float32))
