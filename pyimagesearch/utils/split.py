"""Which rows train a classifier and which test it, known before any is computed."""

import math

TRAIN_FRACTION = 0.75  # the first rows train, the others test
N_FOLDS = 3  # of the grid search, on the training rows
ENOUGH_IMAGES = math.ceil(N_FOLDS / TRAIN_FRACTION)  # of a class: one per fold, and some to test


def n_train_rows(n_rows: int) -> int:
    """Return how many of `n_rows` rows, from the first on, train the classifier."""
    return int(n_rows * TRAIN_FRACTION)
