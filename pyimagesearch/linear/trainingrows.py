"""Checks of rows before a search: whether they can train, and what makes the result uncertain."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pyimagesearch.utils import InputError
from pyimagesearch.utils.wording import counted, listed, shortened

Folds = list[tuple[np.ndarray, np.ndarray]]  # rows to train on and rows to test on, of each


def require_enough_rows(
    path: Path, n_rows: int, n_train: int, label_names: Sequence[str], n_folds: int
) -> None:
    """Refuse a file whose rows are too few to train on and to evaluate with.

    Raises
    ------
    InputError
        With how many there are, and how many are needed.
    """
    if len(label_names) == 1:
        raise InputError(
            f"'{path}' holds one class ('{label_names[0]}'): a classifier needs at least two"
        )
    if n_train < 2 * n_folds:
        raise InputError(
            f"'{path}' has {n_rows} rows, of which {n_train} would train: expected at least "
            f"{2 * n_folds} for {n_folds} folds; add images"
        )


def split_lines(
    n_rows: int, n_train: int, is_recorded: bool, groups: Iterable[Sequence[int]]
) -> list[str]:
    """Describe a recorded split, and groups of rows that stay together.

    Examples
    --------
    >>> split_lines(10, 6, True, [[0, 3], [8, 9]])
    ['split: as recorded, the first 6 rows train and 4 test', \
'groups: 2 of 6 training rows are in groups, each of which stays in one fold']
    """
    lines = []
    if is_recorded:
        lines.append(
            f"split: as recorded, the first {n_train:,} rows train and {n_rows - n_train:,} test"
        )
    grouped = [[row for row in group if row < n_train] for group in groups]
    if n_grouped := len({row for group in grouped if len(group) > 1 for row in group}):
        lines.append(
            f"groups: {n_grouped:,} of {n_train:,} training rows are in groups, each of which "
            "stays in one fold"
        )
    return lines


def stratified_folds(
    labels: np.ndarray,
    n_folds: int,
    label_names: Sequence[str],
    group_keys: Sequence[int] | None = None,
) -> Folds:
    """Divide training rows into folds as ``GridSearchCV(cv=n_folds)`` does.

    Where rows are in groups, it is as ``GridSearchCV(cv=StratifiedGroupKFold(n_folds))`` does: no
    group is in two folds.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Indices into `label_names`.
    n_folds : int
        How many folds.
    label_names : sequence of str
        Names of all classes.
    group_keys : sequence of int, length n, or None
        Rows with equal keys are a group.

    Returns
    -------
    list of (ndarray of int64, ndarray of int64)
        The rows to train on and to test on. A class with a single row is in no training part of
        the fold that this row tests, as in scikit-learn.

    Raises
    ------
    InputError
        If scikit-learn could not train: all rows, or those of a training part, are of one class,
        every class has fewer rows than there are folds, or there are fewer groups.
    """
    n_rows, counts = len(labels), np.bincount(labels, minlength=len(label_names))
    there = np.flatnonzero(counts)
    if len(there) < 2:
        raise InputError(
            f"the {n_rows:,} rows to train on hold one class only ('{label_names[there[0]]}'), and "
            f"none of {_of_classes(np.flatnonzero(counts == 0), label_names)}: expected at least "
            "two; shuffle the rows"
        )
    if counts.max() < n_folds:
        raise InputError(
            f"no class has {n_folds} of the {n_rows:,} rows to train on, one per fold: "
            f"{_with_counts(there, counts, label_names)}; add images"
        )
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splitter, n_groups = StratifiedKFold(n_folds), n_rows
    if group_keys is not None and (n_groups := len(set(group_keys))) < n_rows:
        splitter = StratifiedGroupKFold(n_folds)
    if n_groups < n_folds:
        raise InputError(
            f"the {n_rows:,} rows to train on are in {counted(n_groups, 'group')}: expected "
            f"{n_folds} at least, one per fold; add images of other groups"
        )
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # `label_notes` reports it
        folds = list(splitter.split(labels, labels, group_keys))
    if n_groups < n_rows and any(len(np.unique(labels[train])) < 2 for train, _ in folds):
        raise InputError(
            f"the {n_rows:,} rows to train on are in {counted(n_groups, 'group')}, and one fold "
            "has all images of all classes but one: expected two classes without it; add "
            "images of other groups"
        )
    if any(len(np.unique(labels[train])) < 2 for train, _ in folds):
        small = there[counts[there] < 2]
        raise InputError(
            f"of two classes, {_with_counts(small, counts, label_names)} has too few of the "
            f"{n_rows:,} rows to train on: expected at least 2, as one is left out with its fold; "
            "add images"
        )
    return folds


def label_notes(
    labels: np.ndarray, n_train: int, label_names: Sequence[str], n_folds: int
) -> list[str]:
    """Return notes on labels that make a search or its accuracy mean less, a line each.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Indices into `label_names`, of all rows.
    n_train : int
        How many rows train, from the first on; the others test.
    label_names : sequence of str
        Names of all classes.
    n_folds : int
        How many folds the training rows are divided into.

    Returns
    -------
    list of str

    Examples
    --------
    >>> label_notes(np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]), 9, ["cats", "dogs"], 3)
    ["all 3 test rows are of class 'dogs', because the rows are sorted by class: the accuracy \
means nothing for the other classes; shuffle the rows"]
    """
    notes = []
    counts = np.bincount(labels[:n_train], minlength=len(label_names))
    untrained, few = np.flatnonzero(counts == 0), np.flatnonzero((counts > 0) & (counts < n_folds))
    if len(untrained):
        notes.append(
            f"{counted(len(untrained), 'class has', 'classes have')} no row to train on, and can "
            f"never be predicted: {_of_classes(untrained, label_names)}; shuffle the rows, or add "
            "images"
        )
    if len(few):
        notes.append(
            f"{counted(len(few), 'class has', 'classes have')} fewer rows to train on than the "
            f"{n_folds} folds, {_with_counts(few, counts, label_names)}: the search is less "
            "certain; add images"
        )
    tested, n_test = np.unique(labels[n_train:]), len(labels) - n_train
    n_pieces = 1 + np.count_nonzero(np.diff(labels))
    is_sorted = n_pieces == len(np.unique(labels))
    if len(tested) == 1:
        why = ", because the rows are sorted by class" if is_sorted else ""
        notes.append(
            f"all {n_test:,} test rows are of class '{label_names[tested[0]]}'{why}: the "
            "accuracy means nothing for the other classes; shuffle the rows"
        )
    elif is_sorted:
        notes.append(
            f"the rows are sorted by class, and the last {n_test:,} test: the accuracy "
            f"means nothing for the classes before; shuffle the rows"
        )
    return notes


def feature_notes(blocks: Iterable[tuple[slice, np.ndarray]], n_rows: int) -> list[str]:
    """Check all features before a long search.

    Parameters
    ----------
    blocks : iterable of (slice, ndarray of float32, shape (rows, d))
        Which rows they are, and their features; all rows, in order.
    n_rows : int
        How many rows there are.

    Returns
    -------
    list of str
        A line if rows are all zero, as those are that were never written.

    Raises
    ------
    InputError
        If features are not finite.
    """
    squares = np.empty(n_rows)  # of the lengths of rows, which nothing overflows in float64
    for rows, block in blocks:
        with np.errstate(invalid="ignore", over="ignore"):
            np.einsum("ij,ij->i", block, block, dtype=np.float64, out=squares[rows])
    wrong, zero = np.flatnonzero(~np.isfinite(squares)), np.flatnonzero(squares == 0)
    if len(wrong):
        raise InputError(
            f"{len(wrong):,} of {n_rows:,} rows hold features that are not finite, the first of "
            f"them row {wrong[0]:,}: extract them again, or leave them out"
        )
    if not len(zero):
        return []
    at_the_end = "the last " if zero[0] == n_rows - len(zero) else ""
    return [
        f"{at_the_end}{len(zero):,} of {n_rows:,} rows {'is' if len(zero) == 1 else 'are'} all "
        f"zero, the first of them row {zero[0]:,}, as if never written: extract them again, or "
        "leave them out"
    ]


def _of_classes(labels: Iterable[int], label_names: Sequence[str]) -> str:
    return listed(label_names[label] for label in labels)


def _with_counts(labels: Iterable[int], counts: np.ndarray, label_names: Sequence[str]) -> str:
    return shortened(f"'{label_names[label]}' ({counts[label]:,})" for label in labels)
