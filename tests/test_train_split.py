"""Given splits and groups of rows, as a file of features records them."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from test_train_model import N_ROWS, draw_rows, write

from pyimagesearch.io import open_features
from pyimagesearch.linear import evaluate, grid_search
from pyimagesearch.utils.groups import joined_groups
from train_model import main


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(*arguments: str) -> dict:
    command = ["--db", "f.hdf5", "--model", "m.cpickle", "--report", "r.json", "--jobs", "1"]
    assert main([*command, *arguments]) == 0
    return json.loads(Path("r.json").read_text())


def test_the_rows_are_split_where_it_is_recorded(capsys):
    rows, labels = draw_rows()
    write(Path("f.hdf5"), rows, labels, provenance={"n_train": 45})
    report = train()
    assert report["rows"] == {"train": 45, "test": N_ROWS - 45}
    out = capsys.readouterr().out
    assert "[INFO] split: the first 45 rows train, as recorded, and 35 test\n" in out

    folds = StratifiedGroupKFold(3).split(rows[:45], labels[:45], np.arange(45))
    assert sum(len(test) for _, test in folds) == 45
    write(Path("plain.hdf5"), rows, labels)
    with open_features("plain.hdf5") as plain, open_features("f.hdf5") as features:
        assert (plain.n_train, features.n_train) == (60, 45)


def test_groups_are_kept_together_in_the_folds(capsys):
    rows, labels = draw_rows()
    groups = [[0, 1, 2, 3, 4, 5], [10, 30, 50]]
    provenance = {"groups": groups, "duplicate_groups": [[5, 20]]}
    write(Path("f.hdf5"), rows, labels, provenance=provenance)
    report = train("--C", "0.1", "10")
    out = capsys.readouterr().out
    assert "[INFO] groups: 10 of the 60 rows to train on are in groups, and no group is " in out

    keys = joined_groups(60, [*groups, [5, 20]])
    folds = list(StratifiedGroupKFold(3).split(rows[:60], labels[:60], keys))
    expected = grid_search(rows[:60], labels[:60], (0.1, 10), folds)
    accuracies = [np.mean([fit.accuracy for fit in expected.fits[i : i + 3]]) for i in (0, 3)]
    assert [row["mean_accuracy"] for row in report["search"]] == pytest.approx(accuracies)
    assert isinstance(expected.model, LogisticRegression)
    blocks = [(slice(60, N_ROWS), rows[60:])]
    evaluation = evaluate(expected.model, blocks, labels[60:], ["a", "b", "c"])
    assert report["accuracy"] == evaluation.accuracy


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"n_train": 80}, "records that 80 of its 80 rows train: expected some to train and some "),
        ({"n_train": 0}, "records that 0 of its 80 rows train"),
        ({"n_train": "most"}, "with 'n_train' of \"most\": expected a whole number; correct it"),
        ({"groups": [[0, 80]]}, "records row 80 in a group, and has 80 rows: extract the features"),
        ({"groups": [[0, "x"]]}, "expected lists of row numbers; correct it, or delete it"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(provenance, message, capsys):
    write(Path("f.hdf5"), *draw_rows(), provenance=provenance)
    assert main(["--db", "f.hdf5", "--model", "m.cpickle"]) == 1
    assert message in capsys.readouterr().err
