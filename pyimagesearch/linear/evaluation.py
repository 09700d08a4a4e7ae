"""How well a classifier does on images that it has not seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.linear.solver.rows import count_not_finite, refuse_not_finite
from pyimagesearch.utils.texttable import display_width, printable
from pyimagesearch.utils.wording import counted

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

CONFIDENCE = 0.95  # of the interval of a share
N_HEAD_LINES = 2  # of scikit-learn's classification report
STAND_IN = "\ue000"  # a character that no font and no name has


@dataclass(frozen=True)
class Evaluation:
    """True and predicted classes of the held-out images.

    Attributes
    ----------
    labels, predicted : ndarray of int64, shape (n,)
        Indices into `label_names`.
    true_probability, predicted_probability : ndarray of float64, shape (n,)
        The probability of the true class, and of the predicted one.
    rank : ndarray of int64, shape (n,)
        How many classes were more probable than the true one.
    label_names : sequence of str
        Names of all classes, also of those that no image here has.
    probabilities : ndarray of float64, shape (n, n_classes), or None
        The probabilities of all classes, where they were kept.
    """

    labels: np.ndarray
    predicted: np.ndarray
    true_probability: np.ndarray
    predicted_probability: np.ndarray
    rank: np.ndarray
    label_names: Sequence[str]
    probabilities: np.ndarray | None = None

    @property
    def is_right(self) -> np.ndarray:
        """Whether each image was classified correctly: bool, shape (n,)."""
        return self.labels == self.predicted

    @property
    def accuracy(self) -> float:
        """Share of the images that were classified correctly."""
        return float(self.is_right.mean())

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the accuracies of the classes that have images here."""
        classes = set(self.labels)
        return float(np.mean([self.is_right[self.labels == label].mean() for label in classes]))

    @property
    def baseline(self) -> float:
        """Accuracy of always choosing the class that has the most images here."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    def interval(self, share: float) -> tuple[float, float]:
        """Return the confidence interval of a share of the images.

        Wilson's interval of 95 %: Wilson, "Probable Inference, the Law of Succession, and
        Statistical Inference", Journal of the American Statistical Association 22, 1927.
        """
        from scipy.stats import binomtest

        n = len(self.labels)
        low, high = binomtest(round(share * n), n).proportion_ci(CONFIDENCE, "wilson")
        return float(low), float(high)

    def with_interval(self, share: float) -> str:
        """Return a share of the images with its confidence interval.

        Examples
        --------
        >>> labels = np.array([1] * 73 + [0] * 2)
        >>> ones = np.ones(75, int)
        >>> evaluation = Evaluation(labels, ones, ones, ones, 1 - labels, ["cats", "dogs"])
        >>> evaluation.with_interval(evaluation.accuracy)
        '0.9733 (95 % interval 0.908 to 0.993, 75 images)'
        """
        low, high = self.interval(share)
        n_images = counted(len(self.labels), "image")
        percent = f"{100 * CONFIDENCE:.0f} %"
        return f"{share:.4f} ({percent} interval {low:.3f} to {high:.3f}, {n_images})"

    def scores(self, temperature: float = 1.0) -> np.ndarray:
        """Return scores with these probabilities, of a classifier that a temperature divided."""
        with np.errstate(divide="ignore"):  # -inf for a class that is not known
            return np.log(self.probabilities) * temperature

    def confusion_matrix(self) -> np.ndarray:
        """Return counts of images: (true class, predicted class)."""
        from sklearn.metrics import confusion_matrix

        indices = np.arange(len(self.label_names))
        return confusion_matrix(self.labels, self.predicted, labels=indices)

    def rank_accuracy(self, n: int) -> float:
        """Return the share of the images whose class is among the n most probable ones."""
        return float((self.rank < n).mean())

    def report(self) -> str:
        """Return scikit-learn's classification report, with every class in it, for a terminal."""
        names = [printable(name) for name in self.label_names]
        # It aligns by the number of characters: each name is replaced by as many as it has columns.
        stand_ins = [STAND_IN * display_width(name) for name in names]
        lines = self._classification_report(target_names=stand_ins).split("\n")
        for row, (stand_in, name) in enumerate(zip(stand_ins, names, strict=True), N_HEAD_LINES):
            lines[row] = lines[row].replace(stand_in, name)
        return "\n".join(lines)

    def report_dict(self) -> dict:
        """Return the same for a machine: ``classes`` by name, and ``averages``."""
        # By number first: a class may be called "accuracy", as one of the report's own keys is.
        found = self._classification_report(output_dict=True)
        classes = {name: found.pop(str(i)) for i, name in enumerate(self.label_names)}
        found.pop("accuracy", None)
        return {"classes": classes, "averages": found}

    def worst_mistakes(self) -> np.ndarray:
        """Return the mistakes, the least probable true class first."""
        mistakes = np.flatnonzero(self.labels != self.predicted)
        return mistakes[np.argsort(self.true_probability[mistakes], kind="stable")]

    def _classification_report(self, **options) -> str | dict:
        from sklearn.metrics import classification_report

        indices = np.arange(len(self.label_names))
        return classification_report(
            self.labels, self.predicted, labels=indices, zero_division=0, **options
        )


def evaluate(
    model: "LogisticRegression",
    blocks: Iterable[tuple[slice, np.ndarray]],
    labels: np.ndarray,
    label_names: Sequence[str],
) -> Evaluation:
    """Evaluate a classifier on rows that are read a block at a time.

    Parameters
    ----------
    model : LogisticRegression
        Fitted to indices into `label_names`. A class that it was not fitted to has the
        probability 0.
    blocks : iterable of (slice, ndarray of float32, shape (rows, d))
        Which rows they are, and their features.
    labels : ndarray of int, shape (n,)
        The classes of all rows of all blocks, in order.
    label_names : sequence of str
        Names of the classes.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If a feature is not finite.
    """
    n_wrong, found = 0, []
    for _, block in blocks:
        n_wrong += count_not_finite(block)
        if not n_wrong:
            found.append(model.predict_proba(block))
    refuse_not_finite(n_wrong, len(labels))
    probabilities = np.zeros((len(labels), len(label_names)))
    probabilities[:, model.classes_] = np.concatenate(found)
    rows, predicted = np.arange(len(labels)), probabilities.argmax(axis=1)
    true_probability = probabilities[rows, labels]
    return Evaluation(
        labels=labels,
        predicted=predicted,
        true_probability=true_probability,
        predicted_probability=probabilities.max(axis=1),
        rank=(probabilities > true_probability[:, None]).sum(axis=1),
        label_names=label_names,
        probabilities=probabilities,
    )
