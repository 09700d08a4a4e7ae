"""A classifier as the last layer of a network, and such a layer as a classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.linear.classifierfile import check_classifier
from pyimagesearch.linear.linearclassifier import LinearClassifier
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


def from_softmax_head(
    kernel: np.ndarray,
    bias: np.ndarray,
    label_names: Sequence[str],
    extraction: Mapping[str, object],
    training_digests: Sequence[object],
    path: str | Path,
) -> LinearClassifier:
    """Turn a softmax layer into a classifier.

    Parameters
    ----------
    kernel, bias : ndarray
        As `softmax_head` returns them; two classes keep two rows of coefficients.
    label_names, extraction, training_digests
        As of `pyimagesearch.linear.save_classifier`; the names are those of the columns.
    path : str or Path
        The file that they were read from, for messages.

    Raises
    ------
    InputError
        If it cannot classify images.
    """
    model = LinearClassifier()
    model.coef_, model.intercept_ = kernel.T.astype(float), bias.astype(float)
    model.classes_, model.n_features_in_ = np.arange(len(label_names)), len(kernel)
    model.label_names_, model.extraction_ = list(label_names), dict(extraction)
    if (packed := pack_digests(training_digests)) is not None:
        model.training_digests_ = packed
    check_classifier(model, Path(path))
    return model
