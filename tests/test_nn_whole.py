"""A network and the classifier behind it in one file: what it answers, and what it refuses."""

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from photographs import photographs
from PIL import Image
from sklearn.linear_model import LogisticRegression
from test_nn_nested import base, functional

from pyimagesearch.linear import from_softmax_head, softmax_head
from pyimagesearch.linear.linearclassifier import LinearClassifier
from pyimagesearch.nn import (
    PREPROCESSINGS,
    Description,
    NetworkChoice,
    WholeClassifier,
    check_suffix,
    load_network,
    load_whole_network,
    read_whole,
    write_whole,
)
from pyimagesearch.nn.preprocessing import as_convolution
from pyimagesearch.nn.whole import writing
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = ["cats", "big dogs", "панда"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def trained(network, pixels: np.ndarray, n_classes: int = 3) -> LogisticRegression:
    """Return a classifier whose probabilities of some images are far from 0 and 1."""
    rows = features(network, pixels)
    model, rng = LogisticRegression(), np.random.default_rng(0)
    n_scores = 1 if n_classes == 2 else n_classes
    weights = rng.normal(size=(n_scores, rows.shape[1]))
    model.coef_ = weights / np.abs(rows @ weights.T).max()  # no score is beyond -1 to 1
    model.intercept_ = rng.normal(size=n_scores)
    model.classes_ = np.arange(n_classes)
    return model


def features(network, pixels: np.ndarray) -> np.ndarray:
    size = network.batch_size
    batches = [pixels[i : i + size] for i in range(0, len(pixels), size)]
    return np.concatenate([network(network.preprocess(batch)) for batch in batches])


def whole_of(network, model) -> WholeClassifier:
    names = NAMES[: len(model.classes_)]
    extraction = network.description.to_json()
    return WholeClassifier(*softmax_head(model), names, extraction, ["00000000000000ff"])


def written(choice: NetworkChoice, *paths: str, n_classes: int = 3):
    """Write whole models; return the classifier, the images, and how much they differ."""
    pixels = photographs(6, choice.size[0])
    network = load_network(choice, engine="keras")
    model = trained(network, pixels, n_classes)
    files = [Path(path) for path in paths]
    differences = write_whole(files, network, whole_of(network, model), model.predict_proba, pixels)
    return network, model, pixels, differences


def in_keras(path: str):
    import keras

    return keras.saving.load_model(path, safe_mode=True)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_preprocessing_is_a_convolution_of_single_pixels(name):
    values = np.arange(256, dtype=np.uint8)
    pixels = np.stack([values, values[::-1], np.roll(values, 77)], axis=-1)
    convolution = as_convolution(name)
    if convolution is None:
        assert name == "none"
        return
    kernel, bias = convolution
    assert (kernel.shape, kernel.dtype, bias.dtype) == ((1, 1, 3, 3), np.float32, np.float32)
    expected = PREPROCESSINGS[name](pixels)
    np.testing.assert_allclose(pixels @ kernel[0, 0] + bias, expected, atol=1e-6)
    if name == "caffe":
        np.testing.assert_array_equal(pixels.astype(np.float32) @ kernel[0, 0] + bias, expected)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("network", "options", "n_classes", "preprocessing"),
    [
        pytest.param("VGG16", {"layer": "block2_pool"}, 3, True, id="caffe, not pooled"),
        pytest.param("MobileNet", {"pooling": "max"}, 2, True, id="tf, max, two classes"),
        pytest.param("MobileNetV3Small", {}, 3, False, id="pixels as they are"),
    ],
)
def test_keras_alone_gives_the_probabilities_of_the_classifier(
    network, options, n_classes, preprocessing
):
    choice = NetworkChoice(network, size=(32, 32), weights="random", **options)
    network, model, pixels, differences = written(choice, "a.keras", n_classes=n_classes)
    assert differences[Path("a.keras")] < 1e-5
    whole = in_keras("a.keras")
    expected = model.predict_proba(features(network, pixels))
    np.testing.assert_allclose(whole.predict(pixels * 1.0, verbose=0), expected, atol=1e-5)
    assert not whole.compiled
    names = [layer.name for layer in whole.layers]
    assert ("preprocessing" in names, "pooling" in names) == (preprocessing, "pooling" in options)
    assert whole.trainable_variables == whole.get_layer("classes").trainable_variables
    whole.get_layer("network").trainable = True
    assert len(whole.trainable_variables) > 2
    with zipfile.ZipFile("a.keras") as archive:
        labels = archive.read("labels.txt").decode()
    assert labels.splitlines() == NAMES[:n_classes]


def cut_in_a_nested_network() -> NetworkChoice:
    functional(base()).save("net.keras")
    return NetworkChoice(
        "net.keras", layer="base/add", pooling="avg", preprocessing="tf", size=(16, 16)
    )


def cut_where_tokens_come_out() -> NetworkChoice:
    import keras

    layers = keras.layers
    start = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 8), name="patches")(layers.Conv2D(8, 4, strides=4)(start))
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    keras.Model(start, layers.LayerNormalization(name="tokens")(x)).save("net.keras")
    return NetworkChoice("net.keras", layer="tokens", preprocessing="torch", size=(16, 16))


def cut_behind_a_softmax() -> NetworkChoice:
    import keras

    layers = keras.layers
    start = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, name="conv")(start))
    keras.Model(start, layers.Dense(5, activation="softmax", name="dense")(x)).save("net.keras")
    return NetworkChoice("net.keras", layer="dense", preprocessing="none", size=(16, 16))


@pytest.mark.parametrize(
    "choose", [cut_in_a_nested_network, cut_where_tokens_come_out, cut_behind_a_softmax]
)
@pytest.mark.usefixtures("in_this_process")
def test_networks_in_files_are_written_and_read_by_every_engine_that_they_had(choose):
    choice = choose()
    network, model, pixels, _ = written(choice, "a.keras")
    Path("net.keras").unlink()  # all that is needed is in the whole model
    whole = read_whole(Path("a.keras"))
    description = Description.from_json(whole.extraction)
    assert description == network.description
    for engine in ("auto", "keras"):
        again = load_whole_network(Path("a.keras"), description, whole.output_layer, engine=engine)
        assert again.description == description
        got, expected = features(again, pixels), features(network, pixels)
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())
    parts = whole.kernel, whole.bias, whole.label_names, whole.extraction, whole.training_digests
    classifier = from_softmax_head(*parts, "a.keras")
    rows = features(network, pixels)
    np.testing.assert_allclose(classifier.predict_proba(rows), model.predict_proba(rows), atol=1e-6)
    assert classifier.training_digests_.tolist() == [255]
    assert classifier.label_names_ == NAMES


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_softmax_head_becomes_the_classifier_again(n_classes):
    rows = np.random.default_rng(0).normal(size=(30, 4))
    model = LogisticRegression().fit(rows, np.arange(30) % n_classes)
    extraction = Description.from_json(
        {
            "network": "VGG16",
            "layer": "block1_pool",
            "pooling": "avg",
            "size": [32, 32],
            "preprocessing": "caffe",
            "feature_shape": [4],
            "weights": {"name": "random", "sha256": "0" * 64},
        }
    ).to_json()
    kernel, bias = softmax_head(model)
    assert kernel.shape == (4, n_classes)
    scores = np.exp(rows @ kernel + bias)
    expected = model.predict_proba(rows)
    np.testing.assert_allclose(scores / scores.sum(1, keepdims=True), expected, atol=1e-6)
    again = from_softmax_head(kernel, bias, NAMES[:n_classes], extraction, [], "a.keras")
    np.testing.assert_allclose(again.predict_proba(rows), expected, atol=1e-6)


def test_scores_of_any_size_give_probabilities():
    head = LinearClassifier()
    head.coef_, head.intercept_ = np.array([[-1e4], [0], [1e4]]), np.zeros(3)
    found = head.predict_proba(np.array([[-1], [0], [1]], np.float32))
    np.testing.assert_array_equal(found, [[1, 0, 0], [1 / 3] * 3, [0, 0, 1]])


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_vgg_is_read_for_ncnn_without_keras():
    written(NetworkChoice("VGG16", size=(32, 32), weights="random"), "a.keras")
    np.save("pixels.npy", photographs(2, 32))
    program = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from pyimagesearch.nn import *\n"
        "whole = read_whole(Path('a.keras'))\n"
        "description = Description.from_json(whole.extraction)\n"
        "network = load_whole_network(Path('a.keras'), description, whole.output_layer)\n"
        "np.save('rows.npy', network(network.preprocess(np.load('pixels.npy'))))\n"
        "print(network.engine, 'keras' in sys.modules)\n"
    )
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {root!r})\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["ncnn", "False"]
    network = load_network(NetworkChoice("VGG16", size=(32, 32), weights="random"))
    np.testing.assert_array_equal(np.load("rows.npy"), features(network, photographs(2, 32)))


CLASSIFY = """
import runpy, sys
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    assert stop.code == 0, stop.code
print(*{"keras", "sklearn", "scipy", "pandas", "matplotlib", "jinja2"} & sys.modules.keys())
"""


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_images_are_classified_with_vgg_without_keras_and_scikit_learn():
    choice = NetworkChoice("VGG16", layer="block2_pool", size=(32, 32), weights="random")
    _, model, pixels, _ = written(choice, "a.keras")
    Image.fromarray(pixels[0]).save("image.png")
    script = str(Path(__file__).parents[1] / "classify_images.py")
    program = f"import sys; sys.argv[0] = {script!r}\n{CLASSIFY}"
    options = ["-m", "a.keras", "image.png", "--csv", "a.csv", "--all"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *options], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""  # nothing of what is heavy
    header, row = Path("a.csv").read_text("utf-8").splitlines()
    assert header.split(",")[3:] == NAMES
    expected = model.predict_proba(features(load_network(choice), pixels[:1]))[0]
    np.testing.assert_allclose([float(x) for x in row.split(",")[3:]], expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["mobilenet/conv_pw_3_relu", "mobilenet"])
def test_a_network_of_keras_used_as_one_layer_is_written_for_keras_and_phones(layer):
    import keras

    inner = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25, name="mobilenet"
    )
    start = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(inner(start, training=False))
    keras.Model(start, keras.layers.Dense(2, activation="softmax")(x)).save("net.keras")
    choice = NetworkChoice("net.keras", layer, "avg", size=(32, 32), preprocessing="tf")
    *_, differences = written(choice, "a.keras", "a.tflite")
    assert len(differences) == 2
    assert all(difference < 1e-5 for difference in differences.values())


@pytest.mark.slow
def test_a_model_for_phones_gives_the_same_and_describes_its_input():
    choice = NetworkChoice("net.keras", preprocessing="tf", size=(16, 16), pooling="avg")
    base().save("net.keras")
    _, _, _, differences = written(choice, "a.tflite")
    assert differences[Path("a.tflite")] < 1e-5
    with zipfile.ZipFile("a.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == NAMES
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(Path("a.tflite").read_bytes()))
    (entry,) = (entry for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    described = bytes(model.buffers[entry.buffer].data)
    assert described[4:8] == b"M001"
    assert b"labels.txt" in described
    (taken,) = (model.subgraphs[0].tensors[i] for i in model.subgraphs[0].inputs)
    assert list(taken.shape) == [1, 16, 16, 3]
    # Single precision throughout: no operation needs more than the runtime of a phone.
    assert not [code.customCode for code in model.operatorCodes if code.customCode]


@pytest.mark.slow
def test_without_ai_edge_litert_tensorflow_reads_a_model_for_phones(tmp_path, monkeypatch):
    hidden = tmp_path / "hidden" / "ai_edge_litert"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(hidden.parent))
    *_, differences = written(cut_where_tokens_come_out(), "a.tflite")
    assert differences[Path("a.tflite")] < 1e-5


@pytest.mark.usefixtures("in_this_process")
def test_nothing_is_written_where_the_answers_differ():
    base().save("net.keras")
    network = load_network(
        NetworkChoice("net.keras", preprocessing="tf", size=(16, 16)), engine="keras"
    )
    pixels = photographs(3, 16)
    model = trained(network, pixels)

    def other(rows: np.ndarray) -> np.ndarray:
        return model.predict_proba(rows) + 2e-4

    Path("a.keras").write_bytes(b"an earlier one")
    with pytest.raises(InputError, match=r"'a.keras' is not written: .* differ .* up to 0.0002"):
        write_whole([Path("a.keras")], network, whole_of(network, model), other, pixels)
    assert Path("a.keras").read_bytes() == b"an earlier one"
    assert sorted(map(str, Path().iterdir())) == ["a.keras", "net.keras"]


@pytest.mark.parametrize(
    ("path", "program", "message"),
    [
        pytest.param(
            "a.keras", "readback.py", "'a.keras' is not written: .*out of luck", id="back"
        ),
        pytest.param("a.tflite", "convert.py", "cannot convert .*out of luck; write", id="phone"),
    ],
)
def test_a_fresh_process_that_fails_is_quoted(path, program, message, monkeypatch, tmp_path):
    base().save("net.keras")
    choice = NetworkChoice("net.keras", preprocessing="tf", size=(16, 16))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / program).write_text("raise SystemExit('noise\\nout of luck.')")
    monkeypatch.setattr(writing, "PROGRAMS", programs)
    with pytest.raises(InputError, match=message):
        written(choice, path)
    assert not Path(path).exists()


def packed(path: str, record: object = None) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        if record is not None:
            archive.writestr("classifier.json", json.dumps(record))


def damaged_head(path: str) -> None:
    with h5py.File("model.weights.h5", "w") as file:
        file["layers/flatten/vars"] = 0
    packed(path, {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.write("model.weights.h5")


@pytest.mark.parametrize(
    ("path", "make", "message"),
    [
        pytest.param("a.keras", lambda path: None, "no classifier 'a.keras'", id="gone"),
        pytest.param(
            "a.keras", lambda path: Path(path).write_bytes(b"no"), "it is not an archive", id="cut"
        ),
        pytest.param("a.keras", packed, "has no 'classifier.json'", id="of Keras"),
        pytest.param("a.KERAS", packed, r"ends in '\.KERAS': expected '\.keras'", id="capitals"),
        pytest.param("a.keras", damaged_head, "is not a valid whole model", id="no head"),
        pytest.param(
            "a.keras", lambda path: packed(path, []), "is not a valid whole model", id="no record"
        ),
        pytest.param(
            "a.tflite", lambda path: Path(path).write_bytes(b""), "for apps on phones", id="phone"
        ),
    ],
)
def test_what_is_not_a_whole_model_is_refused_in_one_line(path, make, message):
    make(path)
    with pytest.raises(InputError, match=message) as raised:
        read_whole(Path(path))
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("in_this_process")
def test_a_description_of_another_network_is_refused():
    choice = NetworkChoice("net.keras", preprocessing="none", size=(16, 16))
    base().save("net.keras")
    network, *_ = written(choice, "a.keras")
    other = dataclasses.replace(network.description, feature_shape=(1, 2, 3))
    whole = read_whole(Path("a.keras"))
    with pytest.raises(InputError, match="its network gives"):
        load_whole_network(Path("a.keras"), other, whole.output_layer)
    with pytest.raises(InputError, match=r"cannot load the network of 'net.keras': No such layer"):
        load_whole_network(Path("net.keras"), network.description, whole.output_layer)


def test_a_suffix_in_capitals_is_refused():
    with pytest.raises(InputError, match=r"ends in '\.KERAS': expected '\.keras'"):
        check_suffix("a.KERAS")
    check_suffix("a.SKOPS")


def test_a_fresh_process_that_is_killed_is_reported_as_killed(monkeypatch, tmp_path):
    base().save("net.keras")
    killed = (
        "import os, sys\nprint('noise', file=sys.stderr, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "readback.py").write_text(killed)
    monkeypatch.setattr(writing, "PROGRAMS", tmp_path)
    choice = NetworkChoice("net.keras", preprocessing="tf", size=(16, 16))
    with pytest.raises(InputError, match="cannot use it, it was ended by SIGKILL; give"):
        written(choice, "a.keras")
