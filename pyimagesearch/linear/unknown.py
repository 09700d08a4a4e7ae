"""Recognise images that show none of the classes: no training image is similar to them.

A logistic regression shares all probability among its classes, and gives one of
them nearly all of it even far away from its training images. What separates unknown
images is the distance: the cosine between the features of an image and those of the training
image that is nearest to it. Below a threshold the image is called unknown.

- What is kept is a sketch of the training rows: 512 numbers of 8 bits each.
  Sums of features with random signs keep angles (Charikar, Chen, Farach-Colton,
  "Finding Frequent Items in Data Streams", 2002; Weinberger et al., "Feature
  Hashing for Large Scale Multitask Learning", 2009).
- The threshold comes from training rows, each compared with all others but its
  duplicates and group. With such a fold for each row a row has as many neighbours as a new
  image has. Three folds have a third fewer, so that known images seem farther off
  than they are, and the threshold refuses too few: 3.7 % for 5 %, 8.0 % for 10 %.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from sklearn.linear_model import LogisticRegression

N_NUMBERS = 512  # of a sketch: 1,024 are no better, 256 let through up to twice as many
MOST_ROWS = 8_192  # that are kept: 4.2 MB, and 1.2 ms of a core per image in batches of 4
MOST_COMPARED = 8_192  # rows that the threshold is found from: 0.3 points of uncertainty at 10 %
BLOCK = 1024  # rows at a time

LARGEST = 127  # of int8
LEAST_SIMILARITY = -1.0  # of a row that has nothing to be compared with


class Likeness(NamedTuple):
    """How similar an image is to those that trained a classifier.

    Attributes
    ----------
    nearest : int
        The class of the training image that is nearest, as an index into the
        classifier's ``classes_``.
    similarity : float
        The cosine of the angle between the features of the two, -1 to 1.
    is_unknown : bool
        Whether that is too little to be of any class.
    """

    nearest: int
    similarity: float
    is_unknown: bool


@dataclass(frozen=True)
class UnknownDetector:
    """Finds out whether an image is similar to any that trained a classifier.

    Attributes
    ----------
    rows : ndarray of int8, shape (n_kept, n_numbers)
        Sketches of training rows. Only their directions count, so each is
        stretched to the range of its type.
    labels : ndarray of int32, shape (n_kept,)
        The class of each, as an index into the classifier's ``classes_``.
    threshold : float
        The cosine of the nearest row below which an image is unknown.
    share : float
        The share of images of the classes that the threshold is to refuse.
    """

    rows: np.ndarray
    labels: np.ndarray
    threshold: float
    share: float

    def likenesses(self, X: np.ndarray) -> list[Likeness]:
        """Compare images with those that trained the classifier.

        Parameters
        ----------
        X : ndarray of float32, shape (b, d)
            Their features.

        Returns
        -------
        list of Likeness
            One per image.
        """
        similarities = sketch(X, self.rows.shape[1]) @ self._directions.T
        nearest = similarities.argmax(axis=1)
        similarity = similarities[np.arange(len(X)), nearest]
        columns = self.labels[nearest], similarity, similarity < self.threshold
        return [Likeness(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def attach(self, model: "LogisticRegression") -> None:
        """Store the detector in a classifier, as attributes that are arrays and numbers."""
        for name in FIELDS:
            setattr(model, f"unknown_{name}_", getattr(self, name))

    @classmethod
    def of(cls, model: "LogisticRegression") -> "UnknownDetector | None":
        """Return the detector that `attach` has stored in a classifier, if any."""
        if not hasattr(model, "unknown_rows_"):
            return None
        return cls(*(getattr(model, f"unknown_{name}_", None) for name in FIELDS))

    def defect(self, model: "LogisticRegression") -> str | None:
        """Return why it cannot be used with a classifier, as that of a damaged file."""
        rows, labels = self.rows, self.labels
        n_numbers = min(N_NUMBERS, model.n_features_in_)
        if not isinstance(rows, np.ndarray) or rows.dtype != np.int8 or rows.ndim != 2:
            return "it does not hold its training rows in 8 bits"
        if not len(rows) or rows.shape[1] != n_numbers:
            return f"its training rows are of shape {rows.shape}: expected {n_numbers} numbers each"
        if not isinstance(labels, np.ndarray) or (labels.dtype, labels.shape) != (
            np.int32,
            (len(rows),),
        ):
            return "it does not hold a class for each training row"
        if labels.min() < 0 or labels.max() >= len(model.classes_):
            return "its training rows are of classes that it does not know"
        if not all(isinstance(x, float) and -1 <= x <= 1 for x in (self.threshold, self.share)):
            return "its threshold of unknown images is not a cosine"
        return None

    @cached_property
    def _directions(self) -> np.ndarray:
        """Return the rows as unit vectors, float32."""
        return unit(self.rows.astype(np.float32))


FIELDS = tuple(field.name for field in fields(UnknownDetector))


def fit_unknown_detector(
    X: np.ndarray, y: np.ndarray, share: float, groups: Sequence[int] | None = None
) -> UnknownDetector:
    """Find the threshold that refuses a share of the images of the classes.

    Parameters
    ----------
    X : ndarray or memmap of float32, shape (n, d)
        Features of the training images, finite.
    y : ndarray of int, shape (n,)
        Their classes.
    share : float
        How many of the images of the classes may be called unknown, 0 to 1. Of
        few rows no less than one in n + 1 can be refused.
    groups : sequence of int, length n, optional
        A key of each row. Rows with equal keys are not neighbours: duplicates, and
        images from one source, which a new image is not from.

    Returns
    -------
    UnknownDetector
    """
    kept, compared = rows_to_keep(y), evenly_spaced(len(y), MOST_COMPARED)
    group = np.arange(len(y)) if groups is None else np.asarray(groups)
    labels = np.unique(y, return_inverse=True)[1][kept].astype(np.int32)
    found = UnknownDetector(quantized(sketched(X, kept)), labels, 0.0, share)
    similarities = []
    for start in range(0, len(compared), BLOCK):
        block = compared[start : start + BLOCK]
        similarity = sketched(X, block) @ found._directions.T
        similarity[group[block, None] == group[kept]] = LEAST_SIMILARITY
        similarities.append(similarity.max(axis=1))
    # A new row is below the i-th smallest of n others in i of n + 1 cases: Weibull's quantile.
    threshold = np.quantile(np.concatenate(similarities), share, method="weibull")
    return UnknownDetector(found.rows, found.labels, float(threshold), share)


@dataclass(frozen=True)
class UnknownEvaluation:
    """How many images of known classes are called unknown by mistake.

    Attributes
    ----------
    detector : UnknownDetector
    is_unknown, is_right : ndarray of bool, shape (n,)
        Of held-out images: whether they are called unknown, and whether the
        class that is predicted is theirs.
    """

    detector: UnknownDetector
    is_unknown: np.ndarray
    is_right: np.ndarray

    @property
    def accuracy(self) -> float | None:
        """Share of the images with an answer whose class is predicted; None without any."""
        return None if self.is_unknown.all() else float(self.is_right[~self.is_unknown].mean())

    def report(self) -> str:
        """Return one line for the screen."""
        others = "" if self.accuracy is None else f"; accuracy of the others {self.accuracy:.4f}"
        return (
            f"unknown: {self.is_unknown.sum():,} of {len(self.is_unknown):,} test images "
            f"({self.is_unknown.mean():.1%}; {self.detector.share:.1%} asked for) are less similar "
            f"than {self.detector.threshold:.4f} to every training image{others}"
        )

    def report_dict(self) -> dict[str, float | None]:
        """Return the same for a machine."""
        return {
            "share": self.detector.share,
            "threshold": self.detector.threshold,
            "test_share": float(self.is_unknown.mean()),
            "accuracy_of_others": self.accuracy,
        }


def evaluate_unknown(
    detector: UnknownDetector,
    blocks: Iterable[tuple[slice, np.ndarray]],
    is_right: np.ndarray,
) -> UnknownEvaluation:
    """Find out which rows, read a block at a time, are called unknown.

    Parameters
    ----------
    detector : UnknownDetector
    blocks : iterable of (slice, ndarray of float32, shape (rows, d))
        Which rows they are, and their features.
    is_right : ndarray of bool, shape (n,)
        Whether the class that is predicted of each row is its own.
    """
    found = [likeness for _, block in blocks for likeness in detector.likenesses(block)]
    return UnknownEvaluation(detector, np.array([one.is_unknown for one in found]), is_right)


def share_notes(share: float, n_rows: int) -> list[str]:
    """Note if too few rows train for the share of known images that was asked for.

    Examples
    --------
    >>> share_notes(0.01, 225)
    []
    """
    n = min(n_rows, MOST_COMPARED)
    if share * (n + 1) >= 1:
        return []
    return [
        f"{n:,} rows to train on are too few to call {share:.1%} of their kind unknown: it will be "
        f"about {1 / (n + 1):.1%}; add images"
    ]


def rows_to_keep(y: np.ndarray) -> np.ndarray:
    """Return which rows are kept, in ascending order: all, or of large classes the first ones.

    Examples
    --------
    >>> rows_to_keep(np.array([0, 0, 1, 0]))
    array([0, 1, 2, 3])
    """
    order = np.argsort(y, kind="stable")
    _, first = np.unique(y[order], return_index=True)
    rank = np.empty(len(y), np.int64)  # of a row within its class
    rank[order] = np.arange(len(y)) - np.repeat(first, np.diff([*first, len(y)]))
    return np.sort(np.argsort(rank, kind="stable")[:MOST_ROWS])


def evenly_spaced(n: int, most: int) -> np.ndarray:
    """Return the indices of at most `most` of n rows, at even distances."""
    return np.arange(n) if n <= most else np.arange(most) * n // most


def sketched(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the sketches of some rows of X, which may be larger than the memory."""
    blocks = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
    return np.concatenate([sketch(X[block], N_NUMBERS) for block in blocks])


def sketch(X: np.ndarray, n_numbers: int) -> np.ndarray:
    """Reduce rows to unit vectors of few numbers that have nearly the same angles.

    Parameters
    ----------
    X : ndarray of float32, shape (b, d)
    n_numbers : int
        If there are no more features than that, they stay.

    Returns
    -------
    ndarray of float32, shape (b, min(d, n_numbers))
    """
    X = X / np.maximum(np.abs(X).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return unit(X if X.shape[1] <= n_numbers else X @ signs(X.shape[1], n_numbers))


@lru_cache(maxsize=1)
def signs(n_features: int, n_numbers: int) -> "csr_array":
    """Return a sparse matrix that adds each feature, with a sign, to one of a few sums.

    Which sum and which sign is not drawn but computed, in whole numbers: the
    feature's index, mixed as SplitMix64 does (Steele, Lea, Flood, "Fast
    Splittable Pseudorandom Number Generators", 2014). So it need not be kept, and
    is the same on every machine and with every version of NumPy.

    Parameters
    ----------
    n_features, n_numbers : int

    Returns
    -------
    csr_array of float32, shape (n_features, n_numbers)
        A 1 or -1 in each row.
    """
    from scipy.sparse import csr_array

    mixed = np.arange(1, n_features + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    sign = np.where(mixed & np.uint64(1), np.float32(1), np.float32(-1))
    column = ((mixed >> np.uint64(1)) % np.uint64(n_numbers)).astype(np.int64)
    return csr_array((sign, (np.arange(n_features), column)), shape=(n_features, n_numbers))


def quantized(rows: np.ndarray) -> np.ndarray:
    """Return rows as int8, each stretched to the range of that type."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    return np.rint(rows * (LARGEST / np.where(largest, largest, 1))).astype(np.int8)


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; those of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths, lengths, 1)
