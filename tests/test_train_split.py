"""Given splits and groups of rows, as a file of features records them."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from test_train_model import N_ROWS, draw_rows, write

from pyimagesearch.io import open_features, open_to_train
from pyimagesearch.linear import evaluate, grid_search
from pyimagesearch.preprocessing.fingerprints import fingerprints
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
    assert "[INFO] split: as recorded, the first 45 rows train and 35 test\n" in out

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
    assert "[INFO] groups: 10 of 60 training rows are in groups, each of which stays " in out

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
        ({"n_train": 80}, "records 80 training rows of 80: expected some to train and some "),
        ({"n_train": 0}, "records 0 training rows of 80"),
        ({"n_train": "most"}, "with 'n_train' of \"most\": expected a whole number; correct it"),
        ({"groups": [[0, 80]]}, "records row 80 in a group, but has 80 rows: extract the features"),
        ({"groups": [[0, "x"]]}, "expected lists of row numbers; correct it, or delete it"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(provenance, message, capsys):
    write(Path("f.hdf5"), *draw_rows(), provenance=provenance)
    assert main(["--db", "f.hdf5", "--model", "m.cpickle"]) == 1
    assert message in capsys.readouterr().err


def made(network="VGG16", **more):
    return {"network": network, "layer": "block5_pool", **more}


def test_all_rows_of_one_file_train_and_all_of_the_other_test(capsys):
    rows, labels = draw_rows()
    write(Path("f.hdf5"), rows[:50], labels[:50], provenance=made(n_train=10))
    order = [2, 0, 1]  # the classes of the other file, by name
    names, numbers = ["\u043f\u0430\u043d\u0434\u0430", "cats", "dogs"], np.argsort(order)
    write(Path("t.hdf5"), rows[50:], numbers[labels[50:]], names, provenance=made())
    report = train("--test", "t.hdf5")
    assert report["rows"] == {"train": 50, "test": 30}
    out, err = capsys.readouterr()
    assert "[INFO] split: train on all 50 rows of 'f.hdf5', test on all 30 of 't.hdf5'\n" in out
    assert "[WARNING]" not in err

    write(Path("both.hdf5"), rows, labels, provenance=made(n_train=50))
    command = ["--db", "both.hdf5", "--model", "both.cpickle", "--report", "both.json"]
    assert main([*command, "--jobs", "1"]) == 0
    both = json.loads(Path("both.json").read_text())
    for key in ("accuracy", "confusion_matrix", "classes", "best_params", "calibration"):
        assert report[key] == both[key]


def test_classes_of_one_file_only_and_images_of_both_are_warned_of(capsys):
    rows, labels = draw_rows()
    digests = [f"{i:016x}" for i in range(N_ROWS)]
    write(Path("f.hdf5"), rows[:50], labels[:50], provenance=made(digests=digests[:50]))
    names = ["cats", "dogs", "yaks"]
    again = digests[48:78]  # two of them train
    write(Path("t.hdf5"), rows[50:], labels[50:], names, provenance=made(digests=again))
    report = train("--test", "t.hdf5")
    err = capsys.readouterr().err
    assert "[WARNING] only 'f.hdf5' has 1 class: '\u043f\u0430\u043d\u0434\u0430'\n" in err
    assert "[WARNING] only 't.hdf5' has 1 class: 'yaks'\n" in err
    assert "2 of 30 images of 't.hdf5' are also in 'f.hdf5', byte for byte: " in err
    assert report["label_names"] == ["cats", "dogs", "\u043f\u0430\u043d\u0434\u0430", "yaks"]
    assert report["classes"]["yaks"]["recall"] == 0


def test_images_of_one_file_that_look_like_those_of_the_other_are_warned_of(capsys, tmp_path):
    rows, labels = draw_rows()
    looks = fingerprints(np.random.default_rng(0).integers(0, 256, (N_ROWS, 16, 16), np.uint8))
    digests = [f"{i:016x}" for i in range(N_ROWS)]
    digests[51] = digests[1]
    looks[50:53] = looks[0:3]
    parts = {"f": slice(50), "t": slice(50, N_ROWS)}
    for name, part in parts.items():
        paths = [f"{i}.png" for i in range(len(rows[part]))]
        images = {"dataset": str(tmp_path / name), "paths": paths, "digests": digests[part]}
        record = made(**images, fingerprints=looks[part])
        write(Path(f"{name}.hdf5"), rows[part], labels[part], provenance=record)
    train("--test", "t.hdf5")
    err = capsys.readouterr().err
    assert "1 of 30 images of 't.hdf5' is also in 'f.hdf5', byte for byte: " in err
    assert (
        "2 of 30 images of 't.hdf5' look like one of 'f.hdf5', saved again, resized or mirrored, "
        f"such as '{tmp_path / 't' / '0.png'}' like '{tmp_path / 'f' / '0.png'}': the accuracy "
    ) in err

    write(Path("other.hdf5"), rows[50:], labels[50:], provenance=made(digests=digests[50:]))
    train("--test", "other.hdf5")
    printed = capsys.readouterr()
    assert " look like " not in printed.err
    assert "note: near duplicates between the two files cannot be found: one of them" in printed.out


@pytest.mark.parametrize(
    ("provenance", "columns", "message"),
    [
        (made("ResNet50"), 120, "differ in network (VGG16 to train, ResNet50 to test): expected"),
        (made(weights={"name": "a"}), 120, None),  # the other does not record its weights
        ({}, 120, None),
        (made(), 119, "has 120 features per row, but 't.hdf5' has 119: expected features of the"),
    ],
)
def test_features_of_another_make_are_refused_as_far_as_recorded(
    provenance, columns, message, capsys
):
    rows, labels = draw_rows()
    write(Path("f.hdf5"), rows[:50], labels[:50], provenance=made())
    write(Path("t.hdf5"), rows[50:, :columns], labels[50:], provenance=provenance)
    code = main(["--db", "f.hdf5", "--test", "t.hdf5", "--model", "m.cpickle"])
    assert code == (message is not None)
    assert (message or "") in capsys.readouterr().err


def test_the_images_of_both_files_are_known(tmp_path):
    rows, labels = draw_rows()
    for name, part in (("f", slice(50)), ("t", slice(50, 80))):
        paths = [f"{i}.png" for i in range(len(rows[part]))]
        provenance = made(dataset=str(tmp_path / name), paths=paths)
        write(Path(f"{name}.hdf5"), rows[part], labels[part], provenance=provenance)
    with open_to_train("f.hdf5", "t.hdf5") as features:
        images = features.record.image_paths
        blocks = np.concatenate([block for _, block in features.blocks(40, 60)])
        assert [rows for rows, _ in features.blocks(40, 60)] == [slice(40, 50), slice(50, 60)]
    assert images[49:51] == [tmp_path / "f" / "49.png", tmp_path / "t" / "0.png"]
    assert np.array_equal(blocks, rows[40:60])


def test_a_balanced_training_is_reported_and_is_in_the_model(capsys):
    rows, labels = draw_rows()
    few = np.sort(np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels)[::3]]))
    write(Path("f.hdf5"), rows[few], labels[few])
    report = train("--balanced", "--report", "page.html")
    page = Path("page.html").read_text()
    assert '<th scope="col">balanced accuracy</th><th scope="col">standard deviation</th>' in page
    assert "<caption>Mean balanced accuracy of the folds" in page
    assert ">Mean balanced accuracy over C, with one standard deviation" in page
    assert f"the mean of the classes' own, is {report['balanced_accuracy']:.4f}." in page
    out = capsys.readouterr().out
    assert "         C  balanced     std " in out
    assert "note: classes are weighted equally: C is chosen by balanced accuracy" in out
    recalls = [report["classes"][name]["recall"] for name in report["label_names"]]
    assert f"balanced accuracy {np.mean(recalls):.4f}, the mean of the classes' own" in out
    assert report["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert report["chosen_by"] == "balanced_accuracy"
    assert pickle.loads(Path("m.cpickle").read_bytes()).class_weight == "balanced"
    assert train("--report", "page.html")["chosen_by"] == "accuracy"
    assert "balanced accuracy" not in Path("page.html").read_text()
    assert pickle.loads(Path("m.cpickle").read_bytes()).class_weight is None
