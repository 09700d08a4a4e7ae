"""Whole models by the scripts: from a folder of images to a file that answers by itself."""

import contextlib
import csv
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import CLASSES
from test_nn_nested import base

import classify_images
import extract_features
import train_model
from pyimagesearch.io import HDF5DatasetWriter
from pyimagesearch.linear import load_classifier, softmax_head
from pyimagesearch.nn import read_whole

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # Keras's own default, of Keras's own data sets (keras 3.15).
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning"),
    # tf2onnx asks numpy for a name that it no longer has (tf2onnx 1.17).
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]

ROOT = Path(__file__).parents[1]
SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)
SNIPPETS = SNIPPET.findall((ROOT / "docs" / "models.md").read_text("utf-8"))


@pytest.fixture
def extracted(image_folder, tmp_path, monkeypatch):
    """Leave ``f.hdf5``, of a small network in ``net.keras``, in the folder where the test runs."""
    monkeypatch.chdir(tmp_path)
    base().save("net.keras")
    options = ["--network", "net.keras", "--preprocessing", "tf", "--pooling", "avg"]
    command = ["--dataset", str(image_folder), "--output", "f.hdf5", "--engine", "keras"]
    assert extract_features.main([*command, *options, "--size", "16"]) == 0


def train(*arguments: str) -> int:
    with contextlib.suppress(SystemExit):
        return train_model.main(["--db", "f.hdf5", *arguments])
    return 2


def last_error(capsys) -> str:
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.slow
def test_one_search_writes_each_model_and_each_gives_the_same_answers(
    extracted, image_folder, capsys
):
    assert train("-m", "a.cpickle", "-m", "a.keras", "-m", "out/a.tflite") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-3:] == [
        f"[INFO] model: {name}" for name in ("a.cpickle", "a.keras", "out/a.tflite")
    ]
    compared = r"'(\S+)' in a fresh process: the probabilities of 4 test images .* at most (\S+)"
    differences = dict(re.findall(compared, "\n".join(out)))
    assert differences.keys() == {"a.keras", "out/a.tflite"}
    assert all(float(difference) < 1e-5 for difference in differences.values())
    Path("net.keras").rename("elsewhere.keras")  # the whole model has its own weights
    answers = {}
    for model, weights in [("a.cpickle", ["-w", "elsewhere.keras"]), ("a.keras", [])]:
        options = ["--csv", "a.csv", "--all", "--labelled", *weights]
        assert classify_images.main(["-m", model, str(image_folder), *options]) == 0
        printed = capsys.readouterr()
        assert "11 of 15 evaluated images trained the classifier" in printed.err
        with Path("a.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header[3:] == list(CLASSES)
        answers[model] = np.array([row[3:] for row in rows], float)
    np.testing.assert_allclose(answers["a.keras"], answers["a.cpickle"], atol=1e-6)


@pytest.mark.usefixtures("in_this_process")
def test_weights_that_have_moved_are_found_by_the_given_path(extracted, capsys):
    Path("net.keras").rename("elsewhere.keras")
    assert train("-m", "a.keras", "-w", "elsewhere.keras") == 0
    assert Path("a.keras").exists()


@pytest.mark.usefixtures("in_this_process")
def test_without_any_test_image_the_pixels_are_random(extracted, image_folder, capsys):
    image_folder.rename("moved")
    assert train("-m", "a.keras") == 0
    assert "probabilities of 8 images of random pixels differ" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_the_snippets_of_the_readme_run(extracted, image_folder, capsys, tmp_path):
    """Predict with Keras alone, then fine-tune: no less accurate after two epochs."""
    import keras

    keras.utils.set_random_seed(0)
    assert train("-m", "animals.keras") == 0
    Path("animals").mkdir()
    image_folder.rename("animals/images")
    image = next(Path("animals/images/cats").iterdir())
    image.rename("cat.jpg")
    capsys.readouterr()
    predict, tune, onnx = SNIPPETS
    scope: dict = {}
    exec(predict, scope)
    name, probability = capsys.readouterr().out.split()[-2:]
    assert classify_images.main(["-m", "animals.keras", "cat.jpg"]) == 0
    assert capsys.readouterr().out.split()[1:3] == [name, f"{float(probability):.4f}"]
    exec(tune, scope)
    accuracies = scope["history"].history["accuracy"]
    tuned = keras.saving.load_model("tuned.keras")
    images = scope["images"]
    before = keras.saving.load_model("animals.keras")
    for model in (before, tuned):
        model.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
    accuracy = [model.evaluate(images, verbose=0)[1] for model in (before, tuned)]
    assert len(accuracies) == 2
    assert accuracy[1] >= accuracy[0]
    exec(onnx, scope)
    np.testing.assert_allclose(scope["found"], scope["expected"], atol=1e-5)


def lose_the_description() -> None:
    with h5py.File("f.hdf5", "a") as file:
        del file["features"].attrs["provenance"]


def lose_the_weights() -> None:
    Path("net.keras").unlink()


def change_the_weights() -> None:
    base().save("net.keras")  # whose date is another


def record(**changed: object) -> None:
    with h5py.File("f.hdf5", "a") as file:
        attributes = file["features"].attrs
        recorded = json.loads(attributes["provenance"]) | changed
        attributes["provenance"] = json.dumps(recorded)


def leave_it() -> None:
    pass


def block_the_folder() -> None:
    Path("out").write_text("no folder")


@pytest.mark.parametrize(
    ("spoil", "arguments", "code", "message"),
    [
        pytest.param(
            lose_the_description,
            ["-m", "a.keras"],
            1,
            "'f.hdf5' does not record which network made its features, .*; leave out --model",
            id="a features file of another tool",
        ),
        pytest.param(
            lambda: record(feature_shape=[7]),
            ["-m", "a.tflite"],
            1,
            "'f.hdf5' has 5 features per row, but its network gives 7",
            id="a description of other features",
        ),
        pytest.param(
            lose_the_weights,
            ["-m", "a.keras"],
            1,
            "no weights file '.*net.keras': expected the one .*; give its path as the weights",
            id="weights gone",
        ),
        pytest.param(
            change_the_weights,
            ["-m", "a.keras"],
            1,
            "weights '.*net.keras' have SHA-256 .* was recorded",
            id="other weights",
        ),
        pytest.param(
            leave_it,
            ["-m", "a.keras", "-w", "gone.keras"],
            1,
            "no weights file 'gone.keras'",
            id="weights that are not there",
        ),
        pytest.param(
            lambda: Path("folder").mkdir(),
            ["-m", "a.keras", "-w", "folder"],
            1,
            "no weights file 'folder': expected the one that the features were made with",
            id="a folder as weights",
        ),
        pytest.param(
            leave_it,
            ["-m", "a.onnx"],
            1,
            r"model 'a.onnx' ends in '\.onnx', a format that is not written: expected \.keras, ",
            id="another format",
        ),
        pytest.param(
            leave_it,
            ["-m", "net.keras"],
            1,
            "--model would overwrite '.*net.keras', which is an input",
            id="over the network itself",
        ),
        pytest.param(
            leave_it,
            ["-m", "a.keras", "-m", "./a.keras"],
            1,
            "--model and --model are both '.*a.keras'",
            id="one file twice",
        ),
        pytest.param(
            leave_it, ["-m", "a.KERAS"], 1, r"ends in '.KERAS': expected '.keras'", id="capitals"
        ),
        pytest.param(
            block_the_folder, ["-m", "out/a.keras"], 1, "cannot create folder 'out'", id="no folder"
        ),
        pytest.param(
            leave_it,
            ["-m", "a.skops", "-w", "net.keras"],
            2,
            "--weights is for a whole model",
            id="weights for a pickle",
        ),
    ],
)
def test_wrong_usage_gets_one_line_before_the_search(
    extracted, spoil, arguments, code, message, capsys
):
    spoil()
    capsys.readouterr()
    assert train(*arguments) == code
    output = capsys.readouterr()
    assert re.search(message, output.err.splitlines()[-1])
    assert code == 2 or len(output.err.splitlines()) == 1
    assert "tuning" not in output.out
    assert not Path("a.keras").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["-m", "a.tflite"], "'a.tflite' is a model for apps on phones", id="phone"),
        pytest.param(["-m", "net.keras"], "'net.keras' has no 'classifier.json'", id="of Keras"),
        pytest.param(["-m", "gone.keras"], "no classifier 'gone.keras'", id="gone"),
        pytest.param(
            ["-m", "net.keras", "-w", "w.h5"], "'net.keras' holds its own weights", id="weights"
        ),
    ],
)
def test_a_classifier_that_cannot_classify_is_refused_in_one_line(
    extracted, image_folder, arguments, message, capsys
):
    Path("a.tflite").touch()
    capsys.readouterr()
    assert classify_images.main([*arguments, str(image_folder)]) == 1
    assert last_error(capsys).startswith(f"[ERROR] {message}")


@pytest.mark.usefixtures("in_this_process")
def test_a_whole_model_is_reported_to_lack_the_unknown_detector(extracted, capsys):
    assert train("-m", "a.keras", "--unknown", "0.2") == 0
    assert "note: a whole model cannot recognise unknown images" in capsys.readouterr().out
    assert train("-m", "a.keras") == 0
    assert "unknown images" not in capsys.readouterr().out


@pytest.mark.usefixtures("in_this_process")
def test_a_temperature_is_in_the_numbers_of_the_head(extracted):
    heads = {}
    for name, options in (("plain", []), ("calibrated", ["--calibrate"])):
        assert train("-m", f"{name}.cpickle", "-m", f"{name}.keras", *options) == 0
        whole = read_whole(Path(f"{name}.keras"))
        heads[name] = whole.kernel, whole.bias
        for got, expected in zip(
            heads[name], softmax_head(load_classifier(f"{name}.cpickle")), strict=True
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-6)
    kernel, bias = heads["plain"]
    temperature = np.linalg.norm(kernel) / np.linalg.norm(heads["calibrated"][0])
    assert abs(np.log(temperature)) > 0.1
    np.testing.assert_allclose(heads["calibrated"][0] * temperature, kernel, rtol=1e-4)
    np.testing.assert_allclose(heads["calibrated"][1] * temperature, bias, rtol=1e-4)


@pytest.mark.usefixtures("in_this_process")
def test_two_classes_and_a_class_that_did_not_train_keep_their_names(tmp_path, monkeypatch, capsys):
    from pyimagesearch.nn import NetworkChoice, load_network

    monkeypatch.chdir(tmp_path)
    base().save("net.keras")
    choice = NetworkChoice("net.keras", preprocessing="tf", size=(16, 16), pooling="avg")
    provenance = load_network(choice, engine="keras").description.to_json()
    provenance["weights_file"] = "net.keras"
    rows = np.random.default_rng(0).random((40, 5), np.float32)
    labels = np.arange(40) % 2 * 2  # none of class 1
    labels[-1] = 1
    with HDF5DatasetWriter(rows.shape, "f.hdf5", "features", provenance=provenance) as writer:
        writer.storeClassLabels(["a", "b", "c"])
        writer.add(rows, labels)
    assert train("-m", "a.keras") == 0
    assert read_whole(Path("a.keras")).label_names == ["a", "c"]
