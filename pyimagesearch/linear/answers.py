"""What a classifier predicts for each image, and what is kept of that in little memory."""

import contextlib
import csv
import heapq
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.linear.evaluation import Evaluation
from pyimagesearch.linear.trainingimages import TrainingImages
from pyimagesearch.linear.unknown import Likeness, UnknownDetector
from pyimagesearch.utils.files import replacing
from pyimagesearch.utils.names import label_finder
from pyimagesearch.utils.texttable import display_width, padded, printable
from pyimagesearch.utils.wording import counted

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

N_LEAST_SURE = 48  # images that are kept to be drawn
N_COUNTED = 20  # classes in the summary
UNKNOWN = "?"  # in the place of a class

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a classifier predicts for one image.

    Attributes
    ----------
    path : Path
        The image.
    probabilities : ndarray of float, shape (n_classes,)
        In the order of the classifier's names; None if it cannot be read.
    problem : str or None
        Why it cannot be read.
    likeness : Likeness or None
        How similar it is to those that trained the classifier; None if not
        measured.
    """

    path: Path
    probabilities: np.ndarray | None
    problem: str | None = None
    likeness: Likeness | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether it shows none of the classes, as far as is known."""
        return self.likeness is not None and self.likeness.is_unknown

    @property
    def predicted(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def probability(self) -> float:
        """Probability of the most probable class."""
        return float(self.probabilities.max())

    def caption(self, names: Sequence[str]) -> tuple[str, float]:
        """Return what stands below the image: its class, and how probable or similar that is."""
        if self.is_unknown:
            return f"? (nearest {names[self.likeness.nearest]})", self.likeness.similarity
        return names[self.predicted], self.probability

    def top(self, k: int) -> np.ndarray:
        """Return the indices of the k most probable classes, the most probable first."""
        return np.argsort(-self.probabilities, kind="stable")[:k]


def answers_to(
    model: "LogisticRegression", detector: UnknownDetector | None, batches: Iterable[np.ndarray]
) -> Iterator[tuple[np.ndarray, Likeness | None]]:
    """Yield what a classifier predicts for each row of features.

    Parameters
    ----------
    model : LogisticRegression or LinearClassifier
        The classifier.
    detector : UnknownDetector or None
        Measures how similar a row is to those that trained; None to skip that.
    batches : iterable of ndarray of float32, shape (b, n_features)
        The rows.

    Yields
    ------
    ndarray of float64, shape (n_classes,)
        The probabilities of the classes.
    Likeness or None
    """
    for batch in batches:
        likenesses = detector.likenesses(batch) if detector else [None] * len(batch)
        yield from zip(model.predict_proba(batch), likenesses, strict=True)


class AnswerTable:
    """A line per answer, for people or for other programs.

    Of an unknown image it has ``?``, the class of the nearest training image and
    how similar that is. For other programs these two end each line, of known
    images too.

    Parameters
    ----------
    names : sequence of str
        Names of the classes.
    paths : sequence of Path
        All images, to align the columns behind them.
    top : int
        How many of the most probable classes are in a line.
    tsv : bool
        Whether tabs separate the columns, which are not aligned then.
    """

    def __init__(self, names: Sequence[str], paths: Sequence[Path], top: int, tsv: bool):
        self._names = [printable(name) for name in names]
        self._top, self._tsv = top, tsv
        self._path_width = max(display_width(printable(str(path))) for path in paths)
        self._name_width = max(map(display_width, self._names))

    def line(self, answer: Answer) -> str:
        """Return the path, and the most probable classes with their probabilities."""
        path = printable(str(answer.path))
        columns = [
            (self._names[i], f"{answer.probabilities[i]:.4f}") for i in answer.top(self._top)
        ]
        like = answer.likeness
        nearest = like and (self._names[like.nearest], f"{like.similarity:.4f}")
        if self._tsv:
            if answer.is_unknown:
                columns = [(UNKNOWN, ""), *[("", "")] * (len(columns) - 1)]
            return "\t".join([path, *chain.from_iterable(columns), *(nearest or ())])
        aligned = [f"{padded(name, self._name_width)}  {number}" for name, number in columns]
        if answer.is_unknown:
            aligned = [
                padded(UNKNOWN, self._name_width),
                "nearest {}, similarity {}".format(*nearest),
            ]
        return "  ".join([padded(path, self._path_width), *aligned])


@contextlib.contextmanager
def csv_rows(
    path: str | None, names: Sequence[str], all_classes: bool, with_unknown: bool = False
) -> Iterator[Callable]:
    """Yield what writes an answer as a row; the file appears once it is complete.

    Parameters
    ----------
    path : str or None
        The file; None to write nothing.
    names : sequence of str
        Names of the classes.
    all_classes : bool
        Whether a row has the probability of each class.
    with_unknown : bool
        Whether a row has columns for whether the image is unknown, which class is
        nearest and how similar that is. An unknown one has ``?`` for a class, and no
        probability of it.
    """
    if path is None:
        yield lambda answer: None
        return
    with (
        replacing(Path(path), keep_partial=True) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        likeness = ("unknown", "nearest class", "similarity") if with_unknown else ()
        classes = names if all_classes else ()
        writer.writerow(["path", "class", "probability", *likeness, *classes])

        def write(answer: Answer) -> None:
            row = [answer.path, names[answer.predicted], answer.probability]
            if answer.is_unknown:
                row[1:] = UNKNOWN, ""
            if like := answer.likeness:
                unknown = "yes" if like.is_unknown else "no"
                row += unknown, names[like.nearest], f"{like.similarity:.6f}"
            writer.writerow([*row, *(answer.probabilities.tolist() if all_classes else ())])

        yield write


class Tally:
    """The counts of the answers, and the least sure ones.

    Parameters
    ----------
    names : sequence of str
        Names of the classes.

    Attributes
    ----------
    n_answers : int
        How many there were, the unknown ones included.
    n_unknown : int
        How many images are unknown.
    least_sure : list of Answer
        Those of the least probability, the least first; before them the unknown
        ones, by their similarity.
    """

    def __init__(self, names: Sequence[str]):
        self.least_sure: list[Answer] = []
        self.n_unknown = 0
        self._counts: Counter[str] = Counter()
        self._names = names

    @property
    def n_answers(self) -> int:
        """How many answers there were."""
        return self._counts.total() + self.n_unknown

    def add(self, answer: Answer) -> None:
        """Take note of an answer."""
        if answer.is_unknown:
            self.n_unknown += 1
        else:
            self._counts[self._names[answer.predicted]] += 1
        self.least_sure = heapq.nsmallest(N_LEAST_SURE, [*self.least_sure, answer], key=_sureness)

    def summary(self) -> list[str]:
        """Return how many images there are of each class, the most frequent first, and of none."""
        counts = self._counts.most_common(N_COUNTED)
        width = max((display_width(printable(name)) for name, _ in counts), default=0)
        lines = [f"{padded(printable(name), width)}  {n:,}" for name, n in counts]
        if n_more := len(self._counts) - len(counts):
            lines.append(f"and {n_more:,} more classes")
        if self.n_unknown:
            lines.append(f"{padded(UNKNOWN, width)}  {self.n_unknown:,}")
        return lines


def _sureness(answer: Answer) -> tuple[bool, float]:
    if answer.is_unknown:
        return False, answer.likeness.similarity
    return True, answer.probability


class LabelledEvaluation:
    """How well a classifier does on images whose classes are known.

    Unknown images have no predicted class: they are left out, and counted.

    Parameters
    ----------
    names : sequence of str
        Names of the classes.
    labels : mapping of Path to str
        The class of each image that has one; the others are not evaluated.
    training : TrainingImages
        Recognises the images that trained the classifier.
    digest : callable
        Returns the digest of an image's file; see
        `pyimagesearch.preprocessing.image_digest`.
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: Mapping[Path, str],
        training: TrainingImages,
        digest: Callable[[Path], str],
    ):
        self._names, self._labels, self._find_label = names, labels, label_finder(names)
        self._training, self._digest = training, digest
        self._evaluated: list[tuple[int, int, float, float, int]] = []
        self._strange: Counter[str] = Counter()  # images of other classes
        self._n_unknown = self._n_strange_unknown = 0

    def add(self, answer: Answer) -> None:
        """Compare an answer with the label of its image."""
        name = self._labels.get(answer.path)
        if name is None:
            return
        label = self._find_label(name)
        if label is None:
            self._strange[name] += 1
            self._n_strange_unknown += answer.is_unknown
            return
        if answer.is_unknown:
            self._n_unknown += 1
            return
        given = float(answer.probabilities[label])
        rank = int((answer.probabilities > given).sum())
        self._evaluated.append((label, answer.predicted, given, answer.probability, rank))
        with contextlib.suppress(OSError):  # gone since it was classified
            self._training.add(self._digest(answer.path), answer.predicted == label)

    def report(self) -> list[str]:
        """Return the classification report, and what it leaves out."""
        lines = [
            f"not in the report: {counted(n, 'image')} in '{printable(name)}' (not a known class)"
            for name, n in sorted(self._strange.items())
        ]
        if self._n_strange_unknown:
            n_strange = counted(self._strange.total(), "image")
            lines.append(
                f"answered {UNKNOWN}: {self._n_strange_unknown:,} of {n_strange} of other classes"
            )
        n_evaluated, n_of_classes = len(self._evaluated), len(self._evaluated) + self._n_unknown
        if not n_of_classes:
            return [*lines, "no image is labelled with a known class: no report"]
        if self._n_unknown:
            lines.append(
                f"answered {UNKNOWN}, not in the report: {self._n_unknown:,} of "
                f"{counted(n_of_classes, 'image')} of known classes "
                f"(coverage {n_evaluated / n_of_classes:.1%})"
            )
        if not n_evaluated:
            return [*lines, f"all are answered {UNKNOWN}: no report"]
        columns = map(np.array, zip(*self._evaluated, strict=True))
        evaluation = Evaluation(*columns, label_names=list(self._names))
        accuracy = evaluation.with_interval(evaluation.accuracy)
        return [*lines, f"accuracy {accuracy}\n{evaluation.report()}"]

    def warning(self) -> str | None:
        """Return a warning where the accuracy is not meaningful."""
        return self._training.warning()


def report_labelled(evaluation: LabelledEvaluation) -> None:
    """Log how well a classifier does on images whose classes are known."""
    for text in evaluation.report():
        logger.info(text)
    if warning := evaluation.warning():
        logger.warning(warning)
