import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold

from pyimagesearch.linear import feature_notes, label_notes, stratified_folds
from pyimagesearch.utils import InputError

NAMES = ["cats", "dogs", "панда", "yaks"]


def rows_of(*counts: int) -> np.ndarray:
    """Return labels with so many rows of each class, shuffled."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("counts", [(9, 9, 9), (9, 2, 1), (3, 1, 1), (1, 1, 3), (2, 3), (4, 4, 0)])
def test_folds_are_those_of_scikit_learn_without_its_warning(counts):
    labels = rows_of(*counts)
    folds = stratified_folds(labels, 3, NAMES)
    with warnings.catch_warnings(action="ignore"):
        expected = list(StratifiedKFold(3).split(labels, labels))
    for (train, test), (expected_train, expected_test) in zip(folds, expected, strict=True):
        np.testing.assert_array_equal(train, expected_train)
        np.testing.assert_array_equal(test, expected_test)


UNTRAINABLE = [
    pytest.param((8, 0, 0), "8 rows to train on hold one class only ('cats')", id="one class"),
    pytest.param((2, 2, 1), "no class has 3 of the 5 rows to train on, one per fold: ", id="few"),
    pytest.param((9, 1), "of two classes, 'dogs' (1) has too few", id="single row of two classes"),
]


@pytest.mark.parametrize(("counts", "message"), UNTRAINABLE)
def test_what_scikit_learn_cannot_train_is_refused(counts, message):
    labels = rows_of(*counts)
    with pytest.raises(InputError) as caught:
        stratified_folds(labels, 3, NAMES[: len(counts)])
    assert message in str(caught.value)
    rows = np.random.default_rng(0).standard_normal((len(labels), 4))
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=3, error_score="raise")
    with warnings.catch_warnings(action="ignore"), pytest.raises(ValueError, match="class"):
        search.fit(rows, labels)


def test_all_classes_that_are_too_small_are_named():
    with pytest.raises(InputError, match=r"'cats' \(2\), 'dogs' \(2\), 'панда' \(1\); add images"):
        stratified_folds(rows_of(2, 2, 1), 3, NAMES)
    with pytest.raises(InputError, match="none of 'dogs', 'панда', 'yaks': expected at least two"):
        stratified_folds(np.zeros(9, int), 3, NAMES)


def test_all_classes_that_train_badly_are_named_in_a_line_each():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 0, 0, 3, 3, 3])
    assert label_notes(labels, 9, NAMES, 3)[:2] == [
        "1 class has no row to train on, and can never be predicted: 'yaks'; shuffle the rows, or "
        "add images",
        "2 classes have fewer rows to train on than the 3 folds, 'dogs' (2), 'панда' (1): the "
        "search is less certain; add images",
    ]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param([0, 1, 0, 1, 0, 1, 0, 1], [], id="in turn"),
        pytest.param(
            [0, 1, 0, 1, 0, 1, 1, 1], ["all 2 test rows are of class 'dogs': "], id="by chance"
        ),
        pytest.param(
            [1, 1, 1, 1, 0, 0, 0, 0],
            ["all 2 test rows are of class 'cats', because the rows are sorted by class: "],
            id="descending",
        ),
        pytest.param(
            [2] * 4 + [0] * 7 + [1],
            ["the rows are sorted by class, and the last 3 test: "],
            id="sorted, two classes tested",
        ),
    ],
)
def test_rows_sorted_by_class_and_tests_of_one_class_are_noted(labels, expected):
    labels = np.array(labels)
    names = NAMES[: labels.max() + 1]
    found = label_notes(labels, int(0.75 * len(labels)), names, n_folds=1)
    found = [note for note in found if "no row to train on" not in note]
    assert len(found) == len(expected)
    for note, start in zip(found, expected, strict=True):
        assert note.startswith(start)


def in_blocks(rows, step=3):
    for start in range(0, len(rows), step):
        yield slice(start, start + step), rows[start : start + step]


ROWS = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 4, 9])
def test_features_that_are_not_finite_are_found_in_any_row(bad, row):
    rows = ROWS.copy()
    rows[row, 2] = rows[9, 0] = bad
    n_wrong = len({row, 9})
    with pytest.raises(InputError, match=rf"^{n_wrong} of 10 rows .* the first of them row {row}:"):
        feature_notes(in_blocks(rows), 10)


@pytest.mark.parametrize("value", [1e-45, 3e38])
def test_the_smallest_and_the_largest_numbers_are_neither_zero_nor_infinite(value):
    assert feature_notes(in_blocks(np.full((10, 4), value, np.float32)), 10) == []


@pytest.mark.parametrize(
    ("zero", "start"),
    [
        ([], None),
        ([9], "the last 1 of 10 rows is all zero, the first of them row 9, as if never written: "),
        ([7, 8, 9], "the last 3 of 10 rows are all zero, the first of them row 7, as if never "),
        ([2, 8, 9], "3 of 10 rows are all zero, the first of them row 2, as if never written: "),
        ([4], "1 of 10 rows is all zero, the first of them row 4, as if never written: "),
        (range(10), "the last 10 of 10 rows are all zero, the first of them row 0, as if never "),
    ],
)
def test_rows_that_are_all_zero_are_noted(zero, start):
    rows = ROWS.copy()
    rows[list(zero)] = 0
    found = feature_notes(in_blocks(rows), 10)
    assert len(found) == (start is not None)
    assert all(note.startswith(start) for note in found)


def test_rows_that_are_alone_in_their_groups_have_the_folds_of_grid_search():
    labels = np.random.default_rng(0).integers(0, 3, 60)
    plain = stratified_folds(labels, 3, ["a", "b", "c"])
    alone = stratified_folds(labels, 3, ["a", "b", "c"], list(range(60)))
    expected = StratifiedKFold(3).split(labels, labels)
    for folds in zip(plain, alone, expected, strict=True):
        assert len({tuple(np.concatenate(fold).tolist()) for fold in folds}) == 1


def test_no_group_is_in_two_folds():
    labels = np.random.default_rng(0).integers(0, 3, 60)
    keys = np.arange(60) // 4
    folds = stratified_folds(labels, 3, ["a", "b", "c"], keys)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(60))
    for train, test in folds:
        assert not set(keys[train]) & set(keys[test])
    expected = StratifiedGroupKFold(3).split(labels, labels, keys)
    assert [test.tolist() for _, test in folds] == [test.tolist() for _, test in expected]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([0] * 6 + [1] * 6, "the 12 rows to train on are in 2 groups: expected 3 at least, one"),
        ([0] * 6 + list(range(1, 7)), "in 7 groups, and one fold has all images of"),
    ],
)
def test_groups_that_cannot_be_folds_are_refused(keys, message):
    with pytest.raises(InputError, match=message):
        stratified_folds(np.array([0] * 6 + [1] * 6), 3, ["a", "b"], keys)
