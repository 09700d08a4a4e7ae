"""The images that trained a classifier: their digests, eight bytes each, are kept with it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

DIGEST = re.compile("[0-9a-f]{16}")  # as `pyimagesearch.preprocessing.image_digest` writes it


def pack_digests(digests: Sequence[object]) -> np.ndarray | None:
    """Pack the digests of images.

    Parameters
    ----------
    digests : sequence of str
        16 hexadecimal digits each.

    Returns
    -------
    ndarray of uint64, shape (n_distinct,), or None
        In ascending order; None if there are none, or anything else is among
        them.

    Examples
    --------
    >>> pack_digests(["00000000000000ff", "000000000000000a", "00000000000000ff"])
    array([ 10, 255], dtype=uint64)
    """
    if not digests or not all(isinstance(d, str) and DIGEST.fullmatch(d) for d in digests):
        return None
    return np.unique(np.array([int(digest, 16) for digest in digests], np.uint64))


class TrainingImages:
    """Recognises the images that trained a classifier among those that evaluate it.

    Parameters
    ----------
    model : LogisticRegression
        The classifier, with its ``training_digests_`` as far as they are known.
    """

    def __init__(self, model: "LogisticRegression"):
        self._packed = getattr(model, "training_digests_", None)
        self._n_trained = self._n_new = self._n_new_right = 0

    def add(self, digest: str, right: bool) -> None:
        """Take note of an image's digest, and of whether it was classified correctly."""
        if digest in self:
            self._n_trained += 1
        else:
            self._n_new += 1
            self._n_new_right += right

    def __contains__(self, digest: str) -> bool:
        if self._packed is None:
            return False
        number = np.uint64(int(digest, 16))
        place = np.searchsorted(self._packed, number)
        return place < len(self._packed) and self._packed[place] == number

    def warning(self) -> str | None:
        """Warn if evaluated images have trained the classifier, which makes it look better."""
        if not self._n_trained + self._n_new:
            return None
        if self._packed is None:
            return (
                "the classifier does not record which images trained it: train it again to be "
                "warned if it evaluates these"
            )
        if not self._n_trained:
            return None
        n_evaluated = self._n_trained + self._n_new
        trained = f"{self._n_trained:,} of {n_evaluated:,} evaluated images trained the classifier"
        if not self._n_new:
            return f"{trained}: the accuracy means nothing for new images; evaluate others"
        return f"{trained}: the accuracy of the others is {self._n_new_right / self._n_new:.4f}"
