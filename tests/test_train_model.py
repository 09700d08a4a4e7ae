import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import run_on_a_terminal, takes_any_name
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.model_selection import StratifiedKFold

from pyimagesearch.io import HDF5DatasetWriter, open_features
from pyimagesearch.linear import (
    C_GRID,
    UnknownDetector,
    fit_unknown_detector,
    grid_search,
    load_classifier,
    memory_notes,
)
from pyimagesearch.utils.split import N_FOLDS
from train_model import build_parser, main

ROOT = Path(__file__).parents[1]
needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
NAMES = ["cats", "dogs", "панда"]
N_ROWS, N_FEATURES = 80, 120


def draw_rows(n_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw features of classes that overlap a little."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(N_ROWS) % n_classes)
    centres = rng.standard_normal((n_classes, N_FEATURES))
    rows = 0.25 * centres[labels] + rng.standard_normal((N_ROWS, N_FEATURES))
    return rows.astype(np.float32), labels


def write(path: Path, rows: np.ndarray, labels: np.ndarray, names=NAMES, **options) -> None:
    with HDF5DatasetWriter(rows.shape, path, "features", **options) as writer:
        writer.storeClassLabels(names)
        writer.add(rows, labels)


@pytest.fixture(autouse=True)
def features(tmp_path, monkeypatch) -> tuple[np.ndarray, np.ndarray]:
    """Leave a file of features in the folder where the test runs."""
    monkeypatch.chdir(tmp_path)
    rows, labels = draw_rows()
    write(Path("f.hdf5"), rows, labels, provenance={"seed": 42, "paths": [], "skipped": {}})
    return rows, labels


def train(*arguments: str) -> int:
    return main(["--db", "f.hdf5", "--model", "out/m.cpickle", *arguments])


def test_the_flags_are_those_of_the_chapter():
    arguments = build_parser().parse_args(["-d", "a", "-m", "b", "-j", "3"])
    assert (arguments.db, arguments.model, arguments.jobs) == ("a", ["b"], 3)


@pytest.mark.slow
def test_the_model_is_a_plain_one_that_needs_scikit_learn_only(features, tmp_path):
    rows, labels = features
    assert train() == 0
    program = (
        "import pickle, sys\n"
        "import numpy as np\n"
        "model = pickle.load(open('out/m.cpickle', 'rb'))\n"
        "assert 'pyimagesearch' not in sys.modules\n"
        "rows = np.load('rows.npy')\n"
        "np.save('predicted.npy', model.predict(rows))\n"
        "print(type(model).__module__, model.label_names_, model.extraction_)\n"
    )
    np.save("rows.npy", rows)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == "sklearn.linear_model._logistic"
    assert str(NAMES) in done.stdout
    assert "{'seed': 42}" in done.stdout
    assert (np.load("predicted.npy")[60:] == labels[60:]).mean() > 0.5


@pytest.mark.parametrize("name", ["m.cpickle", "m.skops"])
def test_the_digests_of_the_training_images_go_with_the_classifier(features, name):
    rows, labels = features
    digests = [f"{number:016x}" for number in np.random.default_rng(1).permutation(N_ROWS)]
    write(Path("g.hdf5"), rows, labels, provenance={"feature_shape": [120], "digests": digests})
    assert main(["--db", "g.hdf5", "--model", name]) == 0
    model = load_classifier(name)
    assert model.training_digests_.tolist() == sorted(int(digest, 16) for digest in digests[:60])
    assert model.extraction_ == {"feature_shape": [120]}


@pytest.mark.parametrize("digests", [["0" * 16] * 79, [5] * 80, 5, None, {}], ids=type)
def test_digests_that_are_not_those_of_the_rows_are_left_out(features, digests):
    rows, labels = features
    write(Path("g.hdf5"), rows, labels, provenance={"digests": digests})
    assert main(["--db", "g.hdf5", "--model", "m.cpickle", "--C", "1"]) == 0
    assert not hasattr(pickle.loads(Path("m.cpickle").read_bytes()), "training_digests_")


def test_the_first_three_quarters_train_and_the_rest_test(features, capsys):
    rows, labels = features
    assert train() == 0
    model = pickle.loads(Path("out/m.cpickle").read_bytes())
    direct = LogisticRegression(C=model.C, solver="newton-cholesky", tol=1e-12)
    direct.fit(rows[:60].astype(np.float64), labels[:60])
    np.testing.assert_allclose(model.coef_, direct.coef_, atol=0.02 * np.abs(direct.coef_).max())
    expected = classification_report(
        labels[60:], direct.predict(rows[60:]), target_names=NAMES, zero_division=0
    )
    assert expected in capsys.readouterr().out


def test_the_story_is_that_of_the_chapter(capsys):
    assert train() == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0] == "[INFO] tuning hyperparameters..."
    assert lines[1].startswith("[INFO] best hyperparameters: {'C': ")
    assert lines[2].split()[:3] == ["C", "accuracy", "std"]
    report = next(i for i, line in enumerate(lines) if "precision" in line)
    assert lines[report - 2 : report] == ["[INFO] evaluating...", "[INFO] classification report:"]
    assert "[INFO] saving model..." in lines[report:]
    assert lines[-1] == "[INFO] model: out/m.cpickle"
    (accuracy,) = [line for line in lines if "largest class" in line]
    assert accuracy.startswith("[INFO] accuracy 0.")


def test_the_best_c_at_the_edge_of_the_grid_is_noted(capsys):
    note = "the best C, 1000, is at the edge of the grid: widen it with --C"
    assert train("--C", "1000", "10000") == 0
    assert note in capsys.readouterr().out
    assert train("--C", "1e-12", "1000", "10000") == 0
    printed = capsys.readouterr().out
    assert "may lie beyond" not in printed
    assert f"*{1000:>9g}" in printed


def test_the_json_report_has_what_the_screen_shows(features, capsys):
    _, labels = features
    assert train("--report", "r.json") == 0
    report = json.loads(Path("r.json").read_text("utf-8"))
    assert report["rows"] == {"train": 60, "test": 20}
    assert report["label_names"] == NAMES
    assert [row["C"] for row in report["search"]] == [0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0]
    assert all(row["converged"] == row["fits"] == 3 for row in report["search"])
    assert report["all_converged"] is True
    matrix = np.array(report["confusion_matrix"])
    assert matrix.sum(axis=1).tolist() == np.bincount(labels[60:], minlength=3).tolist()
    assert report["accuracy"] == pytest.approx(np.trace(matrix) / 20)
    assert report["baseline"] == pytest.approx(matrix.sum(axis=1).max() / 20)
    assert report["classes"]["dogs"]["support"] == matrix[1].sum()
    assert report["seconds"].keys() == {"read", "search", "evaluate"}
    assert f"accuracy {report['accuracy']:.4f}" in capsys.readouterr().out


def test_the_report_is_also_a_page_that_holds_the_same(capsys):
    assert train("--report", "r.html", "--report", "r.json") == 0
    page = Path("r.html").read_text("utf-8")
    (held,) = re.findall(r'<script type="application/json" id="report">(.*)</script>', page)
    assert json.loads(held) == json.loads(Path("r.json").read_text("utf-8"))
    assert "python train_model.py --db f.hdf5 --model out/m.cpickle --report r.html" in page
    assert '<section id="cell-0-0"' in page.replace('class="cell" ', "")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["[INFO] report: r.html", "[INFO] report: r.json"]


def test_the_page_of_two_files_names_the_command_of_the_one_that_trains(features):
    rows, labels = features
    write(Path("other.hdf5"), rows, labels)
    with h5py.File("f.hdf5", "r+") as db:
        db["features"].attrs["provenance"] = json.dumps({"dataset": "animals"})
    assert train("--test", "other.hdf5", "--report", "r.html") == 0
    page = Path("r.html").read_text("utf-8")
    assert "python extract_features.py --dataset animals --output f.hdf5</code>" in page
    assert "80 to train, 80 to test" in page


def test_no_report_overwrites_another_output(capsys):
    assert train("--report", "r.json", "--report", "f.hdf5") == 1
    assert "--report and --db are both 'f.hdf5'" in capsys.readouterr().err


@takes_any_name
def test_the_report_takes_a_path_that_is_not_utf_8():
    odd = os.fsdecode(b"caf\xe9.hdf5")
    Path("f.hdf5").rename(odd)
    assert main(["-d", odd, "-m", "m.cpickle", "--report", "r.json"]) == 0
    assert json.loads(Path("r.json").read_text("utf-8"))["db"] == odd


def test_a_class_that_is_missing_from_the_last_quarter_is_in_the_report(capsys):
    rows, labels = draw_rows()
    order = np.argsort(labels == 2, kind="stable")[::-1]  # all of class 2 come first
    write(Path("g.hdf5"), rows[order], labels[order])
    assert main(["-d", "g.hdf5", "-m", "m.cpickle"]) == 0
    assert "панда       0.00      0.00      0.00         0" in capsys.readouterr().out


def test_two_classes_are_one_column_of_coefficients():
    rows, labels = draw_rows(n_classes=2)
    write(Path("g.hdf5"), rows, labels, NAMES[:2])
    assert main(["-d", "g.hdf5", "-m", "m.cpickle"]) == 0
    assert pickle.loads(Path("m.cpickle").read_bytes()).coef_.shape == (1, N_FEATURES)


def test_the_confusion_matrix_is_drawn():
    assert train("--plot", "plots/cm.svg") == 0
    assert "панда" in Path("plots/cm.svg").read_text("utf-8")


def test_the_mistakes_are_drawn_from_the_recorded_folder(image_folder):
    rows, labels = draw_rows()
    images = sorted(str(path.relative_to(image_folder)) for path in image_folder.rglob("*.jpg"))
    paths = [images[i % len(images)] for i in range(N_ROWS)]
    provenance = {"dataset": str(image_folder), "paths": paths}
    write(Path("g.hdf5"), rows, labels, provenance=provenance)
    assert main(["-d", "g.hdf5", "-m", "m.cpickle", "--mistakes", "mistakes.svg"]) == 0
    drawn = Path("mistakes.svg").read_text("utf-8")
    assert "of 20 test images" in drawn
    assert "cannot read" not in drawn


@pytest.mark.parametrize("option", ["--mistakes", "--plot", "--report", "--model"])
@pytest.mark.parametrize("name", ["animals/cats/1.png", "weights.png"])
def test_what_the_features_came_from_is_not_overwritten(capsys, option, name):
    Path("animals/cats").mkdir(parents=True)
    Path(name).write_text("precious")
    recorded = {"dataset": "animals", "paths": ["cats/1.png"] * N_ROWS}
    recorded["weights_file"] = str(Path("weights.png").absolute())
    with h5py.File("f.hdf5", "r+") as db:
        db["features"].attrs["provenance"] = json.dumps(recorded)
    assert train(option, name) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(f"[ERROR] {option} would overwrite '")
    assert (printed.out, Path(name).read_text()) == ("", "precious")


@pytest.mark.parametrize("key", ["dataset", "paths", "digests", "skipped", "weights_file"])
def test_what_is_recorded_as_unknown_does_no_harm(capsys, key):
    recorded = {"dataset": ".", "paths": ["a"] * N_ROWS, "digests": ["0" * 16] * N_ROWS, key: None}
    with h5py.File("f.hdf5", "r+") as db:
        db["features"].attrs["provenance"] = json.dumps(recorded)
    assert train("--C", "1") == 0
    if key in ("dataset", "paths"):
        assert train("--C", "1", "--mistakes", "m.svg") == 1
        assert "does not record its images" in capsys.readouterr().err


def test_an_older_model_is_replaced_only_by_a_whole_one(monkeypatch):
    Path("out").mkdir()
    Path("out/m.cpickle").write_text("older")
    with monkeypatch.context() as patch:
        patch.setattr(pickle, "dump", lambda model, file: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train()
    assert Path("out/m.cpickle").read_text() == "older"
    assert train() == 0
    assert pickle.loads(Path("out/m.cpickle").read_bytes()).n_features_in_ == N_FEATURES
    assert [path.name for path in Path("out").iterdir()] == ["m.cpickle"]


def rewrite(key: str, **dataset) -> None:
    with h5py.File("f.hdf5", "r+") as db:
        del db[key]
        if dataset:
            db.create_dataset(key, **dataset)


def one_class() -> None:
    rows, _ = draw_rows()
    Path("f.hdf5").unlink()
    write(Path("f.hdf5"), rows, np.zeros(N_ROWS, int), ["cats"])


def one_class_in_training() -> None:
    rewrite("labels", data=np.repeat([0, 1], [60, 20]))


def rare_class() -> None:
    rewrite("labels", data=np.arange(N_ROWS) == 7, dtype=np.int64)


def not_finite(row: int = 3) -> None:
    with h5py.File("f.hdf5", "r+") as db:
        db["features"][row, 7] = np.nan


def sorted_by_class() -> str:
    rows, labels = draw_rows()
    order = np.argsort(labels, kind="stable")
    rewrite("features", data=rows[order])
    rewrite("labels", data=labels[order])
    return (
        "all 20 test rows are of class 'панда', because the rows are sorted by class: the accuracy "
        "means nothing for the other classes; shuffle the rows"
    )


def never_written() -> str:
    with h5py.File("f.hdf5", "r+") as db:
        db["features"][70:] = 0
        db["labels"][70:] = 0
    return (
        "the last 10 of 80 rows are all zero, the first of them row 70, as if never written: "
        "extract them again, or leave them out"
    )


def few_of_a_class() -> str:
    rewrite("labels", data=np.where(np.arange(N_ROWS) < 2, 2, np.arange(N_ROWS) % 2))
    return (
        "1 class has fewer rows to train on than the 3 folds, 'панда' (2): the search is less "
        "certain; add images"
    )


def none_of_a_class() -> str:
    rewrite("labels", data=np.where(np.arange(N_ROWS) >= 78, 2, np.arange(N_ROWS) % 2))
    return (
        "1 class has no row to train on, and can never be predicted: 'панда'; shuffle the rows, "
        "or add images"
    )


def no_images() -> None:
    recorded = {"dataset": ".", "paths": [f"cats/{row}.jpg" for row in range(N_ROWS)]}
    with h5py.File("f.hdf5", "r+") as db:
        db["features"].attrs["provenance"] = json.dumps(recorded)


WRONG_INPUTS = [
    pytest.param(lambda: Path("f.hdf5").unlink(), [], "no file 'f.hdf5'", id="missing"),
    pytest.param(lambda: Path("f.hdf5").write_text("text"), [], "not an HDF5 file", id="text"),
    pytest.param(lambda: rewrite("labels"), [], "has no 'labels' dataset", id="no labels"),
    pytest.param(
        lambda: rewrite("features", data=np.zeros((N_ROWS, 2, 2))),
        [],
        "expected numbers, (rows, columns)",
        id="wrong shape",
    ),
    pytest.param(one_class, [], "holds one class ('cats')", id="one class"),
    pytest.param(
        one_class_in_training,
        [],
        "60 rows to train on hold one class only ('cats'), and none of 'dogs', 'панда'",
        id="one class to train on",
    ),
    pytest.param(rare_class, [], "of two classes, 'dogs' (1) has too few", id="one row"),
    pytest.param(not_finite, [], "1 of 80 rows hold features that are not", id="not finite"),
    pytest.param(lambda: not_finite(79), [], "the first of them row 79", id="last not finite"),
    pytest.param(None, ["-m", "f.hdf5/m"], "cannot create folder", id="model below a file"),
    pytest.param(None, ["-m", "f.hdf5"], "--model and --db are both", id="model onto features"),
    pytest.param(None, ["-m", "."], "not a plain file", id="model is a folder"),
    pytest.param(None, ["--plot", "cm.jpeg"], ".jpeg", id="plot of another kind"),
    pytest.param(None, ["--report", "out/m.cpickle"], "--report and --model", id="same output"),
    pytest.param(None, ["--mistakes", "m.png"], "does not record its images", id="no paths"),
    pytest.param(no_images, ["--mistakes", "m.png"], "none of the images", id="no images"),
]


@pytest.mark.parametrize(("spoil", "arguments", "message"), WRONG_INPUTS)
def test_a_wrong_input_gives_one_line_before_the_search(
    monkeypatch, capsys, spoil, arguments, message
):
    if spoil is not None:
        spoil()
    assert train(*arguments) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("[ERROR] ")
    assert message in line
    assert "best hyperparameters" not in printed.out
    assert not list(Path().glob("out/*"))


def test_too_few_rows_are_counted(capsys):
    rows, labels = draw_rows()
    write(Path("g.hdf5"), rows[:6], labels[:6])
    assert main(["-d", "g.hdf5", "-m", "m.cpickle"]) == 1
    assert "has 6 rows, of which 4 would train" in capsys.readouterr().err


def test_a_search_that_may_not_fit_in_memory_is_warned_of_with_the_numbers(monkeypatch, capsys):
    monkeypatch.setattr("pyimagesearch.linear.memory.available_bytes", lambda: 50 * 10**6)
    assert train() == 0
    assert "GB of memory, and 0.1 GB are available" in capsys.readouterr().out


def test_other_cs_replace_the_grid():
    assert train("--C", "1e-3", "0.01", "--report", "r.json") == 0
    report = json.loads(Path("r.json").read_text())
    assert [row["C"] for row in report["search"]] == [0.001, 0.01]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "one"])
def test_a_c_that_is_not_a_positive_number_is_wrong_usage(value, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["-d", "a", "-m", "b", f"--C={value}"])
    assert stop.value.code == 2
    assert f"'{value}'" in capsys.readouterr().err


@pytest.mark.parametrize("n_classes", [5, 6])
def test_rank_5_accuracy_is_told_of_more_than_five_classes(n_classes, capsys):
    rows, labels = draw_rows(n_classes)
    write(Path("g.hdf5"), rows, labels, [f"class {i}" for i in range(n_classes)])
    assert main(["-d", "g.hdf5", "-m", "m.cpickle", "--report", "r.json"]) == 0
    report = json.loads(Path("r.json").read_text())
    assert ("rank-5 accuracy " in capsys.readouterr().out) == (n_classes == 6)
    assert ("rank5_accuracy" in report) == (n_classes == 6)


def noted(*arguments: str) -> list[str]:
    """Train, and return the notes, which the screen and the JSON report have both."""
    assert main([*arguments, "-m", "m.cpickle", "--report", "r.json"]) == 0
    return json.loads(Path("r.json").read_text())["notes"]


@pytest.mark.parametrize("make", [sorted_by_class, never_written, few_of_a_class, none_of_a_class])
def test_what_makes_an_accuracy_less_meaningful_is_on_the_screen_and_in_the_report(capsys, make):
    note = make()
    assert note in noted("-d", "f.hdf5", "--C", "1")
    printed = capsys.readouterr()
    assert f"[INFO] note: {note}\n" in printed.out
    assert printed.out.index(note) < printed.out.index("tuning hyperparameters")
    assert printed.err == ""


def test_ordinary_rows_are_noted_nothing_of():
    assert noted("-d", "f.hdf5", "--C", "1") == []


def memory_needed() -> float:
    """Return how many GB a search of 60 million such rows is warned to need."""
    with open_features("f.hdf5") as file:
        (note,) = memory_notes((60_000_000, file.shape[1]), 3, 1, file.is_mapped)
    return float(re.search(r"some ([\d.]+) GB", note)[1])


def test_rows_that_cannot_be_mapped_count_as_memory(features, monkeypatch):
    monkeypatch.setattr("pyimagesearch.linear.memory.available_bytes", lambda: 0)
    mapped = memory_needed()
    rewrite("features", data=features[0], chunks=(8, N_FEATURES))
    assert memory_needed() - mapped == pytest.approx(60e6 * N_FEATURES * 4 / 1e9, abs=0.2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_search_without_a_trace(monkeypatch, capsys, number):
    signals = [number]

    def stop():
        if signals:  # the other threads continue for a while
            os.kill(os.getpid(), signals.pop())

    bar = SimpleNamespace(increment=stop)
    shown = SimpleNamespace(start=lambda: contextlib.nullcontext(bar))
    monkeypatch.setattr("train_model.progress_bar", lambda title, total: shown)
    assert train() == 128 + number
    printed = capsys.readouterr()
    assert printed.err == f"[WARNING] stopped by {number.name}\n"
    assert printed.out == "[INFO] tuning hyperparameters...\n"
    assert not list(Path("out").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        pytest.param(">&-", 0, id="closed"),
        pytest.param("2>&-", 0, id="closed stderr"),
        pytest.param("> /dev/full", 1, id="full", marks=needs_dev_full),
        pytest.param("| head -1", 141, id="head"),
    ],
)
def test_a_story_that_nobody_can_read_does_not_cost_the_model(redirection, code):
    command = f'set -o pipefail; "$0" "$1" -d f.hdf5 -m m.cpickle --report r.json {redirection}'
    script = ["bash", "-c", command, sys.executable, ROOT / "train_model.py"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert pickle.loads(Path("m.cpickle").read_bytes()).label_names_ == NAMES
    assert Path("r.json").exists()


def test_each_fit_is_counted_though_several_end_at_once():
    counted = 0

    def advance():
        nonlocal counted
        before = counted
        time.sleep(0.01)  # as a bar does while it is drawn
        counted = before + 1

    rows, labels = draw_rows()
    folds = StratifiedKFold(N_FOLDS).split(labels, labels)
    grid_search(rows, labels, C_GRID, folds, n_jobs=2, advance=advance)
    assert counted == len(C_GRID) * N_FOLDS + 1


def train_on_a_terminal(*arguments: str, code: int = 0) -> tuple[str, str]:
    """Return what the script prints on stdout, and what it draws on a terminal as stderr."""
    command = [sys.executable, ROOT / "train_model.py", "--db", "f.hdf5", "--model", "m.cpickle"]
    command += arguments
    drawn = run_on_a_terminal(command, Path("printed"), code)
    return Path("printed").read_text(), drawn


@pytest.mark.slow
def test_a_bar_on_a_terminal_counts_the_fits_of_each_c_once_and_leaves_the_story_alone():
    printed, drawn = train_on_a_terminal("--C", "1", "1", "10")
    assert re.findall(r"(\d+) of (\d+)", drawn)[-1] == ("7", "7")
    assert printed.startswith("[INFO] tuning hyperparameters...\n[INFO] best hyperparameters: ")
    assert "Training" not in printed


@pytest.mark.slow
def test_the_bar_is_there_before_the_first_fit_and_an_error_has_a_line_of_its_own(features):
    rewrite("features", data=features[0] * np.float32(1e-40))
    _, drawn = train_on_a_terminal(code=1)
    assert re.findall(r"(\d+) of 19", drawn)[-1] == "0"
    assert drawn.splitlines()[-1].startswith("[ERROR] 'f.hdf5': features are of size 1e-40")


def test_the_unknown_detector_is_saved_with_the_classifier_and_tested(features, capsys):
    rows, labels = features
    groups = {"duplicate_groups": [[*range(20)]], "groups": [[*range(10, 30)]]}
    write(
        Path("g.hdf5"),
        rows,
        labels,
        provenance={"network": "VGG16", "feature_shape": [120], **groups},
    )
    arguments = ["--db", "g.hdf5", "--model", "m.skops", "--unknown", "0.2", "--report", "r.json"]
    assert main(arguments) == 0
    kept = UnknownDetector.of(load_classifier("m.skops"))
    expected = fit_unknown_detector(rows[:60], labels[:60], 0.2, [*[0] * 30, *range(30, 60)])
    assert (kept.threshold, kept.share) == (expected.threshold, 0.2)
    np.testing.assert_array_equal(kept.rows, expected.rows)
    assert kept.threshold != fit_unknown_detector(rows[:60], labels[:60], 0.2).threshold
    found = [one.is_unknown for one in expected.likenesses(rows[60:])]
    report = json.loads(Path("r.json").read_text())["unknown"]
    assert (report["share"], report["threshold"]) == (0.2, kept.threshold)
    assert report["test_share"] == np.mean(found)
    out = capsys.readouterr().out
    shares = f"{np.mean(found):.1%}; 20.0% asked for"
    assert f"[INFO] unknown: {sum(found)} of 20 test images ({shares}) are less similar" in out


def test_without_unknown_nothing_is_kept(capsys):
    assert train("--report", "r.json") == 0
    assert "unknown" not in json.loads(Path("r.json").read_text())
    with Path("out/m.cpickle").open("rb") as file:
        assert not [name for name in vars(pickle.load(file)) if name.startswith("unknown")]
    assert "unknown" not in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "5", "0.6", "nan", "some"])
def test_a_share_of_unknown_images_is_small(value, capsys):
    with pytest.raises(SystemExit) as stop:
        train("--unknown", value)
    assert stop.value.code == 2
    assert f"argument --unknown: '{value}'" in capsys.readouterr().err


def test_a_share_that_the_rows_cannot_keep_is_noted(capsys):
    assert train("--unknown", "0.01") == 0
    assert "note: 60 rows to train on are too few to call 1.0% of" in capsys.readouterr().out
