"""Wrong labels, calibrated probabilities and the interval of the accuracy, by the command."""

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from test_train_model import NAMES, write

from pyimagesearch.linear import fit_temperature
from train_model import main

FLIPPED = [3, 17, 40, 66, 75]  # the last two are test rows


def separable_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(80) % 3)
    rows = 4 * np.eye(3, 8)[labels] + rng.normal(0, 1, (80, 8))
    return rows.astype(np.float32), labels


@pytest.fixture(autouse=True)
def labels(image_folder, tmp_path, monkeypatch) -> np.ndarray:
    """Leave rows of classes that hardly overlap, some of them with a wrong label."""
    monkeypatch.chdir(tmp_path)
    rows, labels = separable_rows()
    wrong = labels.copy()
    wrong[FLIPPED] = (labels[FLIPPED] + 1) % 3
    images = sorted(str(path.relative_to(image_folder)) for path in image_folder.rglob("*.jpg"))
    recorded = {
        "dataset": str(image_folder),
        "paths": [images[row % len(images)] for row in range(len(rows))],
        "near_duplicates": [[3, 20, False]],
        "duplicate_groups": [[3, 20]],
    }
    write(Path("f.hdf5"), rows, wrong, provenance=recorded)
    return labels


def train(*arguments: str) -> dict:
    command = ["--db", "f.hdf5", "--model", "m.cpickle", "--report", "r.json", *arguments]
    assert main(command) == 0
    return json.loads(Path("r.json").read_text("utf-8"))


def test_who_has_not_asked_for_the_suspects_is_told_of_the_option(labels, capsys):
    train()
    assert (
        "[INFO] list the labels that are probably wrong with --suspects" in capsys.readouterr().out
    )
    train("--suspects", "s.csv")
    assert "with --suspects" not in capsys.readouterr().out


def test_wrong_labels_of_both_parts_are_listed_with_the_right_class(labels, image_folder, capsys):
    assert train("--suspects", "s.csv")["n_suspects"] == 5
    assert "[INFO] suspects: 5 labels of 80 are probably wrong\n" in capsys.readouterr().out
    with Path("s.csv").open(encoding="utf-8", newline="") as file:
        found = {int(entry["row"]): entry for entry in csv.DictReader(file)}
    assert sorted(found) == FLIPPED
    for row, entry in found.items():
        assert entry["suggested"] == NAMES[labels[row]]
        assert entry["given"] == NAMES[(labels[row] + 1) % 3]
        assert float(entry["suggested_probability"]) > float(entry["given_probability"])
        assert entry["part"] == ("train" if row < 60 else "test")
        assert Path(entry["path"]).is_relative_to(image_folder)
    margins = [
        float(entry["given_probability"]) - float(entry["suggested_probability"])
        for entry in found.values()
    ]
    assert margins == sorted(margins)
    assert {row for row, entry in found.items() if entry["near_duplicate_of"]} == {3}


def test_the_suspects_are_drawn_and_nothing_is_moved(image_folder):
    before = sorted(image_folder.rglob("*"))
    train("--suspects", "s.svg")
    drawn = Path("s.svg").read_text("utf-8")
    assert "5 suspects among 80 images, the most suspicious first" in drawn
    assert sorted(image_folder.rglob("*")) == before


def test_what_cannot_be_drawn_is_refused_before_the_search(capsys):
    assert main(["--db", "f.hdf5", "--model", "m.cpickle", "--suspects", "s.txt"]) == 1
    printed = capsys.readouterr()
    assert "'s.txt': expected a name that ends in .csv, .png, .svg or .pdf;" in printed.err
    assert "tuning" not in printed.out


def test_labels_that_are_right_leave_no_line(labels, capsys):
    rows, _ = separable_rows()
    Path("f.hdf5").unlink()
    write(Path("f.hdf5"), rows, labels)
    assert train()["n_suspects"] == 0
    assert "suspects" not in capsys.readouterr().out


def test_calibrating_changes_probabilities_and_no_answer(capsys):
    plain = train()
    before = pickle.loads(Path("m.cpickle").read_bytes())
    assert plain["calibration"]["is_applied"] is False
    assert "calibrated" not in capsys.readouterr().out
    calibrated = train("--calibrate")
    after = pickle.loads(Path("m.cpickle").read_bytes())
    temperature = calibrated["calibration"]["temperature"]
    np.testing.assert_allclose(after.coef_ * temperature, before.coef_)
    np.testing.assert_allclose(after.intercept_ * temperature, before.intercept_)
    assert f"calibrated with temperature {temperature:.3g}: " in capsys.readouterr().out
    changed = {"calibration", "seconds", "search"}  # which has times in it
    assert {key for key in plain if plain[key] != calibrated[key]} <= changed
    for errors in ("error_before", "error_after"):
        assert calibrated["calibration"][errors] == pytest.approx(plain["calibration"][errors])


def test_the_interval_stands_beside_the_accuracy(capsys):
    report = train()
    low, high = report["accuracy_interval"]
    assert low < report["accuracy"] < high
    share = f"accuracy {report['accuracy']:.4f} (95 % interval {low:.3f} to {high:.3f}, 20 images)"
    assert f"[INFO] {share}; always" in capsys.readouterr().out


def test_the_temperature_is_that_of_scores_of_rows_that_did_not_train():
    scores = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [-np.inf, 0.0]])
    known = fit_temperature(scores[:3], np.array([0, 1, 1]))
    assert fit_temperature(scores, np.array([0, 1, 1, 0])) == known  # class 0 was not known there
