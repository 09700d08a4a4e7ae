import json
import os
import random
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import CLASSES, N_IMAGES, load_fake, run_on_a_terminal
from PIL import Image

import extract_features
from extract_features import build_parser, extract, main
from pyimagesearch.nn import NetworkChoice
from pyimagesearch.nn.kerasmodel import fill_with_random
from pyimagesearch.nn.zoo import ZOO, build
from pyimagesearch.utils import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_main(monkeypatch, *arguments: str) -> int:
    """Run the command line with the network of three lines."""
    real = extract_features.extract

    def with_fake_network(*args, **options):
        return real(*args, **options, load_network=load_fake)

    monkeypatch.setattr(extract_features, "extract", with_fake_network)
    return main(list(arguments))


def test_both_spellings_of_the_long_flags_are_the_same():
    chapter = ["-d", "a", "-o", "b", "--batch_size", "7", "--buffer_size", "9"]
    hyphens = ["--dataset", "a", "--output", "b", "--batch-size", "7", "--buffer-size", "9"]
    short = ["-d", "a", "-o", "b", "-b", "7", "-s", "9"]
    parse = build_parser().parse_args
    assert parse(chapter) == parse(hyphens) == parse(short)


def test_the_defaults_are_those_of_the_chapter(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    arguments = build_parser().parse_args(["-d", "a", "-o", "b"])
    assert (arguments.batch_size, arguments.buffer_size) == (32, 1000)
    assert (arguments.network, arguments.pooling, arguments.layer) == ("VGG16", None, None)
    assert NetworkChoice().pooling == "none"
    assert (arguments.weights, arguments.engine, arguments.seed) == (None, "auto", 42)
    assert NetworkChoice() == NetworkChoice("vgg16", None, "none", (224, 224), "caffe", "imagenet")
    assert arguments.jobs == 1


@pytest.mark.parametrize("concurrent", [True, False], ids=["in threads", "here"])
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_each_row_has_the_features_and_the_label_of_its_image(image_folder, batch_size, concurrent):
    def load(*_):
        return load_fake(batch_size=batch_size, concurrent=concurrent)

    done = extract(image_folder, "new/folder/f.hdf5", jobs=3, buffer_size=4, load_network=load)
    assert done.shape == (15, 24)
    assert done.n_computed == 15
    with h5py.File("new/folder/f.hdf5") as db:
        assert list(db) == ["features", "label_names", "labels"]
        assert db["features"].dtype == np.float32
        names = list(db["label_names"].asstr()[:])
        assert names == sorted(CLASSES)
        paths = json.loads(db["features"].attrs["provenance"])["paths"]
        for row, label, path in zip(db["features"], db["labels"], paths, strict=True):
            assert names[label] == Path(path).parent.name
            with Image.open(image_folder / path) as image:
                pixels = np.asarray(image.resize((32, 32), Image.Resampling.NEAREST))
            np.testing.assert_array_equal(row, pixels[0, :24, 0])


def test_rows_are_shuffled_from_sorted_paths_by_the_seed(image_folder):
    expected = sorted(f"{name}/{name}_{i:03}.jpg" for name in CLASSES for i in range(N_IMAGES))
    random.Random(7).shuffle(expected)
    extract(image_folder, "f.hdf5", seed=7, load_network=load_fake)
    with h5py.File("f.hdf5") as db:
        assert json.loads(db["features"].attrs["provenance"])["paths"] == expected


def test_the_file_records_where_its_rows_come_from(image_folder, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    extract(image_folder, "f.hdf5", load_network=load_fake)
    with h5py.File("f.hdf5") as db:
        assert list(db["features"].attrs) == ["provenance"]
        recorded = json.loads(db["features"].attrs["provenance"])
    assert recorded["created"] == "1970-01-01T00:00:00+00:00"
    assert recorded["dataset"] == str(image_folder)
    assert recorded["weights"] == {"name": "none", "sha256": "0" * 64}
    assert (recorded["network"], recorded["layer"], recorded["seed"]) == ("fake", "last", 42)
    assert recorded["skipped"] == {}
    sizes = [path.stat().st_size for path in image_folder.rglob("*.jpg")]
    assert recorded["image_bytes"] == sum(sizes)
    assert {"python", "h5py", "keras", "numpy", "pillow"} <= recorded["versions"].keys()


@pytest.mark.parametrize("epoch", ["yesterday", "1.5", "9" * 30])
def test_a_date_that_is_none_is_named(image_folder, monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(InputError, match=f"SOURCE_DATE_EPOCH is '{epoch}'"):
        extract(image_folder, "f.hdf5", load_network=load_fake)


WRONG_INPUTS = [
    pytest.param({"-d": "missing"}, "'missing' does not exist", id="missing folder"),
    pytest.param({"-d": "empty"}, "no images under 'empty'", id="empty folder"),
    pytest.param({"-d": "stray"}, "lies outside a class folder", id="image outside a class"),
    pytest.param({"-d": "corrupt"}, "1 of 2 images cannot be read", id="corrupt image"),
    pytest.param({"-d": "flat"}, "is of one class, 'train'", id="one class"),
    pytest.param({"-o": "exists.hdf5"}, "already exists", id="existing output"),
    pytest.param({"-o": "exists.hdf5/f.hdf5"}, "cannot create folder", id="output below a file"),
    pytest.param({"-o": "o" * 250}, "File name too long; give another", id="long output"),
    pytest.param({"-w": "gone.h5"}, "no weights file 'gone.h5'", id="missing weights"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG_INPUTS)
def test_a_wrong_input_gives_clear_lines_and_exit_code_1(
    image_folder, monkeypatch, capsys, changed, message
):
    Path("empty").mkdir()
    Path("stray").mkdir()
    Image.new("RGB", (8, 8)).save("stray/0001.jpg")
    Path("corrupt/cats").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("corrupt/cats/1.jpg")
    Path("corrupt/dogs").mkdir(parents=True)
    Path("corrupt/dogs/2.jpg").write_bytes(b"\xff\xd8 no image")
    Path("flat/train").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("flat/train/cat.1.jpg")
    Path("exists.hdf5").write_text("precious")
    arguments = {"-d": str(image_folder), "-o": "out.hdf5"} | changed
    flags = [part for pair in arguments.items() for part in pair]
    code = main(flags) if "-w" in changed else run_main(monkeypatch, *flags)
    printed = capsys.readouterr().err.splitlines()
    assert code == 1
    assert all(line.startswith(("[ERROR] ", "[WARNING] no class ")) for line in printed)
    assert message in printed[-1]
    assert Path("exists.hdf5").read_text() == "precious"
    assert not list(Path().glob("out.hdf5*"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["-b", "0"], "0 is too small: expected at least 1", id="batch size 0"),
        pytest.param(["-s", "many"], "'many' is not a whole number", id="buffer size of words"),
        pytest.param(["-j", "0"], "or -1 for all cores", id="no threads"),
        pytest.param(["--engine", "tpu"], "invalid choice", id="unknown engine"),
        pytest.param(["--batch", "3"], "unrecognized arguments", id="abbreviation"),
        pytest.param(["-w", ""], "-w/--weights: the path is empty", id="empty name of weights"),
    ],
)
def test_wrong_usage_gives_exit_code_2(flags, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["-d", "a", "-o", "b", *flags])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unwritable_output_folder_is_named(image_folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match="cannot write in folder"):
        extract(image_folder, "f.hdf5", load_network=load_fake)


def test_an_output_that_another_run_writes_is_refused_before_any_work(image_folder):
    from pyimagesearch.io import HDF5DatasetWriter

    with HDF5DatasetWriter((1, 1), "f.hdf5") as other:
        with pytest.raises(InputError, match="being written by another run"):
            extract(image_folder, "f.hdf5", load_network=lambda *_: 1 / 0)
        other.add([[0]], [0])


def test_every_bad_image_is_named_with_its_reason(image_folder, monkeypatch, capsys):
    (image_folder / "cats" / "cats_000.jpg").write_bytes(b"")
    (image_folder / "dogs" / "dogs_001.jpg").write_text("<html>")
    assert run_main(monkeypatch, "-d", str(image_folder), "-o", "f.hdf5") == 1
    printed = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\[ERROR\] cannot read 'cats/cats_000.jpg': it is empty", printed[0])
    assert printed[1].startswith("[ERROR] cannot read 'dogs/dogs_001.jpg': ")
    assert "2 of 15 images" in printed[2]
    assert not list(Path().glob("f.hdf5*"))


def test_the_line_of_a_bad_image_is_one_and_links_are_counted(image_folder, monkeypatch, capsys):
    (image_folder / "cats" / "two\nlines.jpg").symlink_to("gone.jpg")
    assert run_main(monkeypatch, "-d", str(image_folder), "-o", "f.hdf5") == 1
    named, counted = capsys.readouterr().err.splitlines()
    assert named.startswith("[ERROR] cannot read 'cats/two\\nlines.jpg': it is a link to ")
    assert counted.startswith("[ERROR] 1 of 16 images cannot be read")


def test_bad_images_can_be_skipped_and_are_recorded(image_folder, monkeypatch, capsys):
    (image_folder / "cats" / "cats_000.jpg").write_bytes(b"")
    assert run_main(monkeypatch, "-d", str(image_folder), "-o", "f.hdf5", "--skip-bad") == 0
    assert "[WARNING] skipped 'cats/cats_000.jpg': it is empty" in capsys.readouterr().err
    with h5py.File("f.hdf5") as db:
        recorded = json.loads(db["features"].attrs["provenance"])
        assert db["features"].shape == (14, 24)
    assert recorded["skipped"] == {"cats/cats_000.jpg": "it is empty"}
    assert "cats/cats_000.jpg" not in recorded["paths"]


def test_the_story_is_told_on_stdout(image_folder, monkeypatch, capsys):
    assert run_main(monkeypatch, "-d", str(image_folder), "-o", "f.hdf5", "-j", "1") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    table, lines = printed.out.splitlines()[:4], printed.out.splitlines()[4:]
    assert table == ["[INFO] 3 classes:", "    cats    5", "    dogs    5", "    pandas  5"]
    assert lines[:4] == [
        "[INFO] loading network...",
        "[INFO] network: fake (none), cut after last: 2 x 3 x 4 = 24 numbers per image",
        "[INFO] engine: fake, 1 thread (a test)",
        "[INFO] checking 15 images of 3 classes...",
    ]
    assert re.fullmatch(r"\[INFO\] 15 images in .* s \(.* images/s\)", lines[4])
    assert lines[5] == "[INFO] f.hdf5: 15 x 24 features"


def test_no_speed_is_printed_where_all_rows_are_copied(image_folder, monkeypatch, capsys):
    extract_features.extract(image_folder, "old.hdf5", load_network=load_fake)
    flags = "-d", str(image_folder), "-o", "new.hdf5", "--reuse", "old.hdf5"
    assert run_main(monkeypatch, *flags) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "[INFO] reuse: 15 of 15 rows copied from 'old.hdf5'",
        "[INFO] new.hdf5: 15 x 24 features",
    ]


def test_on_a_terminal_the_bar_counts_images_up_to_100_percent(image_folder):
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from conftest import load_fake\n"
        "from extract_features import extract\n"
        "extract(sys.argv[3], 'f.hdf5', load_network=load_fake)\n"
    )
    paths = [str(ROOT), str(ROOT / "tests"), str(image_folder)]
    plain = run_on_a_terminal([sys.executable, "-c", program, *paths], Path("printed"))
    last = plain.replace("\r", "\n").strip().splitlines()[-1]
    assert "Extracting Features: 100%" in last
    assert "15 of 15" in last


@pytest.mark.slow
@pytest.mark.parametrize("n_kept", [6, 15])
def test_on_a_terminal_a_run_resumes_also_at_its_last_row(image_folder, n_kept):
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from conftest import load_fake\n"
        "from extract_features import extract\n"
        "print(extract(sys.argv[3], 'f.hdf5', load_network=load_fake).n_computed)\n"
    )
    extract(image_folder, "f.hdf5", load_network=load_fake)
    whole = Path("f.hdf5").rename("f.hdf5.partial").read_bytes()
    with h5py.File("f.hdf5.partial", "r+") as db:
        db["labels"][n_kept:] = -1
    paths = [str(ROOT), str(ROOT / "tests"), str(image_folder)]
    run_on_a_terminal([sys.executable, "-c", program, *paths], Path("printed"))
    assert Path("printed").read_text() == f"{15 - n_kept}\n"
    assert Path("f.hdf5").read_bytes() == whole


@pytest.fixture(scope="module")
def two_images(tmp_path_factory) -> Path:
    from draw import draw_images

    folder = tmp_path_factory.mktemp("two") / "images"
    draw_images(folder, ("cats", "dogs"), 1)
    return folder


@pytest.fixture(scope="module")
def of_the_chapter(two_images) -> dict[str, np.ndarray]:
    """What the lines of the chapter give, with random weights: the features of each image."""
    import keras
    from keras.applications.imagenet_utils import preprocess_input

    model = build(ZOO["VGG16"], (224, 224))
    fill_with_random(model)
    paths = [str(path.relative_to(two_images)) for path in two_images.glob("*/*")]
    batch = []
    for path in paths:
        image = keras.utils.load_img(two_images / path, target_size=(224, 224))
        image = np.expand_dims(keras.utils.img_to_array(image), axis=0)
        batch.append(preprocess_input(image))
    features = model.predict(np.vstack(batch), batch_size=2, verbose=0)
    features = features.reshape((features.shape[0], 512 * 7 * 7))
    return dict(zip(paths, features, strict=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_the_real_network_gives_what_the_lines_of_the_chapter_give(
    two_images, of_the_chapter, capfd, engine
):
    flags = ["-d", str(two_images), "-o", "f.hdf5", "-w", "random", "--engine", engine]
    assert main(flags) == 0
    printed = capfd.readouterr()
    warning, of_small_classes = printed.err.splitlines()
    assert warning == "[WARNING] random weights: the features are untrained"
    assert of_small_classes.endswith("; add images to 'cats' (1), 'dogs' (1)")
    assert f"[INFO] engine: {'keras' if engine == 'keras' else 'ncnn'}, " in printed.out
    with h5py.File("f.hdf5") as db:
        assert db["features"].shape == (2, 25088)
        paths = json.loads(db["features"].attrs["provenance"])["paths"]
        rows = db["features"][:]
    expected = np.stack([of_the_chapter[path] for path in paths])
    assert np.abs(rows - expected).max() < 1e-5 * np.abs(expected).max()


def test_weights_that_cannot_be_obtained_stop_the_script_with_one_line(
    two_images, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.delenv("no_proxy", raising=False)
    assert main(["-d", str(two_images), "-o", "f.hdf5"]) == 1
    printed = capfd.readouterr().err
    assert "Traceback" not in printed
    last = printed.splitlines()[-1]
    assert last.startswith("[ERROR] cannot download the ImageNet weights of VGG16: ")
    assert "or give its path as the weights" in last
    assert not list(Path().glob("f.hdf5*"))
