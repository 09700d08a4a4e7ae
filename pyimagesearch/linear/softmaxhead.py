"""A classifier as the last layer of a network, and such a layer as a classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.linear.calibration import probabilities
from pyimagesearch.linear.classifierfile import check_classifier
from pyimagesearch.linear.trainingimages import pack_digests

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


def softmax_head(model: "LogisticRegression") -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of a softmax layer that gives a classifier's probabilities.

    Two classes, of which scikit-learn keeps one score z, become two columns, -z/2 and z/2.

    Parameters
    ----------
    model : LogisticRegression
        A fitted classifier.

    Returns
    -------
    kernel : ndarray of float32, shape (n_features, n_classes)
    bias : ndarray of float32, shape (n_classes,)
        The columns are in the order of ``model.classes_``.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> two = LogisticRegression()
    >>> two.coef_, two.intercept_ = np.array([[4.0, 2.0]]), np.array([1.0])
    >>> softmax_head(two)[0].tolist()
    [[-2.0, 2.0], [-1.0, 1.0]]
    """
    kernel, bias = model.coef_.T, model.intercept_
    if kernel.shape[1] == 1:
        kernel = np.hstack([-kernel, kernel]) / 2
        bias = np.hstack([-bias, bias]) / 2
    return kernel.astype(np.float32), bias.astype(np.float32)


class SoftmaxHead:
    """A softmax layer as a classifier: scikit-learn's, as far as images are classified with it.

    Importing scikit-learn takes longer than all else until the first answer.

    Parameters
    ----------
    kernel, bias : ndarray
        As `softmax_head` returns them.
    label_names, extraction, training_digests
        As of `pyimagesearch.linear.save_classifier`; the names are those of the columns.

    Attributes
    ----------
    coef_, intercept_, classes_, n_features_in_
        As of a fitted ``LogisticRegression``, but two classes have two rows of coefficients.
    label_names_, extraction_, training_digests_
        As `save_classifier` sets them.
    """

    def __init__(
        self,
        kernel: np.ndarray,
        bias: np.ndarray,
        label_names: Sequence[str],
        extraction: Mapping[str, object],
        training_digests: Sequence[object],
    ):
        self.coef_, self.intercept_ = kernel.T.astype(float), bias.astype(float)
        self.classes_ = np.arange(len(label_names))
        self.n_features_in_ = len(kernel)
        self.label_names_, self.extraction_ = list(label_names), dict(extraction)
        if (packed := pack_digests(training_digests)) is not None:
            self.training_digests_ = packed

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes for rows of features: (b, n_classes) float64."""
        return probabilities(X @ self.coef_.T + self.intercept_)


def from_softmax_head(
    kernel: np.ndarray,
    bias: np.ndarray,
    label_names: Sequence[str],
    extraction: Mapping[str, object],
    training_digests: Sequence[object],
    path: str | Path,
) -> SoftmaxHead:
    """Return the classifier that a softmax layer is.

    Parameters
    ----------
    kernel, bias, label_names, extraction, training_digests
        As of `SoftmaxHead`.
    path : str or Path
        The file that they were read from, for messages.

    Raises
    ------
    InputError
        If it cannot classify images.
    """
    model = SoftmaxHead(kernel, bias, label_names, extraction, training_digests)
    check_classifier(model, Path(path))
    return model
