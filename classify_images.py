"""Name what is on new pictures, with a classifier that train_model.py has made.

    python classify_images.py --model animals.cpickle holiday/cat.jpg holiday/dog.jpg
    python classify_images.py --model animals.cpickle --images holiday --csv answers.csv

The classifier says itself which network gave the features that it learnt from,
cut where, with which weights and preprocessing; a picture gets the same
features, or no answer. The table is aligned for people; --tsv separates its
columns by tabs, for other programs.
"""

import sys
from pathlib import Path

if sys.flags.safe_path:  # python -I and -P leave the script's own folder out
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from pyimagesearch.utils.stopping import stop_at_once

if __name__ == "__main__":
    stop_at_once()  # on Ctrl-C, while the imports below take their second

import argparse
import contextlib
import csv
import heapq
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pyimagesearch.extraction import Extractor, open_extractor, scheduler_address
from pyimagesearch.linear import Evaluation, TrainingImages, load_classifier
from pyimagesearch.nn import ENGINES, Description, Network, load_described
from pyimagesearch.plotting import SheetPicture, check_drawing, draw_contact_sheet
from pyimagesearch.preprocessing import (
    Decoding,
    UnlabelledImages,
    image_digest,
    list_images,
    load_image,
)
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import add_computing_options, positive_int, user_path
from pyimagesearch.utils.console import keep_stdout_for_the_table
from pyimagesearch.utils.filenames import recorded_path
from pyimagesearch.utils.files import check_outputs, refuse_overwriting, replacing
from pyimagesearch.utils.names import label_finder
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script
from pyimagesearch.utils.texttable import display_width, padded, printable

OUTPUTS = ("csv", "sheet")
N_DRAWN_AT_MOST = 48  # pictures on the contact sheet
N_CLASSES_TOLD = 20  # in the summary

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "pictures",
        nargs="*",
        type=user_path,
        metavar="PATH",
        help="pictures, and folders of them at any depth; - reads paths from stdin, one per line",
    )
    files.add_argument(
        "-m",
        "--model",
        required=True,
        type=user_path,
        metavar="FILE",
        help="classifier made by train_model.py",
    )
    files.add_argument(
        "-i", "--images", type=user_path, metavar="DIR", help="another folder of pictures"
    )
    files.add_argument(
        "-w",
        "--weights",
        type=user_path,
        metavar="FILE",
        help="where the file of weights is now, if it has moved since the extraction",
    )
    answers = parser.add_argument_group("answers")
    answers.add_argument(
        "--top",
        type=positive_int,
        default=1,
        metavar="K",
        help="print the K most probable classes per picture (default: %(default)s)",
    )
    answers.add_argument(
        "--tsv",
        action="store_true",
        help="separate the columns of the table by tabs; all else goes to stderr",
    )
    answers.add_argument(
        "--csv",
        type=user_path,
        metavar="FILE",
        help="write path, class and probability of each picture",
    )
    answers.add_argument(
        "--all", action="store_true", help="add a column of probabilities per class to --csv"
    )
    answers.add_argument(
        "--sheet",
        type=user_path,
        metavar="FILE",
        help="draw the pictures that the classifier is least sure of: .png, .svg or .pdf",
    )
    answers.add_argument(
        "--labelled",
        action="store_true",
        help="the folder of each picture names its class: print a classification report",
    )
    add_computing_options(parser, ENGINES)
    return parser


@dataclass(frozen=True)
class Answer:
    """What a classifier says of one picture.

    Attributes
    ----------
    path : Path
        The picture.
    probabilities : ndarray of float, shape (n_classes,)
        In the order of the classifier's names; None if it cannot be read.
    problem : str or None
        Why it cannot be read.
    """

    path: Path
    probabilities: np.ndarray | None
    problem: str | None = None

    @property
    def predicted(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def probability(self) -> float:
        """Probability of the most probable class."""
        return float(self.probabilities.max())

    def top(self, k: int) -> np.ndarray:
        """Return the indices of the k most probable classes, the most probable first."""
        return np.argsort(-self.probabilities, kind="stable")[:k]


def classify(model, images: UnlabelledImages, extractor: Extractor) -> Iterator[Answer]:
    """Yield what a classifier says of each image, in order, in little memory.

    Parameters
    ----------
    model : LogisticRegression
        The classifier.
    images : UnlabelledImages
        The images.
    extractor : Extractor
        What gives the features that it was trained on.

    Yields
    ------
    Answer
        One per image.
    """
    with contextlib.closing(extractor.features(images, range(len(images)))) as batches:
        answers = chain.from_iterable(map(model.predict_proba, batches))
        for row, probabilities in enumerate(answers):
            problem = images.unreadable.pop(row, None)
            yield Answer(images.paths[row], None if problem else probabilities, problem)


def recorded_network(
    model, path: str, weights: str | None, load: Callable[..., Network], **options: object
) -> Network:
    """Load the network that a classifier was trained behind.

    Raises
    ------
    InputError
        If its weights are gone, or are others.
    """
    try:
        description = Description.from_json(model.extraction_)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'{path}' describes its network in a way that is not understood ({error!r}): "
            "train it again"
        ) from error
    file = weights or model.extraction_.get("weights_file")
    return load(description, file and recorded_path(str(file)), **options)


def paths_given(arguments: argparse.Namespace) -> list[str]:
    """Return all paths of the command line, those on stdin included."""
    given = [*arguments.pictures, *filter(None, [arguments.images])]
    # Bytes, as the names of files are: not all of them are UTF-8.
    typed = (line.rstrip(b"\r\n") for line in sys.stdin.buffer) if "-" in given else ()
    stdin = [os.fsdecode(line) for line in typed if line]
    return list(chain.from_iterable(stdin if path == "-" else [path] for path in given))


def print_table(
    answers: Iterable[Answer], names: list[str], width: int, top: int, tsv: bool
) -> Iterator[Answer]:
    """Print a line per picture as it comes, and hand it on."""
    names = [printable(name) for name in names]
    name_width = max(map(display_width, names))
    for answer in answers:
        if answer.problem is None:
            path = printable(str(answer.path))
            told = [(names[i], f"{answer.probabilities[i]:.4f}") for i in answer.top(top)]
            if tsv:
                print("\t".join([path, *chain.from_iterable(told)]), flush=True)
            else:
                columns = (f"{padded(name, name_width)}  {number}" for name, number in told)
                print("  ".join([padded(path, width), *columns]), flush=True)
        else:
            logger.error(answer.problem)
        yield answer


@contextlib.contextmanager
def csv_rows(path: str | None, names: list[str], all_classes: bool) -> Iterator[Callable]:
    """Yield what writes an answer as a row; the file is there once it is whole."""
    if path is None:
        yield lambda answer: None
        return
    with (
        replacing(Path(path), keep_partial=True) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["path", "class", "probability", *(names if all_classes else ())])

        def write(answer: Answer) -> None:
            probabilities = answer.probabilities.tolist() if all_classes else ()
            row = (answer.path, names[answer.predicted], answer.probability)
            writer.writerow([*row, *probabilities])

        yield write


class Tally:
    """What is left of the answers once each has been printed, in little memory.

    Parameters
    ----------
    names : list of str
        Names of the classes.
    labelled : bool
        Whether the folder of each picture names its class.
    training : TrainingImages
        Those of the classifier.
    """

    def __init__(self, names: list[str], labelled: bool, training: TrainingImages):
        self.counts: Counter = Counter()
        self.least_sure: list[Answer] = []
        self._names = names
        self._labelled = labelled
        self._find_label = label_finder(names)
        self._training = training
        self._judged: list[tuple[int, int, float, float, int]] = []
        self._unknown: Counter = Counter()

    def add(self, answer: Answer) -> None:
        """Take note of an answer."""
        self.counts[self._names[answer.predicted]] += 1
        self.least_sure = heapq.nsmallest(
            N_DRAWN_AT_MOST, [*self.least_sure, answer], key=lambda one: one.probability
        )
        if self._labelled:
            self._compare(answer)

    def _compare(self, answer: Answer) -> None:
        # Of ../cat.jpg too, and not of the file that a link points to.
        name = Path(os.path.abspath(answer.path)).parent.name  # noqa: PTH100
        label = self._find_label(name)
        if label is None:
            self._unknown[name] += 1
            return
        given = float(answer.probabilities[label])
        rank = int((answer.probabilities > given).sum())
        self._judged.append((label, answer.predicted, given, answer.probability, rank))
        with contextlib.suppress(OSError):  # gone since it was classified
            self._training.add(image_digest(answer.path), answer.predicted == label)

    def summary(self, n_pictures: int, elapsed_s: float) -> list[str]:
        """Tell how many pictures there are of each class, the most frequent first."""
        lines = [f"{self.counts.total():,} of {n_pictures:,} pictures judged in {elapsed_s:.1f} s"]
        told = self.counts.most_common(N_CLASSES_TOLD)
        width = max((display_width(printable(name)) for name, _ in told), default=0)
        lines += [f"{padded(printable(name), width)}  {n:,}" for name, n in told]
        if len(self.counts) > len(told):
            lines.append(f"and {len(self.counts) - len(told):,} classes more")
        return lines

    def report(self) -> list[str]:
        """Return the classification report, and what it leaves out."""
        lines = [
            f"left out of the report: {n:,} pictures in '{printable(name)}', which is no class "
            "of this classifier"
            for name, n in sorted(self._unknown.items())
        ]
        if not self._judged:
            return [*lines, "no picture lies in a folder with the name of a class: no report"]
        columns = map(np.array, zip(*self._judged, strict=True))
        evaluation = Evaluation(*columns, label_names=self._names)
        return [*lines, f"accuracy {evaluation.accuracy:.4f}\n{evaluation.report()}"]


def draw_sheet(
    path: str, least_sure: list[Answer], names: list[str], n_judged: int, decoding: Decoding
) -> None:
    """Draw the pictures that the classifier is least sure of, the least sure first."""
    drawn = [
        SheetPicture(answer.path, answer.path.name, names[answer.predicted], answer.probability)
        for answer in least_sure
    ]
    draw_contact_sheet(
        drawn,
        Path(path),
        title=f"{len(drawn):,} of {n_judged:,} pictures, the least sure first",
        legend="file → class, and how probable it seems",
        load=lambda picture: load_image(picture, size=None, decoding=decoding.to_show()),
    )


@script
def main(argv: list[str] | None = None, load: Callable[..., Network] = load_described) -> None:
    """Run the command line."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if not arguments.pictures and arguments.images is None:
        parser.error("expected pictures, folders of them, or -")
    if arguments.all and not arguments.csv:
        parser.error("--all adds columns to --csv: give --csv FILE")
    if arguments.tsv:
        keep_stdout_for_the_table()
    outputs = {option: getattr(arguments, option) for option in OUTPUTS}
    if arguments.sheet:
        check_drawing(Path(arguments.sheet))
    check_outputs(outputs, model=arguments.model, weights=arguments.weights)
    if arguments.cluster is not None:
        scheduler_address(arguments.cluster)  # before the network is loaded
    model = load_classifier(arguments.model)
    names = [model.label_names_[label] for label in model.classes_]
    decoding = Decoding.recorded(model.extraction_)
    images, left_aside = list_images(paths_given(arguments), decoding)
    refuse_overwriting(outputs, [model.extraction_.get("weights_file"), *images.paths])
    if left_aside.kinds:
        logger.warning(f"passed over: {left_aside}")
    options = {key: getattr(arguments, key) for key in ("engine", "batch_size", "jobs")}
    network = recorded_network(model, arguments.model, arguments.weights, load, **options)

    tally = Tally(names, arguments.labelled, training := TrainingImages(model))
    started = time.perf_counter()
    with (
        open_extractor(network, arguments.cluster, arguments.jobs) as extractor,
        csv_rows(arguments.csv, names, arguments.all) as write_row,
    ):
        answers = classify(model, images, extractor)
        width = max(display_width(printable(str(path))) for path in images.paths)
        answers = print_table(answers, names, width, arguments.top, arguments.tsv)
        for answer in shown(answers, len(images)):
            if answer.problem is None:
                write_row(answer)
                tally.add(answer)
    n_judged = tally.counts.total()
    for line in tally.summary(len(images), time.perf_counter() - started):
        logger.info(line)
    if arguments.labelled:
        for text in tally.report():
            logger.info(text)
        if warning := training.warning():
            logger.warning(warning)
    if arguments.csv:
        logger.info(f"csv: {arguments.csv}")
    if arguments.sheet and n_judged:
        draw_sheet(arguments.sheet, tally.least_sure, names, n_judged, decoding)
        logger.info(f"sheet: {arguments.sheet}")
    if n_bad := len(images) - n_judged:
        raise InputError(
            f"{n_bad:,} of {len(images):,} pictures cannot be read: replace them; "
            "the others have been judged"
        )


def shown(answers: Iterator[Answer], n_pictures: int) -> Iterator[Answer]:
    """Show the progress, unless the table itself does so on a terminal."""
    if sys.stdout.isatty():
        yield from answers
        return
    with progress_bar("Classifying Images", n_pictures) as bar:
        for answer in answers:
            yield answer
            bar.increment()


if __name__ == "__main__":
    raise SystemExit(main())
