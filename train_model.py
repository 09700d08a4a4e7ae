"""Train a linear classifier on a file of features, and judge it.

    python train_model.py --db animals/hdf5/features.hdf5 --model animals.cpickle

The first 75 % of the rows, which are shuffled already, choose C by a grid
search with 3 folds and fit the classifier at the best C; the rest judge it.
What is saved is a plain scikit-learn LogisticRegression.
"""

import sys
from pathlib import Path

if sys.flags.safe_path:  # python -I and -P leave the script's own folder out
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from pyimagesearch.utils.stopping import stop_at_once

if __name__ == "__main__":
    stop_at_once()  # on Ctrl-C, while the imports below take their second

import argparse
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pyimagesearch.io import FeaturesFile, open_features
from pyimagesearch.linear import (
    C_GRID,
    Evaluation,
    GridSearch,
    evaluate,
    feature_notes,
    format_table,
    grid_search,
    label_notes,
    notes,
    required_bytes,
    save_classifier,
    search_table,
    stratified_folds,
)
from pyimagesearch.preprocessing import Decoding, load_image
from pyimagesearch.reporting import (
    SheetPicture,
    check_drawing,
    draw_confusion_matrix,
    draw_mistakes,
)
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import MOST_JOBS, jobs, positive_number, user_path
from pyimagesearch.utils.errors import errors_naming
from pyimagesearch.utils.filenames import recorded_path
from pyimagesearch.utils.files import replacing
from pyimagesearch.utils.memory import available_bytes
from pyimagesearch.utils.pathchecks import check_outputs, refuse_overwriting
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script
from pyimagesearch.utils.split import N_FOLDS, n_train_rows
from pyimagesearch.utils.versions import installed_versions

OUTPUTS = ("model", "report", "plot", "mistakes")
PACKAGES = ("h5py", "numpy", "scikit-learn", "scipy")

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
        "-d",
        "--db",
        required=True,
        type=user_path,
        metavar="FILE",
        help="HDF5 file made by extract_features.py",
    )
    files.add_argument(
        "-m",
        "--model",
        required=True,
        type=user_path,
        metavar="FILE",
        help="classifier to write: FILE.skops is safe to load, all else is a pickle",
    )
    files.add_argument(
        "--report",
        type=user_path,
        metavar="FILE",
        help="write the search and the judgement as JSON",
    )
    files.add_argument(
        "--plot",
        type=user_path,
        metavar="FILE",
        help="draw the confusion matrix: .png, .svg or .pdf",
    )
    files.add_argument(
        "--mistakes",
        type=user_path,
        metavar="FILE",
        help="draw the test pictures that were judged worst: .png, .svg or .pdf",
    )
    search = parser.add_argument_group("search")
    search.add_argument(
        "--C",
        nargs="+",
        type=positive_number,
        default=C_GRID,
        metavar="VALUE",
        help="inverse strengths of the regularisation to choose from (default: the chapter's, "
        f"{' '.join(f'{C:g}' for C in C_GRID)})",
    )
    search.add_argument(
        "-j",
        "--jobs",
        type=jobs,
        default="-1",
        metavar="JOBS",
        help=f"cores to use, at most {MOST_JOBS}; -1 for all that this process may use "
        "(default: %(default)s)",
    )
    return parser


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes
    ----------
    search : GridSearch
        What the search found; ``search.model`` is the classifier.
    evaluation : Evaluation
        Its judgement of the rows set aside.
    notes : list of str
        What is to be known of the rows, a line each.
    seconds : dict of str to float
        Wall time of reading, of the search with the last fit, and of judging.
    """

    search: GridSearch
    evaluation: Evaluation
    notes: list[str]
    seconds: dict[str, float]


def train(features: FeaturesFile, grid: Sequence[float] = C_GRID, jobs: int = 1) -> Training:
    """Search C on the first 75 % of the rows, and judge the best on the rest.

    Parameters
    ----------
    features : FeaturesFile
        An open file of features.
    grid : sequence of float
        The C's to choose from.
    jobs : int
        How many cores to use.

    Returns
    -------
    Training

    Raises
    ------
    InputError
        If the rows or their classes are too few, or a feature is not finite.
    """
    n_rows, labels, names = features.shape[0], features.labels, features.label_names
    n_train = n_train_rows(n_rows)
    check_rows(features, n_train)
    for note in memory_notes(features, n_train, jobs):
        logger.info(f"note: {note}")

    started = time.perf_counter()
    X, y = features.mapped(0, n_train), labels[:n_train]
    with errors_naming(features.path):
        folds = stratified_folds(y, N_FOLDS, names)
        blocks = chain([(slice(n_train), X)], features.blocks(n_train, n_rows))
        row_notes = [*label_notes(labels, n_train, names, N_FOLDS), *feature_notes(blocks, n_rows)]
    for note in row_notes:
        logger.info(f"note: {note}")
    read = time.perf_counter()

    logger.info("tuning hyperparameters...")
    # The same as GridSearchCV(LogisticRegression(), {"C": grid}, cv=3), with proven minima.
    with (
        errors_naming(features.path),
        progress_bar("Training", len(set(grid)) * N_FOLDS + 1).start() as bar,
    ):
        search = grid_search(X, y, grid, folds, n_jobs=jobs, advance=bar.increment)
    del X  # what is judged is read in blocks, in its place
    searched = time.perf_counter()
    describe(search)

    logger.info("evaluating...")
    blocks = features.blocks(n_train, n_rows)
    with errors_naming(features.path):
        evaluation = evaluate(search.model, blocks, labels[n_train:], names)
    judged = time.perf_counter()
    seconds = {"read": read - started, "search": searched - read, "evaluate": judged - searched}
    return Training(search, evaluation, row_notes, seconds)


def describe(search: GridSearch) -> None:
    """Log which C is the best, and show the table that it was chosen from."""
    best = search.best_C
    logger.info(
        f"best hyperparameters: {{'C': {best}}}\n{format_table(search_table(search), best)}"
    )
    for note in notes(search):
        logger.info(f"note: {note}")


def report_evaluation(evaluation: Evaluation) -> None:
    """Log how well the classifier does on the rows that did not train it."""
    logger.info(f"classification report:\n{evaluation.report()}")
    if len(evaluation.label_names) > 5:
        logger.info(f"rank-5 accuracy {evaluation.rank_accuracy(5):.4f}")
    logger.info(
        f"accuracy {evaluation.accuracy:.4f}; "
        f"always choosing the largest class gives {evaluation.baseline:.4f}"
    )


def check_rows(features: FeaturesFile, n_train: int) -> None:
    """Refuse a file that has too little to train on and to judge with."""
    n_rows, names = features.shape[0], features.label_names
    if len(names) == 1:
        raise InputError(
            f"'{features.path}' holds one class ('{names[0]}'): a classifier needs at least two"
        )
    if n_train < 2 * N_FOLDS:
        raise InputError(
            f"'{features.path}' has {n_rows} rows, of which {n_train} would train: "
            f"expected at least {2 * N_FOLDS} for {N_FOLDS} folds; add pictures"
        )


def memory_notes(features: FeaturesFile, n_train: int, jobs: int) -> list[str]:
    """Warn of a search that may not fit in the memory there is: the estimate can be wrong."""
    there, n_features = available_bytes(), features.shape[1]
    needed = required_bytes(n_train, n_features, len(features.label_names), jobs)
    needed += 0 if features.is_mapped else 4 * n_train * n_features  # in single precision
    if there is None or needed <= there:
        return []
    return [
        f"the search needs some {needed / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are "
        "available: it will be slow or be killed; close other programs, or use a larger machine"
    ]


def check_inputs_spared(outputs: Mapping[str, str | None], features: FeaturesFile) -> None:
    """Refuse to overwrite a picture, or the weights, that the features came from."""
    weights_file = features.record.weights_file
    weights_file = weights_file and recorded_path(weights_file)
    refuse_overwriting(outputs, chain([weights_file], features.record.image_paths))


def write_model(path: str, training: Training, features: FeaturesFile) -> None:
    """Save the classifier, with the names of its classes and how its features were made."""
    extraction, digests = features.record.for_classifier(), features.record.digests
    known = isinstance(digests, list) and len(digests) == features.shape[0]
    trained = digests[: n_train_rows(len(digests))] if known else ()
    save_classifier(path, training.search.model, features.label_names, extraction, trained)


def write_report(path: str, training: Training, features: FeaturesFile) -> None:
    """Write all that was found out as JSON."""
    search, evaluation = training.search, training.evaluation
    n_test, n_classes = len(evaluation.labels), len(features.label_names)
    report = {
        "db": str(features.path),
        "rows": {"train": features.shape[0] - n_test, "test": n_test},
        "n_features": features.shape[1],
        "label_names": features.label_names,
        "search": [row._asdict() for row in search_table(search)],
        "best_params": {"C": search.best_C},
        "all_converged": all(fit.converged for fit in search.fits),
        "notes": [*training.notes, *notes(search)],
        "accuracy": evaluation.accuracy,
        "baseline": evaluation.baseline,
        **({"rank5_accuracy": evaluation.rank_accuracy(5)} if n_classes > 5 else {}),
        **evaluation.report_dict(),
        "confusion_matrix": evaluation.confusion_matrix().tolist(),
        "seconds": training.seconds,
        "versions": installed_versions(PACKAGES),
    }
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    with replacing(path) as temporary:
        # A byte of a path that is not UTF-8 becomes JSON's own escape, \udc80 to \udcff.
        temporary.write_text(text, "utf-8", errors="backslashreplace")


def draw_worst(path: str, evaluation: Evaluation, features: FeaturesFile) -> None:
    """Draw the pictures that were judged worst, from where they were extracted."""
    names, n_train = features.label_names, features.shape[0] - len(evaluation.labels)
    decoding = Decoding.recorded(features.record.to_json()).to_show()
    mistakes = [
        SheetPicture(
            image=features.record.image_paths[n_train + i],
            name=names[evaluation.labels[i]],
            predicted_name=names[evaluation.predicted[i]],
            probability=float(evaluation.predicted_probability[i]),
        )
        for i in evaluation.worst_mistakes()
    ]
    draw_mistakes(
        mistakes,
        Path(path),
        load=lambda picture: load_image(picture, size=None, decoding=decoding),
        n_test_pictures=len(evaluation.labels),
    )


def check_pictures(features: FeaturesFile) -> None:
    """Refuse to draw mistakes of which there are no pictures."""
    if len(features.record.image_paths) != features.shape[0]:
        raise InputError(
            f"'{features.path}' does not record its pictures: "
            "leave out --mistakes, or extract the features again"
        )
    if not any(os.access(path, os.R_OK) for path in features.record.image_paths):
        raise InputError(
            f"none of the pictures of '{features.path}' can be read in "
            f"'{features.record.dataset}': put them back, or leave out --mistakes"
        )


@script
def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = build_parser().parse_args(argv)
    outputs = {option: getattr(arguments, option) for option in OUTPUTS}
    for drawing in filter(None, [arguments.plot, arguments.mistakes]):
        check_drawing(Path(drawing))
    check_outputs(outputs, db=arguments.db)
    with open_features(arguments.db) as features:
        check_inputs_spared(outputs, features)
        if arguments.mistakes:
            check_pictures(features)
        training = train(features, arguments.C, arguments.jobs)
        report_evaluation(training.evaluation)
        logger.info("saving model...")
        write_model(arguments.model, training, features)
        if arguments.report:
            write_report(arguments.report, training, features)
        if arguments.plot:
            matrix = training.evaluation.confusion_matrix()
            draw_confusion_matrix(matrix, features.label_names, Path(arguments.plot))
        if arguments.mistakes:
            draw_worst(arguments.mistakes, training.evaluation, features)
    for option, path in outputs.items():
        if path:
            logger.info(f"{option}: {path}")


if __name__ == "__main__":
    raise SystemExit(main())
