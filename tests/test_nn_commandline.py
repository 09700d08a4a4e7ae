"""What the command line reports about a wrong network, and about layers."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from draw import draw_images

from extract_features import main
from pyimagesearch.nn.zoo import vgg

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, narrow):
    """A folder of its own with two images, and narrow networks so that all is quick."""
    monkeypatch.chdir(tmp_path)
    draw_images(Path("images"), ("cats", "dogs"), 1)


def run_on_images(*flags: str) -> int:
    """Return the exit code of an extraction, usage errors included."""
    try:
        return main(["-d", "images", "-o", "f.hdf5", "-j", "1", *flags])
    except SystemExit as stop:
        return stop.code


def write_text() -> None:
    Path("net.keras").write_text("hello")


def write_truncated() -> None:
    import keras

    start = keras.Input((8, 8, 3))
    keras.Model(start, keras.layers.Conv2D(2, 3)(start)).save("net.keras")
    whole = Path("net.keras").read_bytes()
    Path("net.keras").write_bytes(whole[: len(whole) // 2])


def write_lambda() -> None:
    import keras

    start = keras.Input((8, 8, 3))
    keras.Model(start, keras.layers.Lambda(lambda x: 2 * x)(start)).save("net.keras")


def write_vgg19() -> None:
    with h5py.File("vgg19.weights.h5", "w") as file:
        variables = vgg.vgg_topology("VGG19", (32, 32)).variables.values()
        for number, arrays in enumerate(variables):
            name = f"layers/conv2d_{number}" if number else "layers/conv2d"
            for i, array in enumerate(arrays):
                file.create_dataset(f"{name}/vars/{i}", array.shape, "f4")


def write_overflowing() -> None:
    """Save a network in half precision whose first layer gives more than 65,504."""
    import keras

    start = keras.Input((8, 8, 3))
    large = keras.layers.Conv2D(2, 3, name="large", dtype="mixed_float16")
    model = keras.Model(start, large(start))
    large.set_weights([np.full((3, 3, 3, 2), 1e4), np.zeros(2)])
    model.save("net.keras")


def write_nan() -> None:
    import keras

    start = keras.Input((8, 8, 3))
    damaged = keras.layers.Conv2D(2, 3, name="damaged")
    model = keras.Model(start, damaged(start))
    damaged.set_weights([np.full((3, 3, 3, 2), np.nan), np.zeros(2)])
    model.save("net.keras")


FILE = ("--network", "net.keras", "--preprocessing", "none")
RANDOM = ("--weights", "random")


@pytest.mark.parametrize(
    ("flags", "prepare", "code", "message"),
    [
        pytest.param(
            ["-n", "ResNet5"], None, 2, "no network 'ResNet5': expected 'ResNet50'", id="network"
        ),
        pytest.param(
            [*RANDOM, "--layer", "block5pool"],
            None,
            1,
            "VGG16 has no layer 'block5pool' to cut after: expected 'block5_pool'",
            id="layer",
        ),
        pytest.param(
            [*RANDOM, "--size", "31"],
            None,
            1,
            "VGG16 cannot take images of 31 x 31 pixels: expected at least 32",
            id="size",
        ),
        pytest.param(
            [*RANDOM, "-n", "Xception", "--size", "70"],
            None,
            1,
            "Xception cannot take images of 70 x 70 pixels: Input size must be at least 71",
            id="size of another network",
        ),
        pytest.param(
            [*RANDOM, "-n", "MobileNet", "--size", "32", "--layer", "nothing"],
            None,
            1,
            "MobileNet has no layer 'nothing' to cut after",
            id="layer of another network",
        ),
        pytest.param(
            ["-w", "vgg19.weights.h5"],
            write_vgg19,
            1,
            "weights file 'vgg19.weights.h5' is damaged or not VGG16's",
            id="weights of a sibling",
        ),
        pytest.param(FILE, write_lambda, 1, "it has a Lambda layer", id="Lambda"),
        pytest.param(FILE, write_truncated, 1, "is not a complete .keras file", id="truncated"),
        pytest.param(FILE, write_text, 1, "is not a complete .keras file", id="text"),
        pytest.param(
            FILE, write_nan, 1, "layer 'damaged' of 'net.keras' has weights that are NaN", id="NaN"
        ),
        pytest.param([*FILE, *RANDOM], None, 2, "brings its own weights", id="weights beside FILE"),
        pytest.param(FILE[:2], None, 2, "give the preprocessing", id="no preprocessing"),
        pytest.param(
            ["-n", "./vgg19.weights.h5"],
            write_vgg19,
            2,
            "is a file that does not end in .keras",
            id="weights as the network",
        ),
    ],
)
def test_a_network_asked_for_wrongly_gets_one_line(flags, prepare, code, message, capsys):
    if prepare:
        prepare()
    assert run_on_images(*flags) == code
    printed = capsys.readouterr().err.splitlines()
    assert message in printed[-1]
    begins = "usage: " if code == 2 else ("[WARNING] ", "[ERROR] ")
    assert all(line.startswith(begins) for line in printed[: None if code == 1 else 1])
    assert not list(Path().glob("f.hdf5*"))


def test_features_that_overflow_are_refused_with_the_image_and_the_reason(capsys):
    write_overflowing()
    assert run_on_images(*FILE) == 1
    (line,) = errors(capsys)
    with h5py.File("f.hdf5.partial") as file:
        first = json.loads(file["features"].attrs["provenance"])["paths"][0]
    assert line == (
        f"[ERROR] 72 of the 72 features of '{first}' are NaN or infinite: layer 'large' of "
        "'net.keras' computes in half precision (float16), whose numbers end at 65,504; save the "
        "network again with the dtype policy float32; 'f.hdf5.partial' holds 0 of 2 rows "
        "and cannot be resumed: delete it"
    )


def errors(capsys) -> list[str]:
    """Return the complaints; the tiny folder is warned about, too."""
    printed = capsys.readouterr().err.splitlines()
    return [line for line in printed if not line.startswith("[WARNING] ")]


def test_pooling_what_has_no_rows_and_columns_is_refused(capsys):
    import keras

    start = keras.Input((8, 8, 3))
    keras.Model(start, keras.layers.Flatten(name="flat")(start)).save("net.keras")
    assert run_on_images(*FILE, "--layer", "flat", "--pooling", "avg") == 1
    (line,) = errors(capsys)
    assert line.startswith("[ERROR] pooling 'avg' has nothing to pool: layer 'flat' gives (192,)")


def test_resuming_with_another_pooling_is_refused_by_its_name(monkeypatch, capsys):
    import extract_features

    chosen = [*RANDOM, "--size", "32", "--layer", "block1_pool"]
    monkeypatch.setattr(extract_features, "write_features", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_on_images(*chosen)
    assert Path("f.hdf5.partial").exists()
    capsys.readouterr()
    for pooling in ("avg", "max"):
        assert run_on_images(*chosen, "--pooling", pooling) == 1
        (line,) = errors(capsys)
        assert f"pooling (none recorded, {pooling} now)" in line


def test_the_layers_of_a_file_are_printed_without_any_other_option(capsys):
    import keras

    start = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(20, 3, name="conv")(start)
    keras.Model(start, keras.layers.Flatten(name="flat")(x)).save("net.keras")
    assert main(["--network", "net.keras", "--list-layers"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "conv           6 x 6 x 20  720",
        "flat                  720  720",
    ]
