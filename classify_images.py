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
import logging
import os
import time
from collections.abc import Callable, Iterator
from itertools import chain

from pyimagesearch.extraction import Extractor, open_extractor, scheduler_address
from pyimagesearch.linear import (
    UNKNOWN,
    Answer,
    AnswerTable,
    LabelledEvaluation,
    Tally,
    TrainingImages,
    UnknownDetector,
    answers_to,
    csv_rows,
    report_labelled,
)
from pyimagesearch.nn import (
    ENGINES,
    Network,
    load_described,
)
from pyimagesearch.preprocessing import (
    SOURCES,
    Decoding,
    UnlabelledImages,
    given_labels,
    image_digest,
    image_reader,
    list_images,
)
from pyimagesearch.reporting import (
    AnswersReport,
    check_drawing,
    check_page,
    is_page,
)
from pyimagesearch.results import draw_least_sure, read_classifier, recorded_network
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import add_computing_options, positive_int, user_path
from pyimagesearch.utils.classfolders import ClassFolders
from pyimagesearch.utils.console import keep_stdout_for_the_table
from pyimagesearch.utils.pathchecks import check_outputs, refuse_overwriting
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script

OUTPUTS = ("csv", "sheet", "report")

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
        help="classifier made by train_model.py: a pickle, FILE.skops or FILE.keras",
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
        "--report",
        type=user_path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the answers by class, the least sure first: .html as a page to look at, all "
        "else as JSON; may be repeated",
    )
    answers.add_argument(
        "--labelled",
        action="store_true",
        help="the folder of each picture names its class: print a classification report",
    )
    labels = answers.add_mutually_exclusive_group()
    labels.add_argument(
        "--labels",
        type=user_path,
        metavar="FILE",
        help="--labelled by a table, whatever the folders: a CSV with the columns path and label",
    )
    labels.add_argument(
        "--labels-from",
        choices=SOURCES,
        help="--labelled by the folders, or by the beginning of the names as in dog.123.jpg",
    )
    answers.add_argument(
        "--sort",
        type=user_path,
        metavar="DIR",
        help="copy each picture into DIR/<class>/; nothing is moved or overwritten",
    )
    answers.add_argument("--link", action="store_true", help="with --sort, link instead of copying")
    answers.add_argument(
        "--no-unknown",
        action="store_true",
        help="name a class of every picture, also with a classifier that can tell unknown ones",
    )
    add_computing_options(parser, ENGINES)
    return parser


def read_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line, or end with a usage error."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if not arguments.pictures and arguments.images is None:
        parser.error("expected pictures, folders of them, or -")
    if arguments.all and not arguments.csv:
        parser.error("--all adds columns to --csv: give --csv FILE")
    if arguments.link and not arguments.sort:
        parser.error("--link says how --sort puts pictures into folders: give --sort DIR")
    arguments.labelled |= bool(arguments.labels or arguments.labels_from)
    return arguments


def classify(
    model, detector: UnknownDetector | None, images: UnlabelledImages, extractor: Extractor
) -> Iterator[Answer]:
    """Yield what a classifier says of each image, in order, in little memory.

    Parameters
    ----------
    model : LogisticRegression
        The classifier.
    detector : UnknownDetector or None
        Tells which images are unknown to it; None to name a class of all.
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
        for row, (probabilities, likeness) in enumerate(answers_to(model, detector, batches)):
            if problem := images.unreadable.pop(row, None):
                yield Answer(images.paths[row], None, problem)
            else:
                yield Answer(images.paths[row], probabilities, likeness=likeness)


def paths_given(arguments: argparse.Namespace) -> list[str]:
    """Return all paths of the command line, those on stdin included."""
    given = [*arguments.pictures, *filter(None, [arguments.images])]
    # Bytes, as the names of files are: not all of them are UTF-8.
    typed = (line.rstrip(b"\r\n") for line in sys.stdin.buffer) if "-" in given else ()
    stdin = [os.fsdecode(line) for line in typed if line]
    return list(chain.from_iterable(stdin if path == "-" else [path] for path in given))


def shown(answers: Iterator[Answer], n_pictures: int) -> Iterator[Answer]:
    """Show the progress, unless the table itself does so on a terminal."""
    if sys.stdout.isatty():
        yield from answers
        return
    with progress_bar("Classifying Images", n_pictures) as bar:
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
    if arguments.sheet:
        check_drawing(Path(arguments.sheet))
    for page in filter(is_page, arguments.report):
        check_page(page)
    check_outputs(
        outputs, model=arguments.model, weights=arguments.weights, labels=arguments.labels
    )
    if arguments.cluster is not None:
        scheduler_address(arguments.cluster)  # before the network is loaded

    model, whole = read_classifier(arguments.model, arguments.weights)
    detector = None if arguments.no_unknown else UnknownDetector.of(model)
    names = [model.label_names_[label] for label in model.classes_]
    folders = arguments.sort and ClassFolders(arguments.sort, names, arguments.link)
    given = paths_given(arguments)
    images, skipped = list_images(given, Decoding.recorded(model.extraction_))
    refuse_overwriting(outputs, [model.extraction_.get("weights_file"), *images.paths])
    if skipped.kinds:
        logger.warning(f"passed over: {skipped}")
    labels = {}
    if arguments.labelled:
        labels = given_labels(images.paths, given, arguments.labels, arguments.labels_from)
    options = {key: getattr(arguments, key) for key in ("engine", "batch_size", "jobs")}
    network = recorded_network(model, arguments.model, arguments.weights, load, whole, **options)

    table = AnswerTable(names, images.paths, arguments.top, arguments.tsv)
    tally, started = Tally(names), time.perf_counter()
    evaluation = LabelledEvaluation(names, labels, TrainingImages(model), image_digest)
    answers = AnswersReport(names)
    with (
        open_extractor(network, arguments.cluster, arguments.jobs) as extractor,
        csv_rows(arguments.csv, names, arguments.all, detector is not None) as write_row,
    ):
        for answer in shown(classify(model, detector, images, extractor), len(images)):
            if answer.problem is not None:
                logger.error(answer.problem)
                answers.add_unreadable(answer.path, answer.problem)
                continue
            print(table.line(answer), flush=True)
            write_row(answer)
            tally.add(answer)
            answers.add(answer)
            if folders:
                name = UNKNOWN if answer.is_unknown else names[answer.predicted]
                folders.add(answer.path, name)
            if arguments.labelled:
                evaluation.add(answer)

    elapsed_s = time.perf_counter() - started
    logger.info(f"{tally.n_answers:,} of {len(images):,} pictures judged in {elapsed_s:.1f} s")
    for line in tally.summary():
        logger.info(line)
    if arguments.labelled:
        report_labelled(evaluation)
    if arguments.csv:
        logger.info(f"csv: {arguments.csv}")
    if arguments.sort:
        logger.info(f"sort: {arguments.sort}")
    if arguments.sheet and tally.n_answers:
        draw_least_sure(arguments.sheet, tally, names, image_reader(images.decoding))
        logger.info(f"sheet: {arguments.sheet}")
    for path in arguments.report:
        notes = evaluation.report() if arguments.labelled else []
        about = {"Classifier": arguments.model, "Network": network.description.network}
        answers.write(path, image_reader(images.decoding), about, notes, arguments.jobs)
        logger.info(f"report: {path}")
    if n_bad := len(images) - tally.n_answers:
        raise InputError(
            f"{n_bad:,} of {len(images):,} pictures cannot be read: replace them; "
            "the others have been judged"
        )


if __name__ == "__main__":
    raise SystemExit(main())
