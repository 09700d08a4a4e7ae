"""The rows that train a classifier, checked before a long search."""

import logging
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pyimagesearch.io import FeaturesFile
from pyimagesearch.linear import (
    Folds,
    feature_notes,
    label_notes,
    memory_notes,
    require_enough_rows,
    share_notes,
    split_lines,
    stratified_folds,
)
from pyimagesearch.results.overlap import warn_of_near_duplicates
from pyimagesearch.utils.errors import errors_naming
from pyimagesearch.utils.groups import joined_groups
from pyimagesearch.utils.split import N_FOLDS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedRows:
    """Rows that can train a classifier.

    Attributes
    ----------
    X : ndarray or memmap of float32, shape (n_train, d)
        Their features.
    y : ndarray of int64, shape (n_train,)
        Their classes.
    groups : list of int, length n_train
        A key of each row; rows with equal keys stay together.
    folds : list of (ndarray of int64, ndarray of int64)
        Rows to train on and rows to test on, of each fold.
    notes : list of str
        Notes on all rows of the file, a line each.
    """

    X: np.ndarray
    y: np.ndarray
    groups: list[int]
    folds: Folds
    notes: list[str]


def check_rows(features: FeaturesFile, jobs: int, unknown_share: float | None) -> CheckedRows:
    """Check all rows of a features file, log notes on them, and return those that train.

    Parameters
    ----------
    features : FeaturesFile
        An open file of features.
    jobs : int
        How many cores the search will use.
    unknown_share : float or None
        How many images of the classes may be called unknown; None to call none.

    Raises
    ------
    InputError
        If the rows or their classes are too few, or a feature is not finite.
    """
    warn_of_near_duplicates(features)
    n_rows, n_train = features.shape[0], features.n_train
    labels, names = features.labels, features.label_names
    require_enough_rows(features.path, n_rows, n_train, names, N_FOLDS)
    is_recorded = features.record.n_train is not None
    for line in split_lines(n_rows, n_train, is_recorded, features.groups):
        logger.info(line)
    for note in memory_notes((n_train, features.shape[1]), len(names), jobs, features.is_mapped):
        logger.info(f"note: {note}")

    X, y = features.mapped(0, n_train), labels[:n_train]
    with errors_naming(features.path):
        groups = joined_groups(n_rows, features.groups)[:n_train]
        folds = stratified_folds(y, N_FOLDS, names, groups)
        blocks = chain([(slice(n_train), X)], features.blocks(n_train, n_rows))
        notes = [*label_notes(labels, n_train, names, N_FOLDS), *feature_notes(blocks, n_rows)]
    notes += share_notes(unknown_share, n_train) if unknown_share else []
    for note in notes:
        logger.info(f"note: {note}")
    return CheckedRows(X, y, groups, folds, notes)
