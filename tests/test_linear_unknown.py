import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pyimagesearch.linear import (
    UnknownDetector,
    evaluate_unknown,
    fit_unknown_detector,
    load_classifier,
    save_classifier,
    share_notes,
    unknown,
)
from pyimagesearch.linear.unknown import (
    LEAST_SIMILARITY,
    N_NUMBERS,
    rows_to_keep,
    signs,
    sketch,
)
from pyimagesearch.utils import InputError

N_CLASSES = 3


def draw(n: int, n_features: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of three classes, as many numbers of which are positive as of features."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((N_CLASSES, n_features))
    y = rng.integers(0, N_CLASSES, n)
    return (centres[y] + 0.7 * rng.standard_normal((n, n_features))).astype(np.float32), y


def draw_strange(n: int, n_features: int = 40) -> np.ndarray:
    return np.random.default_rng(8).standard_normal((n, n_features)).astype(np.float32)


def unknown_share(detector: UnknownDetector, X: np.ndarray) -> float:
    return float(np.mean([likeness.is_unknown for likeness in detector.likenesses(X)]))


@pytest.mark.parametrize("n_features", [40, 2000])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
def test_known_images_are_refused_as_often_as_asked_and_strange_ones_nearly_always(
    share, n_features
):
    X, y = draw(3000, n_features)
    detector = fit_unknown_detector(X[:1500], y[:1500], share)
    assert detector.share == share
    # Two standard deviations: of the threshold from 1,500 rows and of the share of 1,500 others.
    assert abs(unknown_share(detector, X[1500:]) - share) < 2 * np.sqrt(share * 2 / 1500)
    assert unknown_share(detector, draw_strange(500, n_features)) > 0.9


def test_the_promise_holds_of_few_rows_on_average():
    """A row has as many neighbours as a new image has; with fewer, 4 of 60 would be 3 of 60."""
    shares = []
    for seed in range(100):
        X, y = draw(260, seed=seed)
        detector = fit_unknown_detector(X[:60], y[:60], 0.1)
        shares.append(unknown_share(detector, X[60:]))
    assert abs(np.mean(shares) - 0.1) < 0.01


def test_an_answer_names_the_nearest_class_and_the_cosine():
    X = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    detector = fit_unknown_detector(X, np.array([5, 5, 7, 7, 9, 9]), 0.5)
    rows = np.array([[0, 0, 3e30, 0], [0, 8, 6, 0], [0, 0, 0, 1], [0, 0, 0, 0]], np.float32)
    found = detector.likenesses(rows)
    assert [likeness.nearest for likeness in found[:2]] == [2, 1]  # of the classes 5, 7 and 9
    np.testing.assert_allclose([one.similarity for one in found], [1, 0.8, 0, 0], atol=1e-6)
    assert [likeness.is_unknown for likeness in found] == [False, True, True, True]
    assert {type(value) for value in found[0]} == {int, float, bool}


def test_the_threshold_lies_between_the_rows_that_share_and_number_ask_for():
    X, y = draw(9, seed=10)
    whole = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = whole @ whole.T
    np.fill_diagonal(cosines, -1)
    nearest = np.sort(cosines.max(axis=1))
    # 0.25 of 9 + 1 is 2.5: half way from the second smallest to the third.
    threshold = fit_unknown_detector(X, y, 0.25).threshold
    assert threshold == pytest.approx((nearest[1] + nearest[2]) / 2, abs=2e-3)
    assert nearest[2] - nearest[1] > 0.01


def test_duplicates_are_no_neighbours():
    X, y = draw(300)
    twins = np.concatenate([X, X])
    groups = [*range(300), *range(300)]
    labels = np.concatenate([y, y])
    alone = fit_unknown_detector(X, y, 0.05).threshold
    assert fit_unknown_detector(twins, labels, 0.05, groups).threshold == pytest.approx(
        alone, abs=0.01
    )
    assert fit_unknown_detector(twins, labels, 0.05).threshold > 0.99


def test_rows_that_are_all_duplicates_call_nothing_unknown():
    X, y = draw(20)
    detector = fit_unknown_detector(X, y, 0.05, [7] * 20)
    assert detector.threshold == LEAST_SIMILARITY
    assert unknown_share(detector, draw_strange(20)) == 0


def test_a_sketch_keeps_cosines():
    X, _ = draw(60, 25088)
    whole = X / np.linalg.norm(X, axis=1, keepdims=True)
    small = sketch(X, N_NUMBERS)
    assert small.shape == (60, N_NUMBERS)
    assert small.dtype == np.float32
    # The deviation of a product of unit vectors is at most the root of 2 by the numbers.
    assert np.abs(small @ small.T - whole @ whole.T).max() < 5 * np.sqrt(2 / N_NUMBERS)


def test_the_signs_are_the_same_for_ever():
    """What a classifier keeps is of no use with others."""
    matrix = signs(100_000, N_NUMBERS).tocoo()
    np.testing.assert_array_equal(matrix.row, np.arange(100_000))
    # SplitMix64's first outputs for the seed 0, as in Vigna's splitmix64.c.
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert matrix.col[:4].tolist() == [(number >> 1) % N_NUMBERS for number in first]
    assert matrix.data[:4].tolist() == [1 if number & 1 else -1 for number in first]
    counts = np.bincount(matrix.col, minlength=N_NUMBERS)
    assert 100 < counts.min() < counts.max() < 300
    assert abs(matrix.data.sum()) < 1500


@pytest.mark.parametrize("n_features", [N_NUMBERS, N_NUMBERS + 1])
def test_few_features_stay_as_they_are(n_features):
    X, _ = draw(5, n_features)
    same = np.allclose(sketch(X, N_NUMBERS)[0], X[0][:N_NUMBERS] / np.linalg.norm(X[0]), atol=1e-6)
    assert same == (n_features == N_NUMBERS)


def test_of_many_rows_the_first_of_each_class_are_kept(monkeypatch):
    monkeypatch.setattr(unknown, "MOST_ROWS", 6)
    kept = rows_to_keep(np.array([0, 0, 0, 0, 0, 1, 0, 2, 2, 0, 0, 0]))
    np.testing.assert_array_equal(kept, [0, 1, 2, 5, 7, 8])


def test_the_promise_holds_where_not_all_rows_are_kept_or_compared(monkeypatch):
    monkeypatch.setattr(unknown, "MOST_ROWS", 300)
    monkeypatch.setattr(unknown, "MOST_COMPARED", 500)
    monkeypatch.setattr(unknown, "BLOCK", 128)
    X, y = draw(4000)
    order = np.argsort(y[:2000], kind="stable")  # as in a file that is sorted by class
    detector = fit_unknown_detector(X[:2000][order], y[:2000][order], 0.1)
    assert detector.rows.shape == (300, 40)
    np.testing.assert_array_equal(np.bincount(detector.labels), [100, 100, 100])
    assert abs(unknown_share(detector, X[2000:]) - 0.1) < 0.03


@pytest.fixture(params=["m.cpickle", "m.skops"])
def saved(request, tmp_path):
    """A classifier in a file, and what is kept with it to recognise unknown images."""
    X, y = draw(300, 600)
    model = LogisticRegression().fit(X.astype(float), y)
    detector = fit_unknown_detector(X, y, 0.05)
    detector.attach(model)
    path = tmp_path / request.param
    save_classifier(path, model, ["a", "b", "c"], {"feature_shape": [600]})
    return path, model, detector


def test_a_file_of_either_kind_gives_the_same_answers(saved):
    path, _, detector = saved
    loaded = load_classifier(path)
    assert type(loaded) is LogisticRegression
    rows = np.concatenate([draw(20, 600, seed=3)[0], draw_strange(20, 600)])
    assert UnknownDetector.of(loaded).likenesses(rows) == detector.likenesses(rows)


def test_a_classifier_without_a_detector_reports_nothing_unknown():
    assert UnknownDetector.of(LogisticRegression()) is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rows", [[1]], "training rows in 8 bits"),
        ("rows", np.ones((300, N_NUMBERS)), "training rows in 8 bits"),
        ("rows", np.ones((300, 7), np.int8), r"of shape \(300, 7\): expected 512 numbers"),
        ("rows", np.ones((0, N_NUMBERS), np.int8), "expected 512 numbers"),
        ("labels", np.zeros(299, np.int32), "a class for each training row"),
        ("labels", np.zeros(300), "a class for each training row"),
        ("labels", None, "a class for each training row"),
        ("labels", np.full(300, 3, np.int32), "of classes that it does not know"),
        ("threshold", float("nan"), "threshold of unknown images is not a cosine"),
        ("threshold", "0.5", "threshold of unknown images is not a cosine"),
    ],
)
def test_a_damaged_one_is_refused_when_it_is_loaded(saved, name, value, message):
    path, model, _ = saved
    setattr(model, f"unknown_{name}_", value)
    save_classifier(path, model, ["a", "b", "c"], {"feature_shape": [600]})
    with pytest.raises(InputError, match=message):
        load_classifier(path)


@pytest.mark.parametrize(("n_images", "most_bytes"), [(3_000, 5e6), (100_000, 50e6)])
def test_what_is_kept_is_small(n_images, most_bytes, tmp_path):
    rows, n_train = np.random.default_rng(0).integers(-127, 128, 512), n_images * 3 // 4
    n_kept = len(rows_to_keep(np.arange(n_train) % N_CLASSES))
    detector = UnknownDetector(
        np.resize(rows.astype(np.int8), (n_kept, N_NUMBERS)), np.zeros(n_kept, np.int32), 0.5, 0.05
    )
    model = LogisticRegression().fit(np.eye(2), [0, 1])
    detector.attach(model)
    save_classifier(tmp_path / "m.cpickle", model, ["a", "b"], {})
    assert n_kept * N_NUMBERS < (tmp_path / "m.cpickle").stat().st_size < most_bytes


def test_held_out_rows_say_what_it_costs():
    X = np.eye(3, dtype=np.float32)
    detector = UnknownDetector(
        np.array([[127, 0, 0]], np.int8), np.zeros(1, np.int32), threshold=0.5, share=0.05
    )
    blocks = [(slice(0, 2), X[[0, 0]]), (slice(2, 4), X[[0, 1]])]
    found = evaluate_unknown(detector, blocks, np.array([True, False, True, False]))
    np.testing.assert_array_equal(found.is_unknown, [False, False, False, True])
    assert found.report_dict() == {
        "share": 0.05,
        "threshold": 0.5,
        "test_share": 0.25,
        "accuracy_of_others": 2 / 3,
    }
    assert found.report() == (
        "unknown: 1 of 4 test images (25.0%; 5.0% asked for) are less similar than 0.5000 to every "
        "training image; accuracy of the others 0.6667"
    )
    strange = evaluate_unknown(detector, [(slice(0, 1), X[1:2])], np.array([True]))
    assert strange.accuracy is None
    assert strange.report().endswith("training image")


def test_too_few_rows_for_a_share_are_noted():
    assert share_notes(0.05, 19) == []
    (note,) = share_notes(0.01, 19)
    assert note == (
        "19 rows to train on are too few to call 1.0% of their kind unknown: it will be about "
        "5.0%; add images"
    )
