"""A logistic regression without scikit-learn, whose import takes longer than all else."""

import pickle

import numpy as np

from pyimagesearch.linear.calibration import probabilities

OF_SCIKIT_LEARN = ("sklearn.linear_model._logistic", "LogisticRegression")


class LinearClassifier:
    """What images are classified with: scikit-learn's classifier, as far as that takes.

    Attributes
    ----------
    coef_, intercept_, classes_, n_features_in_
        As of a fitted ``LogisticRegression``; two classes may have a row of coefficients each.
    label_names_, extraction_, training_digests_
        As `pyimagesearch.linear.save_classifier` sets them.

    Examples
    --------
    >>> two = LinearClassifier()
    >>> two.coef_, two.intercept_ = np.array([[4.0, 2.0]]), np.array([0.0])
    >>> two.predict_proba(np.array([[1.0, -2.0]])).tolist()
    [[0.5, 0.5]]
    """

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes for rows of features: (b, n_classes) float64."""
        scores = X @ self.coef_.T + self.intercept_
        if scores.shape[1] == 1:  # that of the second of two classes
            scores = np.hstack([np.zeros_like(scores), scores])
        return probabilities(scores)


class CoefficientsUnpickler(pickle.Unpickler):
    """Reads a pickled ``LogisticRegression`` as a `LinearClassifier` with all its attributes."""

    def find_class(self, module: str, name: str) -> object:
        """Return the class of a name in a pickle."""
        if (module, name) == OF_SCIKIT_LEARN:
            return LinearClassifier
        return super().find_class(module, name)
