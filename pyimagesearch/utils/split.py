"""Which rows train a classifier and which judge it; known before there are any."""

TRAIN_FRACTION = 0.75  # the first rows train, the others judge
N_FOLDS = 3  # of the search among the rows that train


def n_train_rows(n_rows: int) -> int:
    """Return how many of `n_rows` rows, from the first on, train the classifier."""
    return int(n_rows * TRAIN_FRACTION)
