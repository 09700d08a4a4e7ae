import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pyimagesearch.linear import evaluate
from pyimagesearch.utils import InputError
from pyimagesearch.utils.texttable import display_width

NAMES = ["cats", "dogs", "panda"]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def model(rows) -> LogisticRegression:
    return LogisticRegression().fit(rows, np.arange(60) % 3)


def blocks(rows, step=7):
    for start in range(0, len(rows), step):
        yield slice(start, start + step), rows[start : start + step]


def test_rows_are_evaluated_in_blocks_as_they_are_at_once(rows, model):
    labels = np.arange(60) % 3
    evaluated = evaluate(model, blocks(rows), labels, NAMES)
    probabilities = model.predict_proba(rows)
    np.testing.assert_array_equal(evaluated.predicted, model.predict(rows))
    np.testing.assert_allclose(evaluated.predicted_probability, probabilities.max(axis=1))
    np.testing.assert_allclose(evaluated.true_probability, probabilities[np.arange(60), labels])
    assert evaluated.accuracy == model.score(rows, labels)


def test_mistakes_come_in_the_order_of_the_true_class_being_least_probable(rows, model):
    evaluated = evaluate(model, blocks(rows), np.arange(60) % 3, NAMES)
    worst = evaluated.worst_mistakes()
    wrong = np.flatnonzero(evaluated.predicted != evaluated.labels)
    np.testing.assert_array_equal(np.sort(worst), wrong)
    assert (np.diff(evaluated.true_probability[worst]) >= 0).all()


def test_the_baseline_is_the_share_of_the_largest_class(rows, model):
    labels = np.array([2] * 30 + [0] * 20 + [1] * 10)
    assert evaluate(model, blocks(rows), labels, NAMES).baseline == 0.5


def test_a_class_without_a_row_is_in_matrix_and_report(rows, model):
    evaluated = evaluate(model, blocks(rows), np.zeros(60, int), NAMES)
    assert evaluated.confusion_matrix().sum(axis=1).tolist() == [60, 0, 0]
    assert evaluated.report_dict()["classes"]["panda"]["support"] == 0


def test_a_class_that_did_not_train_has_the_probability_0(rows):
    labels = np.arange(60) % 3
    model = LogisticRegression().fit(rows[labels != 1], labels[labels != 1])
    evaluated = evaluate(model, blocks(rows), labels, NAMES)
    np.testing.assert_array_equal(evaluated.predicted, model.predict(rows))
    assert (evaluated.true_probability[labels == 1] == 0).all()
    assert (evaluated.rank[labels == 1] == 2).all()
    assert evaluated.accuracy == model.score(rows, labels)
    assert evaluated.report_dict()["classes"]["dogs"] == {
        "precision": 0,
        "recall": 0,
        "f1-score": 0,
        "support": 20,
    }


def test_rows_that_are_not_finite_are_counted(rows, model):
    spoilt = rows.copy()
    spoilt[[20, 50], 1] = np.inf, np.nan
    with pytest.raises(InputError, match="2 of 60 rows hold features that are not finite"):
        evaluate(model, blocks(spoilt), np.arange(60) % 3, NAMES)


def test_a_class_may_be_called_as_a_line_of_the_report_is(rows, model):
    labels = np.arange(60) % 3
    names = ["accuracy", "macro avg", "weighted avg"]
    found = evaluate(model, blocks(rows), labels, names).report_dict()
    assert list(found["classes"]) == names
    assert [found["classes"][name]["support"] for name in names] == [20, 20, 20]
    assert found["averages"]["macro avg"]["support"] == 60


def test_a_name_cannot_break_the_report_or_steer_the_terminal(rows, model):
    evaluated = evaluate(
        model, blocks(rows), np.arange(60) % 3, ["cats\nand dogs", "\x1b[2J", "猫"]
    )
    report = evaluated.report()
    assert [line.split()[0] for line in report.splitlines()[2:5]] == [
        "cats\\nand",
        "\\x1b[2J",
        "猫",
    ]
    assert list(evaluated.report_dict()["classes"])[1] == "\x1b[2J"


def test_the_report_is_aligned_by_the_columns_of_a_terminal(rows, model):
    names = ["\u732b\u732b\u732b\u732b\u732b\u732b\u732b\u732b", "cats", "cafe\u0301"]
    evaluated = evaluate(model, blocks(rows), np.arange(60) % 3, names)
    head, _, *lines = evaluated.report().splitlines()
    assert {display_width(line) for line in lines if line} == {display_width(head)}
    assert [line.split()[0] for line in lines[:3]] == names
    ends = [line.index(score) for line in lines[:3] for score in [line.split()[1]]]
    assert {display_width(line[:end]) for line, end in zip(lines, ends, strict=False)} == {
        head.index("precision") + len("precision") - len("0.00")
    }


def test_the_rank_counts_the_classes_that_were_thought_likelier(rows, model):
    labels = np.arange(60) % 3
    evaluated = evaluate(model, blocks(rows), labels, NAMES)
    order = np.argsort(-model.predict_proba(rows), axis=1)
    np.testing.assert_array_equal(evaluated.rank, np.argwhere(order == labels[:, None])[:, 1])
    assert evaluated.rank_accuracy(1) == evaluated.accuracy
    assert evaluated.rank_accuracy(1) < evaluated.rank_accuracy(2) < evaluated.rank_accuracy(3) == 1
