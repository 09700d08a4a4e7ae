"""The order of the rows: which train a classifier, and which test it."""

from collections.abc import Hashable, Sequence

import numpy as np

from pyimagesearch.utils.split import N_FOLDS, TRAIN_FRACTION, n_train_rows

Group = list[int]  # images to keep together, in ascending order


def row_order(labels: np.ndarray, group_keys: Sequence[Hashable], n_train: int) -> list[int]:
    """Order shuffled images so that the first rows can train a classifier.

    The images of a group follow the first of them, and either all of them
    train or none. Apart from that the shuffled order is kept, unless a class
    has too few groups on one side: fewer than `N_FOLDS` train (or, in a class
    of fewer than 4, fewer than three quarters rounded down, or none), or none
    is left to test although the class has 4. Only then are the rows
    stratified: three quarters of each class train.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        The class of each image, in shuffled order.
    group_keys : sequence of hashable, length n
        Images with equal keys are a group.
    n_train : int
        How many rows, from the first on, train.

    Returns
    -------
    list of int, length n
        The image of each row. Both sides are in shuffled order. If no choice
        fills the training rows exactly, possible only if hardly any image is
        alone in its group, one group is on both sides of the split.

    Examples
    --------
    >>> row_order(np.array([0, 1, 0, 1, 0, 1, 0, 1]), "abcdebfg", 6)
    [0, 1, 5, 2, 3, 4, 6, 7]
    >>> row_order(np.array([0, 0, 0, 0, 0, 0, 1, 1]), "abcdefgh", 6)  # class 1 would not train
    [0, 1, 2, 3, 4, 6, 5, 7]
    """
    groups = _groups(group_keys)
    train, test, unfilled = _filled(groups, n_train)
    if unfilled or _is_a_class_short(_classes(groups, labels), _classes(train, labels)):
        largest_first = sorted(groups, key=len, reverse=True)
        orders = (_by_share(largest_first, labels), largest_first, groups)
        choices = [_filled(order, n_train) for order in orders]
        train, test, _ = min(choices, key=lambda choice: choice[2])  # the first of the best
    return [image for side in (train, test) for group in sorted(side) for image in group]


def split_order(
    labels: np.ndarray, group_keys: Sequence[Hashable], is_test: np.ndarray | None = None
) -> tuple[list[int], int]:
    """Order shuffled images so that the first rows train, and return how many do.

    Parameters
    ----------
    labels, group_keys
        As in `row_order`.
    is_test : ndarray of bool, shape (n,), or None
        Which images test, if a split is given: it is used as it is.

    Returns
    -------
    list of int, length n
        The image of each row.
    int
        How many rows train: as given, else three quarters, or fewer where that would divide a
        group.

    Examples
    --------
    >>> split_order(np.array([0, 1, 0, 1]), "abcd", np.array([True, False, False, True]))
    ([1, 2, 0, 3], 2)
    >>> split_order(np.array([0, 1, 0, 1, 0, 1, 0, 1]), "aabbccdd")
    ([0, 1, 2, 3, 4, 5, 6, 7], 6)
    >>> split_order(np.array([0, 1, 0, 1, 0, 1]), "aabbcc")[1]  # not 4.5 rows
    4
    """
    if is_test is not None:
        return np.argsort(is_test, kind="stable").tolist(), int(np.count_nonzero(~is_test))
    n_train = n_train_rows(len(labels))
    order = row_order(labels, group_keys, n_train)
    keys = [group_keys[image] for image in order]
    while 0 < n_train < len(keys) and keys[n_train - 1] == keys[n_train]:
        n_train -= 1
    return order, n_train


def _groups(keys: Sequence[Hashable]) -> list[Group]:
    """Group the images with equal keys, in the order of first occurrence."""
    groups: dict[Hashable, Group] = {}
    for image, key in enumerate(keys):
        groups.setdefault(key, []).append(image)
    return list(groups.values())


def _filled(groups: list[Group], n_train: int) -> tuple[list[Group], list[Group], int]:
    """Let groups train while they fit; return those, the others, and the unfilled rows."""
    train, test = [], []
    for group in groups:
        fits = len(group) <= n_train
        (train if fits else test).append(group)
        n_train -= len(group) if fits else 0
    return train, test, n_train


def _classes(groups: list[Group], labels: np.ndarray) -> np.ndarray:
    """Return the class of each group: that of its first image."""
    return labels[[group[0] for group in groups]]


def _is_a_class_short(classes: np.ndarray, train_classes: np.ndarray) -> bool:
    """Return whether a class lacks training or test groups that it could have."""
    n = np.bincount(classes)
    n_train = np.bincount(train_classes, minlength=len(n))
    needed = np.minimum(N_FOLDS, np.maximum(TRAIN_FRACTION * n, 1)).astype(int)
    is_untested = _could_be_tested(n) & (n_train == n)
    return bool((n_train < np.minimum(needed, n)).any() or is_untested.any())


def _could_be_tested(n):
    """Return whether a quarter of n groups, a number or an array, is at least one."""
    return (1 - TRAIN_FRACTION) * n >= 1


def _by_share(groups: list[Group], labels: np.ndarray) -> list[Group]:
    """Sort groups by the share of their class that precedes the middle of each.

    The first three quarters of that order hold three quarters of each class. The last group of a
    class that could be tested comes after all others: it must not train where a large group
    leaves room.
    """
    classes = _classes(groups, labels).tolist()
    n_left = np.bincount(classes).tolist()  # groups of each class that follow
    could_be_tested = [_could_be_tested(n) for n in n_left]
    n_images = np.bincount(classes, weights=list(map(len, groups))).tolist()
    before = [0] * len(n_images)
    shares = []
    for group, label in zip(groups, classes, strict=True):
        n_left[label] -= 1
        is_last = could_be_tested[label] and not n_left[label]
        shares.append(is_last + (before[label] + len(group) / 2) / n_images[label])
        before[label] += len(group)
    return [groups[i] for i in np.argsort(shares, kind="stable")]
