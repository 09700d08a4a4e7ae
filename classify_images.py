"""Classify new images with a classifier that train_model.py has made.

    python classify_images.py --model animals.cpickle holiday/cat.jpg holiday/dog.jpg
    python classify_images.py --model animals.cpickle --images holiday --csv answers.csv

The classifier's file records which network it was trained with, where that was
cut, its weights and preprocessing; new images get exactly the same features.
The table is aligned for people; --tsv separates its columns by tabs, for other
programs.
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
import logging
import time
from collections.abc import Callable, Iterator
from itertools import chain

from pyimagesearch.extraction import Extractor, open_extractor, scheduler_address
from pyimagesearch.linear import (
    Answer,
    AnswerTable,
    TrainingImages,
    UnknownDetector,
    answers_to,
    csv_rows,
)
from pyimagesearch.nn import ENGINES, Network, load_described
from pyimagesearch.preprocessing import Decoding, UnlabelledImages, given_labels, list_images
from pyimagesearch.results import (
    CollectedAnswers,
    check_result_files,
    read_classifier,
    recorded_network,
)
from pyimagesearch.results.commandline import add_answer_options
from pyimagesearch.utils.arguments import add_computing_options, script_parser, user_path
from pyimagesearch.utils.console import keep_stdout_for_the_table, print_row
from pyimagesearch.utils.filenames import typed_path
from pyimagesearch.utils.pathchecks import refuse_overwriting
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script

OUTPUTS = ("csv", "sheet", "report")

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = script_parser(__doc__)
    files = parser.add_argument_group("files")
    files.add_argument(
        "inputs",
        nargs="*",
        type=user_path,
        metavar="PATH",
        help="images, and folders of them at any depth; - reads paths from stdin, one per line",
    )
    files.add_argument(
        "-m",
        "--model",
        required=True,
        type=user_path,
        metavar="FILE",
        help="classifier made by train_model.py: a pickle, FILE.skops or FILE.keras",
    )
    files.add_argument(
        "-i", "--images", type=user_path, metavar="DIR", help="another folder of images"
    )
    files.add_argument(
        "-w",
        "--weights",
        type=user_path,
        metavar="FILE",
        help="where the file of weights is now, if it has moved since the extraction",
    )
    add_answer_options(parser)
    add_computing_options(parser, ENGINES)
    return parser


def read_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line, or end with a usage error."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if not arguments.inputs and arguments.images is None:
        parser.error("expected images, folders of them, or -")
    if arguments.all and not arguments.csv:
        parser.error("--all adds columns to --csv: give --csv FILE")
    if arguments.link and not arguments.sort:
        parser.error("--link changes how --sort fills its folders: give --sort DIR")
    arguments.labelled |= bool(arguments.labels or arguments.labels_from)
    return arguments


def classify(
    model, detector: UnknownDetector | None, images: UnlabelledImages, extractor: Extractor
) -> Iterator[Answer]:
    """Yield what a classifier predicts for each image, in order, in little memory.

    Parameters
    ----------
    model : LogisticRegression or LinearClassifier
        The classifier.
    detector : UnknownDetector or None
        Recognises images that are unknown to it; None to predict a class for all.
    images : UnlabelledImages
        The images.
    extractor : Extractor
        Computes the features that it was trained on.

    Yields
    ------
    Answer
        One per image.
    """
    with contextlib.closing(extractor.features(images, range(len(images)))) as batches:
        for row, (probabilities, likeness) in enumerate(answers_to(model, detector, batches)):
            if problem := images.unreadable.pop(row, None):
                yield Answer(images.paths[row], None, problem)
            else:
                yield Answer(images.paths[row], probabilities, likeness=likeness)


def paths_given(arguments: argparse.Namespace) -> list[str]:
    """Return all paths of the command line, those on stdin included."""
    given = [*arguments.inputs, *filter(None, [arguments.images])]
    # Bytes, as the names of files are: not all of them are UTF-8.
    typed = (line.rstrip(b"\r\n") for line in sys.stdin.buffer) if "-" in given else ()
    stdin = [typed_path(line) for line in typed if line]
    return list(chain.from_iterable(stdin if path == "-" else [path] for path in given))


def shown(answers: Iterator[Answer], n_images: int) -> Iterator[Answer]:
    """Show the progress, unless the table itself does so on a terminal."""
    if sys.stdout.isatty():
        yield from answers
        return
    with progress_bar("Classifying Images", n_images) as bar:
        for answer in answers:
            yield answer
            bar.increment()


@script
def main(argv: list[str] | None = None, load: Callable[..., Network] = load_described) -> None:
    """Run the command line."""
    arguments = read_arguments(argv)
    if arguments.tsv:
        keep_stdout_for_the_table()
    outputs = {option: getattr(arguments, option) for option in OUTPUTS}
    check_result_files(
        outputs, model=arguments.model, weights=arguments.weights, labels=arguments.labels
    )
    if arguments.cluster is not None:
        scheduler_address(arguments.cluster)  # before the network is loaded

    model, whole = read_classifier(arguments.model, arguments.weights)
    detector = None if arguments.no_unknown else UnknownDetector.of(model)
    names = [model.label_names_[label] for label in model.classes_]
    given = paths_given(arguments)
    images, skipped = list_images(given, Decoding.recorded(model.extraction_))
    refuse_overwriting(outputs, [model.extraction_.get("weights_file"), *images.paths])
    if skipped.kinds:
        logger.warning(f"skipped: {skipped}")
    collected = CollectedAnswers(names, images)
    if arguments.sort:
        collected.sort_into(arguments.sort, arguments.link)
    if arguments.labelled:
        labels = given_labels(images.paths, given, arguments.labels, arguments.labels_from)
        collected.compare_with(labels, TrainingImages(model))
    options = {key: getattr(arguments, key) for key in ("engine", "batch_size", "jobs")}
    network = recorded_network(model, arguments.model, arguments.weights, load, whole, **options)

    table = AnswerTable(names, images.paths, arguments.top, arguments.tsv)
    started = time.perf_counter()
    with (
        open_extractor(network, arguments.cluster, arguments.jobs) as extractor,
        csv_rows(arguments.csv, names, arguments.all, detector is not None) as write_row,
    ):
        for answer in shown(classify(model, detector, images, extractor), len(images)):
            if answer.problem is None:
                print_row(table.line(answer))
                write_row(answer)
            collected.add(answer)

    collected.report(time.perf_counter() - started)
    for option in ("csv", "sort"):
        if path := getattr(arguments, option):
            logger.info(f"{option}: {path}")
    if arguments.sheet:
        collected.draw_least_sure(arguments.sheet)
    for path in arguments.report:
        about = {"Classifier": arguments.model, "Network": network.description.network}
        collected.write_report(path, about, arguments.jobs)
    collected.require_all()


if __name__ == "__main__":
    raise SystemExit(main())
