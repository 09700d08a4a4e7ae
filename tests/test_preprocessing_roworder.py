import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyimagesearch.preprocessing import row_order
from pyimagesearch.preprocessing.roworder import split_order
from pyimagesearch.utils.split import n_train_rows


def shuffled(sizes, seed=0):
    """Return the labels of classes of the given sizes, in shuffled order."""
    labels = [label for label, n in enumerate(sizes) for _ in range(n)]
    random.Random(seed).shuffle(labels)
    return np.array(labels)


def ordered(labels, keys=None):
    """Return the order of the rows, and how many of each class train and how many test."""
    keys, n_train = range(len(labels)) if keys is None else keys, n_train_rows(len(labels))
    order = row_order(labels, keys, n_train)
    assert sorted(order) == list(range(len(labels)))
    rows, n_classes = labels[order], labels.max() + 1
    sides = (rows[:n_train], rows[n_train:])
    return order, *(np.bincount(side, minlength=n_classes).tolist() for side in sides)


def contents(keys):
    """Return the contents of the rows, of one class, after they were ordered."""
    order, *_ = ordered(np.zeros(len(keys), int), keys)
    return "".join(keys[image] for image in order)


@given(sizes=st.lists(st.integers(4, 20), min_size=2, max_size=8), seed=st.integers(0, 99))
def test_the_shuffled_order_stays_if_every_class_trains_by_3_and_is_tested(sizes, seed):
    labels = shuffled(sizes, seed)
    n_train = n_train_rows(len(labels))
    train, test = (np.bincount(s, minlength=len(sizes)) for s in np.split(labels, [n_train]))
    enough = (train >= 3).all() and (test >= 1).all()
    assert (ordered(labels)[0] == list(range(len(labels)))) == enough


def test_few_shots_train_and_test_every_class():
    for seed in range(5):
        _, train, test = ordered(shuffled([5] * 20, seed))
        assert sorted(train) == [3] * 5 + [4] * 15
        assert sorted(test) == [1] * 15 + [2] * 5


@pytest.mark.parametrize(
    ("size", "n_classes", "expected"),
    [(1, 3, {0, 1}), (2, 50, {1, 2}), (3, 1000, {2, 3}), (4, 10, {3}), (6, 10, {4, 5})],
)
def test_of_a_class_of_any_size_three_quarters_train(size, n_classes, expected):
    _, train, _ = ordered(shuffled([size] * n_classes))
    assert set(train) == expected


def test_a_rare_class_trains_and_is_tested_beside_large_ones():
    labels = np.array([0] * 60 + [1] * 60 + [2] * 4 + [3])  # the rare ones are at the end
    _, train, test = ordered(labels)
    assert (train[2:], test[2:]) == ([3, 1], [1, 0])
    assert abs(train[0] - 45) <= 1
    assert abs(train[1] - 45) <= 1


def test_small_classes_get_their_share_beside_large_ones():
    for seed in range(5):
        sizes = [4, 4, 5, 7, 8, 100, 2]
        _, train, _ = ordered(shuffled(sizes, seed))
        assert all(abs(n - 0.75 * size) <= 1 for n, size in zip(train, sizes, strict=True))
        assert train[:2] == [3, 3]


def test_a_class_without_images_is_not_short_of_them():
    labels = 2 * shuffled([20, 20])
    assert ordered(labels)[0] == list(range(40))


def test_both_sides_of_a_stratified_order_are_in_shuffled_order():
    order, *_ = ordered(labels := shuffled([5] * 20))
    n_train = n_train_rows(len(labels))
    assert order[:n_train] == sorted(order[:n_train])
    assert order[n_train:] == sorted(order[n_train:])
    assert order != sorted(order)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param("abcaefgb", "aabbcefg", id="behind the first"),
        # 8 rows, of which 6 train.
        pytest.param("abcdefgf", "abcdegff", id="a single takes the place of a group"),
        pytest.param("aabbfffg", "aafffgbb", id="a group leaves for a larger one"),
        pytest.param("abcdeeee", "abeeeecd", id="single images leave for a group"),
        pytest.param("aabbbbccddeeff", "aabbbbccddeeff", id="every group fits"),
        pytest.param("aabbccdd", "aabbccdd", id="pairs only"),
        pytest.param("aaabbbcc", "aaabbbcc", id="triples first"),
    ],
)
def test_a_group_stays_on_one_side_of_the_split(keys, expected):
    assert contents(keys) == expected


@given(
    groups=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=20),
    seed=st.integers(0, 99),
)
def test_with_single_images_in_every_class_no_group_is_on_both_sides(groups, seed):
    sizes = [*groups, *((1, label) for label in [0, 1, 2, 3] * 4)]
    images = [(label, key) for key, (n, label) in enumerate(sizes) for _ in range(n)]
    random.Random(seed).shuffle(images)
    labels, keys = np.array(images).T
    order, train, test = ordered(labels, keys)
    n_train = n_train_rows(len(order))
    assert not {*keys[order[:n_train]]} & {*keys[order[n_train:]]}
    assert min(train) >= 3
    assert min(test) >= 1


def test_room_that_a_large_group_leaves_is_not_filled_with_a_class_s_last_image():
    labels = np.array([0] * 16 + [label for label in range(4) for _ in range(4)])
    keys = [image // 4 if image < 16 else image for image in range(32)]
    _, train, test = ordered(labels, keys)
    assert min(train) >= 3
    assert min(test) >= 1


def test_a_class_of_one_image_many_times_does_not_change_the_order():
    labels = np.array([0, 1] * 4 + [2] * 4 + [0, 1] * 2)
    keys = [*range(8), *[8] * 4, *range(12, 16)]
    assert ordered(labels, keys)[0] == list(range(16))


def test_a_group_of_two_classes_stays_together():
    labels = np.array([0, 1] * 20)
    keys = [*range(39), 0]
    order, *_ = ordered(labels, keys)
    assert order == [0, 39, *range(1, 39)]


def test_nothing_and_one_image_have_an_order():
    assert row_order(np.array([], np.int64), [], 0) == []
    assert row_order(np.array([0]), ["a"], 0) == [0]
    assert row_order(np.array([0, 1]), ["a", "a"], 1) == [0, 1]


@given(is_test=st.lists(st.booleans(), min_size=1, max_size=30))
def test_a_given_split_is_kept_with_both_parts_in_shuffled_order(is_test):
    labels, images = np.zeros(len(is_test), int), range(len(is_test))
    order, n_train = split_order(labels, list(images), np.array(is_test))
    assert order[:n_train] == [image for image in images if not is_test[image]]
    assert order[n_train:] == [image for image in images if is_test[image]]


@given(keys=st.lists(st.integers(0, 9), min_size=8, max_size=40), seed=st.integers(0, 9))
def test_no_group_is_on_both_sides_and_no_image_is_lost(keys, seed):
    labels = np.random.default_rng(seed).integers(0, 2, len(keys))
    order, n_train = split_order(labels, keys)
    assert sorted(order) == list(range(len(keys)))
    sides = [{keys[image] for image in side} for side in (order[:n_train], order[n_train:])]
    assert not sides[0] & sides[1]
    assert n_train <= n_train_rows(len(keys))
