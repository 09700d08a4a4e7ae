import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, N_IMAGES, fake_network, load_fake, run_on_a_terminal, takes_any_name
from PIL import Image
from sklearn.linear_model import LogisticRegression

import classify_images
from extract_features import extract
from pyimagesearch import nn
from pyimagesearch.io import open_features
from pyimagesearch.linear import (
    UnknownDetector,
    answers,
    fit_unknown_detector,
    load_classifier,
    save_classifier,
)
from pyimagesearch.linear.linearclassifier import LinearClassifier
from pyimagesearch.preprocessing import list_images
from pyimagesearch.results import collectedanswers
from pyimagesearch.results.recordedclassifier import read_classifier
from pyimagesearch.utils import InputError
from pyimagesearch.utils.names import label_finder

ROOT = Path(__file__).parents[1]


def load_described(description, weights_file=None, **options):
    """Stand in for `pyimagesearch.nn.load_described`."""
    assert description == fake_network().description
    return fake_network()


def run_main(*arguments: str) -> int:
    return classify_images.main(list(arguments), load=load_described)


@pytest.fixture
def trained(image_folder, tmp_path, monkeypatch):
    """A classifier of the drawn images, and its features file."""
    monkeypatch.chdir(tmp_path)
    extract(image_folder, "f.hdf5", load_network=load_fake)
    with open_features("f.hdf5") as features:
        X, y = features.read(0, len(features.labels)), features.labels
        # In float64, as the search trains: single precision rounds otherwise in other batches.
        model = LogisticRegression(C=1e-4).fit(X.astype(float), y)
        recorded = features.record.for_classifier()
        # The last two were classified only.
        digests = features.record.digests[:-2]
        save_classifier("m.cpickle", model, features.label_names, recorded, digests)
        return model, X, features.record.paths


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if not line.startswith("[")]


def test_an_image_gets_the_probabilities_of_its_training(trained, image_folder, capsys):
    model, X, paths = trained
    images = [str(image_folder / path) for path in paths]
    assert run_main("-m", "m.cpickle", *images, "--csv", "a.csv", "--all", "-j", "2") == 0
    with Path("a.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "class", "probability", *CLASSES]
    assert [row[0] for row in rows] == images
    expected = model.predict_proba(X)
    got = np.array([row[3:] for row in rows], float)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    np.testing.assert_allclose([float(row[2]) for row in rows], expected.max(axis=1), atol=1e-12)
    assert [row[1] for row in rows] == [CLASSES[i] for i in expected.argmax(axis=1)]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:15]] == [row[1] for row in rows]
    assert lines[15].startswith("[INFO] classified 15 of 15 images in ")
    assert lines[-1] == "[INFO] csv: a.csv"


@pytest.mark.usefixtures("trained")
def test_a_pickle_is_read_as_its_coefficients(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)  # its import would take a second or two
    model, whole = read_classifier("m.cpickle", None)
    assert (type(model), whole) == (LinearClassifier, None)


def test_the_answers_are_also_a_page_and_json(trained, image_folder, capsys):
    bad = image_folder / "cats" / "bad.jpg"
    bad.write_bytes(b"no image")
    reports = ("--report", "a.html", "--report", "a.json")
    assert run_main("-m", "m.cpickle", str(image_folder), "--labelled", *reports) == 1
    page, found = Path("a.html").read_text("utf-8"), json.loads(Path("a.json").read_text("utf-8"))
    out = capsys.readouterr().out
    answered = {row[0]: row[1] for row in table(out)[: found["n_images"]]}
    assert {row["path"]: row["class"] for row in found["answers"]} == answered
    assert sum(found["classes"].values()) == found["n_images"] == 15
    assert found["n_unreadable"] == 1
    assert page.count('src="data:image/') == 15 + 15  # least sure, and by class
    assert "bad.jpg" in page
    assert "precision" in page
    assert "[INFO] report: a.html\n[INFO] report: a.json\n" in out
    assert run_main("-m", "m.cpickle", str(image_folder), "--report", "m.cpickle") == 1
    assert "--report and --model are both 'm.cpickle'" in capsys.readouterr().err


def test_an_image_whose_features_are_not_finite_ends_the_run(
    trained, image_folder, monkeypatch, capsys
):
    def load_odd(description, weights_file=None, **options):
        network = fake_network()
        compute = network.compute

        def compute_odd(batch):
            # A network that divides by the deviation of the pixels, say.
            return np.where(batch[:, :1, 0, 0] % 2, compute(batch), np.float32("nan"))

        network.compute = compute_odd
        return network

    def classify(*paths: Path) -> str:
        arguments = ["-m", "m.cpickle", *map(str, paths)]
        assert classify_images.main(arguments, load=load_odd) == 1
        return capsys.readouterr().err.splitlines()[-1]

    red, black, broken = (image_folder / f"{name}.png" for name in ("red", "black", "broken"))
    Image.new("RGB", (32, 32), "red").save(red)
    Image.new("RGB", (32, 32)).save(black)
    broken.write_bytes(b"no image")  # black pixels take its place in the batch
    assert classify(broken, red).startswith("[ERROR] 1 of 2 images cannot be read")
    printed = (
        f"[ERROR] 24 of the 24 features of '{black}' are NaN or infinite: 'fake' may have damaged"
    )
    assert classify(broken, red, red, black).startswith(printed)


def type_in(monkeypatch, typed: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), "utf-8"))


@takes_any_name
def test_a_path_on_stdin_need_not_be_utf_8(trained, image_folder, monkeypatch, capsys):
    odd = os.fsencode(image_folder) + b"/caf\xe9.jpg"
    (image_folder / "cats" / "cats_000.jpg").rename(os.fsdecode(odd))
    type_in(monkeypatch, odd + b"\n")
    assert run_main("-m", "m.cpickle", "-", "--csv", "a.csv") == 0
    assert "caf\\udce9.jpg" in capsys.readouterr().out
    assert odd in Path("a.csv").read_bytes()


def test_files_folders_and_stdin_are_mixed_in_the_order_given(
    trained, image_folder, monkeypatch, capsys
):
    type_in(monkeypatch, f"{image_folder}/cats/cats_000.jpg\n\n{image_folder}/dogs\r\n".encode())
    first = f"{image_folder}/pandas/pandas_002.jpg"
    assert run_main("-m", "m.cpickle", first, "-", "--images", f"{image_folder}/cats") == 0
    shown = [Path(row[0]).name for row in table(capsys.readouterr().out)]
    dogs, cats = ([f"{name}_{i:03}.jpg" for i in range(N_IMAGES)] for name in ("dogs", "cats"))
    assert shown == ["pandas_002.jpg", "cats_000.jpg", *dogs, *cats]


def test_top_k_adds_columns_in_the_order_of_probability(trained, image_folder, capsys):
    assert run_main("-m", "m.cpickle", str(image_folder), "--top", "2") == 0
    for _, first, most, second, less in table(capsys.readouterr().out):
        assert {first, second} <= set(CLASSES)
        assert float(most) >= float(less)


def test_tsv_has_nothing_but_rows_on_stdout_and_escapes_tabs(trained, image_folder, capsys):
    odd = image_folder / "odd\tname\n.jpg"
    (image_folder / "cats" / "cats_000.jpg").rename(odd)
    assert run_main("-m", "m.cpickle", str(odd), "--tsv") == 0
    printed = capsys.readouterr()
    (row,) = printed.out.splitlines()
    path, _, probability = row.split("\t")
    assert path == f"{image_folder}/odd\\tname\\n.jpg"
    assert 0 < float(probability) <= 1
    assert "[INFO] classified 1 of 1 image " in printed.err


def test_columns_are_aligned_whatever_the_names(trained, image_folder, capsys):
    wide = image_folder / "cats" / "猫.jpg"
    (image_folder / "cats" / "cats_000.jpg").rename(wide)
    assert run_main("-m", "m.cpickle", str(image_folder / "cats")) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line[0] != "["]
    widths = {line.rindex("  ") + ("猫" in line) for line in lines}
    assert len(widths) == 1


def test_bad_images_are_named_and_the_others_classified(trained, image_folder, capsys):
    (image_folder / "cats" / "cats_000.jpg").write_bytes(b"")
    arguments = ["-m", "m.cpickle", str(image_folder), "gone.jpg", "--csv", "a.csv"]
    assert run_main(*arguments) == 1
    printed = capsys.readouterr()
    assert len(table(printed.out)) == 14
    assert len(Path("a.csv").read_text().splitlines()) == 15
    assert "cats_000.jpg' cannot be read: it is empty" in printed.err
    assert "'gone.jpg' cannot be read" in printed.err
    assert printed.err.splitlines()[-1].startswith("[ERROR] 2 of 16 images cannot be read")


def test_ctrl_c_keeps_the_rows_that_were_done(trained, image_folder, capsys):
    network = fake_network(concurrent=False)
    batches = []

    def compute(batch: np.ndarray) -> np.ndarray:
        batches.append(batch)
        if len(batches) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return batch[:, 0, :24, 0].astype(np.float32)

    network.compute = compute
    arguments = ["-m", "m.cpickle", str(image_folder), "--csv", "a.csv"]
    assert classify_images.main(arguments, load=lambda *_, **__: network) == 130
    printed = capsys.readouterr()
    line = "[WARNING] stopped by SIGINT; 'a.csv.partial' holds what was written until then\n"
    assert printed.err == line
    with Path("a.csv.partial").open(newline="") as file:
        _, *rows = csv.reader(file)
    assert len(rows) >= 4
    assert [row[0] for row in rows] == [row[0] for row in table(printed.out)]
    assert not Path("a.csv").exists()


@pytest.mark.slow
def test_an_error_on_a_terminal_has_a_line_of_its_own(trained, image_folder):
    bad = image_folder / "dogs" / "dogs_000.jpg"
    bad.write_bytes(b"")
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from conftest import fake_network\n"
        "from classify_images import main\n"
        "network = fake_network(delay_s=0.1)\n"
        "main(['-m', 'm.cpickle', sys.argv[3], '--csv', 'a.csv'], load=lambda *_, **__: network)\n"
    )
    paths = [str(ROOT), str(ROOT / "tests"), str(image_folder)]
    drawn = run_on_a_terminal([sys.executable, "-c", program, *paths], Path("printed"))
    lines = drawn.splitlines()
    assert any("Classifying Images: " in line for line in lines)
    assert f"[ERROR] '{bad}' cannot be read: it is empty" in lines
    last = "[ERROR] 1 of 15 images cannot be read: replace it; the others are classified"
    assert lines[-1] == last


def test_a_path_that_does_not_exist_is_an_error_of_its_own(trained, capsys):
    assert run_main("-m", "m.cpickle", "nowhere") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "[ERROR] 1 of 1 image cannot be read: replace it"


def test_labelled_images_are_evaluated(trained, image_folder, capsys):
    (image_folder / "birds").mkdir()
    (image_folder / "cats" / "cats_000.jpg").rename(image_folder / "birds" / "1.jpg")
    assert run_main("-m", "m.cpickle", str(image_folder), "--labelled") == 0
    out = capsys.readouterr().out
    assert "not in the report: 1 image in 'birds' (not a known class)" in out
    assert "[INFO] accuracy 1.0000" in out
    (total,) = [line.split() for line in out.splitlines() if line.strip().startswith("accuracy")]
    assert total == ["accuracy", "1.00", "14"]


def rows_of_report(text):
    """Return the number of evaluated images of each class in a classification report."""
    words = [line.split() for line in text.splitlines()]
    return {line[0]: int(line[-1]) for line in words if len(line) == 5 and line[-1].isdigit()}


def flat(image_folder):
    """Put all images into one folder, and return the lines of a table of theirs."""
    Path("flat").mkdir()
    lines = []
    for path in sorted(image_folder.rglob("*.jpg")):
        path.rename(Path("flat", path.name))
        lines.append(f"{path.stem},{path.parent.name},x")
    return lines


def test_a_table_labels_the_images_to_evaluate(trained, image_folder, capsys):
    lines = flat(image_folder)
    lines[0] = "gone,cats,x"
    lines[1] = lines[1].replace("cats,x", "yaks,x")
    Path("labels.csv").write_text("\n".join(["id,breed,note", *lines]))
    assert run_main("-m", "m.cpickle", "flat", "--labelled", "--labels", "labels.csv") == 0
    out = capsys.readouterr().out
    assert "[INFO] accuracy 1.0000" in out
    assert rows_of_report(out) == {"cats": 3, "dogs": 5, "pandas": 5}
    assert "not in the report: 1 image in 'yaks' (not a known class)" in out
    assert "[INFO] 'labels.csv': ignored the column 'note'\n" in out
    assert "skipped 1 image without a line in 'labels.csv': 'cats_000.jpg'\n" in out
    assert "skipped 1 line of 'labels.csv' without an image: 'gone' (line 2)\n" in out


def test_the_paths_of_a_table_are_relative_to_what_holds_all_images(trained, image_folder, capsys):
    lines = flat(image_folder)
    Path("labels.csv").write_text("\n".join(["path,label,x", *(f"flat/{line}" for line in lines)]))
    Path("flat", "cats_001.jpg").rename("cats_001.jpg")
    given = ["cats_001.jpg", "./cats_001.jpg", "flat"]
    assert run_main("-m", "m.cpickle", *given, "--labels", "labels.csv") == 0
    out = capsys.readouterr().out
    assert rows_of_report(out) == {"cats": 4, "dogs": 5, "pandas": 5}
    assert "skipped 1 image without a line in 'labels.csv': 'cats_001.jpg'\n" in out


def test_names_label_the_images_to_evaluate(trained, image_folder, capsys):
    flat(image_folder)
    assert run_main("-m", "m.cpickle", "flat", "--labels-from", "name") == 0
    assert rows_of_report(capsys.readouterr().out) == {"cats": 5, "dogs": 5, "pandas": 5}


def test_a_wrong_table_is_refused_before_the_network_is_loaded(trained, image_folder, capsys):
    Path("labels.csv").write_text("path,label\nother.jpg,cats")
    command = ["-m", "m.cpickle", "-i", str(image_folder), "--labels", "labels.csv"]
    assert classify_images.main(command, load=None) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[ERROR] no path in 'labels.csv' is an image under ")
    assert classify_images.main([*command, "--csv", "labels.csv"], load=None) == 1
    assert "--csv and --labels are both 'labels.csv'" in capsys.readouterr().err


def test_images_that_trained_the_classifier_are_counted(trained, image_folder, capsys):
    assert run_main("-m", "m.cpickle", str(image_folder), "--labelled") == 0
    printed = capsys.readouterr()
    assert "[INFO] accuracy 1.0000" in printed.out
    assert printed.err == (
        "[WARNING] 13 of 15 evaluated images trained the classifier: the accuracy of the others "
        "is 1.0000\n"
    )


def test_the_class_of_an_image_above_the_working_folder_is_known(
    trained, image_folder, monkeypatch, capsys
):
    below = image_folder / "cats" / "below"
    below.mkdir()
    model = str(Path("m.cpickle").absolute())
    monkeypatch.chdir(below)
    assert run_main("-m", model, "../cats_000.jpg", "--labelled") == 0
    assert "[INFO] accuracy 1.0000" in capsys.readouterr().out


def test_a_sheet_without_an_image_is_not_announced(trained, capsys):
    arguments = ["-m", "m.cpickle", "gone.jpg", "--sheet", "s.png", "--csv", "a.csv"]
    assert run_main(*arguments) == 1
    out = capsys.readouterr().out
    assert "sheet" not in out
    assert "[INFO] csv: a.csv" in out
    assert not Path("s.png").exists()


def test_the_sheet_shows_the_least_sure_first(trained, image_folder, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(answers, "N_LEAST_SURE", 4)
    monkeypatch.setattr(
        collectedanswers, "draw_contact_sheet", lambda tiles, path, **_: drawn.extend(tiles)
    )
    assert run_main("-m", "m.cpickle", str(image_folder), "--sheet", "s.png") == 0
    probabilities = sorted(float(row[2]) for row in table(capsys.readouterr().out))
    np.testing.assert_allclose([p.probability for p in drawn], probabilities[:4], atol=1e-4)


@pytest.mark.slow
def test_a_sheet_is_drawn(trained, image_folder):
    assert run_main("-m", "m.cpickle", str(image_folder), "--sheet", "s.png") == 0
    assert Path("s.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["-m", "gone.cpickle", "p"], "no classifier 'gone.cpickle'", id="no model"),
        pytest.param(["-m", "f.hdf5", "p"], "not a classifier for images", id="another file"),
        pytest.param(["-m", "m.cpickle", "empty"], "no images in 'empty'", id="empty folder"),
        pytest.param(["-m", "m.cpickle", "-"], "no images in what was given", id="empty stdin"),
        pytest.param(["-m", "m.cpickle", "p", "--sheet", "s.gif"], "s.gif", id="kind of sheet"),
        pytest.param(
            ["-m", "m.cpickle", "p", "--csv", "m.cpickle"],
            "--csv and --model are both 'm.cpickle'",
            id="csv onto the model",
        ),
        pytest.param(["-m", "m.cpickle", "p", "--csv", "m.cpickle/a.csv"], "folder", id="csv"),
    ],
)
def test_a_wrong_input_gets_one_line(trained, monkeypatch, capsys, arguments, message):
    type_in(monkeypatch, b"")
    Path("empty").mkdir()
    assert run_main(*arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[ERROR] ")
    assert message in line


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--csv", "--sheet"])
@pytest.mark.parametrize("named", [["p.png"], ["folder"], ["link.png"]], ids=lambda named: named[0])
def test_an_image_to_classify_is_not_overwritten(trained, image_folder, capsys, option, named):
    Path("folder").mkdir()
    image = Path("folder/p.png")
    image.write_bytes((image_folder / "cats" / "cats_000.jpg").read_bytes())
    Path("link.png").symlink_to(image)
    Path("p.png").symlink_to(image)
    before = image.read_bytes()
    assert run_main("-m", "m.cpickle", *named, option, "folder/../folder/p.png") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"[ERROR] {option} would overwrite '{named[0]}")
    assert image.read_bytes() == before


@pytest.mark.parametrize("given", [["-w", "net.keras"], []], ids=["given", "recorded"])
def test_the_weights_are_not_overwritten(trained, image_folder, capsys, given):
    model, _, _ = trained
    Path("net.keras").write_text("weights")
    recorded = model.extraction_ | {"weights_file": str(Path("net.keras").absolute())}
    save_classifier("m.cpickle", model, model.label_names_, recorded)
    assert run_main("-m", "m.cpickle", str(image_folder), "--csv", "net.keras", *given) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[ERROR] --csv ")
    assert Path("net.keras").read_text() == "weights"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["-m", "m"], "expected images", id="no images"),
        pytest.param(["-m", "m", "p", "--all"], "give --csv FILE", id="all without csv"),
        pytest.param(["-m", "m", "p", "--top", "0"], "at least 1", id="top"),
        pytest.param(["p"], "-m/--model", id="no model"),
    ],
)
def test_wrong_usage_gives_exit_code_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run_main(*arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_weights_that_are_gone_are_named_with_their_digest(trained):
    model, _, _ = trained
    model.extraction_ |= {
        "network": "VGG16",
        "weights_file": "/gone/vgg16.h5",
        "weights": {"name": "vgg16.h5", "sha256": "0" * 64},
    }
    with pytest.raises(InputError, match=r"'/gone/vgg16\.h5'.*SHA-256 0{64}; give its path"):
        classify_images.recorded_network(model, "m.cpickle", None, nn.load_described)


def test_the_weights_file_is_the_one_recorded_unless_another_is_given(trained, tmp_path):
    model, _, _ = trained
    recorded, moved = tmp_path / "w.h5", tmp_path / "moved.h5"
    recorded.touch()
    moved.touch()
    model.extraction_["weights_file"] = str(recorded)
    loaded = []

    def load(description, file, **options):
        loaded.append(file)

    classify_images.recorded_network(model, "m", None, load)
    classify_images.recorded_network(model, "m", str(moved), load)
    assert loaded == [recorded, moved]


def test_a_description_of_another_make_is_refused(trained):
    model, _, _ = trained
    del model.extraction_["pooling"]
    with pytest.raises(InputError, match="train it again"):
        classify_images.recorded_network(model, "m.cpickle", None, load_described)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_three_commands_work_one_after_the_other(tmp_path):
    """Real scripts, a real network without Keras, from the folder to the answers."""
    from draw import draw_images

    draw_images(tmp_path / "images", ("cats", "dogs"), 6)

    def script(name: str, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, str(ROOT / name), *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
        )

    network = ["--size", "32", "-w", "random", "--layer", "block2_pool", "--pooling", "avg"]
    assert script("extract_features.py", "-d", "images", "-o", "f.hdf5", *network).returncode == 0
    models = ("m.cpickle", "m.skops")
    outputs = ["-m", models[0], "-m", models[1], "--report", "r.json"]
    done = script("train_model.py", "-d", "f.hdf5", *outputs)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["accuracy"] == 1  # a colour a class
    for model in models:
        done = script("classify_images.py", "-m", model, "images", "--labelled", "--tsv")
        assert done.returncode == 0, done.stderr
        answers = [line.split("\t")[:2] for line in done.stdout.splitlines()]
        assert len(answers) == 12
        assert all(Path(path).parent.name == name for path, name in answers)
        assert "[INFO] accuracy 1.0000" in done.stderr


@pytest.mark.parametrize("flags", [[""], ["a.jpg", ""], ["-i", ""], ["a.jpg", "--csv", ""]])
def test_an_empty_path_is_wrong_usage_and_not_the_current_folder(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        run_main("-m", "m.cpickle", *flags)
    assert stop.value.code == 2
    assert "the path is empty" in capsys.readouterr().err


def test_an_empty_name_is_not_a_folder():
    with pytest.raises(InputError, match="the name of an image is empty"):
        list_images([""])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_labelled_folder_names_its_class_in_any_normal_form(
    trained, image_folder, capsys, monkeypatch, form
):
    model, _, _ = trained
    monkeypatch.setattr(model, "label_names_", ["caf\u00e9", "dogs", "pandas"])
    save_classifier("m.cpickle", model, model.label_names_, model.extraction_)
    (image_folder / "cats").rename(image_folder / unicodedata.normalize(form, "caf\u00e9"))
    assert run_main("-m", "m.cpickle", "--labelled", str(image_folder)) == 0
    printed = capsys.readouterr().out
    assert "not in the report" not in printed
    (row,) = (line for line in printed.splitlines() if line.lstrip().startswith("caf\u00e9  "))
    assert row.split()[-1] == "5"


def test_a_labelled_folder_is_the_class_of_exactly_its_name_first():
    find = label_finder(["cafe\u0301", "caf\u00e9"])
    assert (find("cafe\u0301"), find("caf\u00e9"), find("cafe")) == (0, 1, None)


@pytest.fixture
def guarded(trained, image_folder) -> Path:
    """The same classifier, which recognises unknown images, and a folder of two such."""
    model, X, _ = trained
    with open_features("f.hdf5") as features:
        fit_unknown_detector(X, features.labels, 0.01).attach(model)
        recorded = features.record
        save_classifier(
            "m.cpickle", model, features.label_names, recorded.for_classifier(), recorded.digests
        )
    strange = image_folder / "flowers"
    strange.mkdir()
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::4] = 255
    for name, pixels in (("stripes", stripes), ("more", np.roll(stripes, 1, axis=1))):
        Image.fromarray(pixels).save(strange / f"{name}.png")
    return strange


def read_csv(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_unknown_image_gets_a_question_mark_the_nearest_class_and_its_similarity(
    guarded, image_folder, capsys
):
    model = load_classifier("m.cpickle")
    known = image_folder / "cats" / "cats_000.jpg"
    assert run_main("-m", "m.cpickle", str(guarded), str(known), "--csv", "a.csv", "--all") == 0
    more, stripes, cat = read_csv("a.csv")
    added = ["unknown", "nearest class", "similarity"]
    assert list(cat) == ["path", "class", "probability", *added, *CLASSES]
    assert (cat["class"], cat["unknown"], cat["nearest class"]) == ("cats", "no", "cats")
    assert float(cat["probability"]) > 0.5
    assert float(cat["similarity"]) == pytest.approx(1, abs=1e-4)
    for row in (more, stripes):
        assert (row["class"], row["probability"], row["unknown"]) == ("?", "", "yes")
        assert float(row["similarity"]) < UnknownDetector.of(model).threshold
        assert sum(float(row[name]) for name in CLASSES) == pytest.approx(1)
    lines = capsys.readouterr().out.splitlines()
    width = max(map(len, CLASSES))
    for line, row in zip(lines, (more, stripes), strict=False):
        nearest, similarity = row["nearest class"], float(row["similarity"])
        expected = f"{'?':{width}}  nearest {nearest}, similarity {similarity:.4f}"
        assert line.removeprefix(row["path"]).lstrip() == expected
    assert lines[2].split()[1] == "cats"
    assert "[INFO] classified 3 of 3 images" in lines[3]
    assert [line.split() for line in lines[4:6]] == [["[INFO]", "cats", "1"], ["[INFO]", "?", "2"]]


def test_every_line_of_tsv_has_the_same_columns(guarded, image_folder, capsys):
    known = image_folder / "cats" / "cats_000.jpg"
    arguments = ["-m", "m.cpickle", str(guarded), str(known), "--tsv", "--top", "2"]
    assert run_main(*arguments, "--csv", "a.csv") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [len(row) for row in rows] == [7, 7, 7]
    for row, written in zip(rows, read_csv("a.csv"), strict=True):
        assert row[1] == written["class"]
        assert row[-2:] == [written["nearest class"], f"{float(written['similarity']):.4f}"]
    assert rows[0][1:5] == ["?", "", "", ""]
    assert run_main(*arguments, "--no-unknown") == 0
    assert {len(line.split("\t")) for line in capsys.readouterr().out.splitlines()} == {5}


def test_no_unknown_names_a_class_of_all(guarded, capsys):
    assert run_main("-m", "m.cpickle", str(guarded), "--no-unknown", "--csv", "a.csv") == 0
    rows = read_csv("a.csv")
    assert {row["class"] for row in rows} <= set(CLASSES)
    assert list(rows[0]) == ["path", "class", "probability"]
    assert "?" not in capsys.readouterr().out


def test_unknown_images_are_left_out_of_the_report_and_counted(guarded, image_folder, capsys):
    (guarded / "more.png").rename(image_folder / "cats" / "more.png")
    assert run_main("-m", "m.cpickle", str(image_folder), "--labelled") == 0
    printed = capsys.readouterr().out
    assert (
        "[INFO] not in the report: 1 image in 'flowers' (not a known class)\n"
        "[INFO] answered ?: 1 of 1 image of other classes\n"
        "[INFO] answered ?, not in the report: 1 of 16 images of known classes "
        "(coverage 93.8%)\n[INFO] accuracy 1.0000"
    ) in printed
    assert printed.count(" 15\n") >= 2  # the support of the averages


def test_a_folder_of_unknown_images_alone_has_no_report(guarded, image_folder, capsys):
    for path in (image_folder / "cats").iterdir():
        path.unlink()
    (guarded / "more.png").rename(image_folder / "cats" / "more.png")
    assert run_main("-m", "m.cpickle", str(image_folder / "cats"), "--labelled") == 0
    printed = capsys.readouterr().out
    assert "(coverage 0.0%)\n[INFO] all are answered ?: no report\n" in printed


def test_unknown_images_come_first_on_the_sheet(guarded, image_folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        collectedanswers, "draw_contact_sheet", lambda *a, **o: drawn.append((a, o))
    )
    assert run_main("-m", "m.cpickle", str(image_folder), "--sheet", "a.png") == 0
    (((tiles, _), options),) = drawn
    assert {tile.image.parent.name for tile in tiles[:2]} == {"flowers"}
    assert all(tile.predicted_name.startswith("? (nearest ") for tile in tiles[:2])
    assert all(tile.predicted_name in CLASSES for tile in tiles[2:])
    assert tiles[0].probability <= tiles[1].probability
    assert "?: similarity of the nearest" in options["legend"]


def test_an_image_that_cannot_be_read_is_not_called_unknown(guarded, image_folder, capsys):
    (guarded / "more.png").write_bytes(b"")
    assert run_main("-m", "m.cpickle", str(guarded), "--csv", "a.csv") == 1
    assert [Path(row["path"]).name for row in read_csv("a.csv")] == ["stripes.png"]
    assert "'flowers/more.png' cannot be read" in capsys.readouterr().err.replace(
        f"{image_folder}/", ""
    )


def test_unknown_images_stand_apart_in_the_report(guarded, image_folder):
    arguments = ["-m", "m.cpickle", str(image_folder), "--labelled"]
    reports = ["--report", "r.json", "--report", "r.html", "--sort", "sorted"]
    assert run_main(*arguments, *reports) == 0
    apart = {path.name for path in Path("sorted", "_unknown").iterdir()}
    assert apart == {"stripes.png", "more.png"}
    assert json.loads(Path("r.json").read_text())["n_unknown"] == 2
    page = Path("r.html").read_text("utf-8")
    assert "answered ?: 2 of 2 images of other classes" in page
    (unknown,) = re.findall(r'<section id="unknown">(.*?)</section>', page, re.DOTALL)
    assert unknown.count("<figure") == 2
    assert "stripes.png" in unknown


def test_images_are_sorted_into_folders_of_their_classes(trained, image_folder, tmp_path, capsys):
    (image_folder / "cats" / "bad.jpg").write_bytes(b"none")
    before = {path: path.read_bytes() for path in image_folder.rglob("*.jpg")}
    arguments = ["-m", "m.cpickle", str(image_folder), "--no-unknown", "--tsv", "--sort", "sorted"]
    for _ in range(2):
        assert run_main(*arguments) == 1  # of the one that cannot be read
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        expected = {f"sorted/{name}/{Path(path).name}" for path, name, _ in lines}
        assert {str(path) for path in Path("sorted").rglob("*.*")} == expected
        assert len(expected) == len(CLASSES) * N_IMAGES
    assert {path: path.read_bytes() for path in image_folder.rglob("*.jpg")} == before
