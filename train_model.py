"""Train a linear classifier on a file of features, and judge it.

    python train_model.py --db animals/hdf5/features.hdf5 --model animals.cpickle

The first 75 % of the rows, which are shuffled already, choose C by a grid
search with 3 folds and fit the classifier at the best C; the rest judge it.
Where the file records a split or groups of rows, these are kept.
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
import logging
import shlex
import time
from collections.abc import Sequence
from itertools import chain

import numpy as np

from pyimagesearch.io import FeaturesFile, creation_date, open_to_train
from pyimagesearch.linear import (
    C_GRID,
    Calibration,
    Training,
    apply_temperature,
    evaluate,
    evaluate_unknown,
    feature_notes,
    find_suspects,
    fit_temperature,
    fit_unknown_detector,
    grid_search,
    label_notes,
    memory_notes,
    report_search,
    report_training,
    require_enough_rows,
    share_notes,
    split_lines,
    stratified_folds,
)
from pyimagesearch.nn import is_whole
from pyimagesearch.reporting import (
    check_drawing,
    check_page,
    draw_confusion_matrix,
    is_page,
    write_json,
)
from pyimagesearch.results import (
    RowImages,
    network_of,
    report_of,
    warn_of_near_duplicates,
    write_model,
    write_page,
    write_whole_models,
)
from pyimagesearch.utils.arguments import MOST_JOBS, jobs, positive_number, small_share, user_path
from pyimagesearch.utils.errors import errors_naming
from pyimagesearch.utils.filenames import recorded_path
from pyimagesearch.utils.groups import joined_groups
from pyimagesearch.utils.pathchecks import Files, check_outputs, files_of, refuse_overwriting
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script
from pyimagesearch.utils.split import N_FOLDS

OUTPUTS = ("model", "report", "plot", "mistakes", "suspects")

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
        "--test",
        type=user_path,
        metavar="FILE",
        help="HDF5 file of the same features, all rows of which test; all rows of --db train then",
    )
    files.add_argument(
        "-m",
        "--model",
        required=True,
        action="append",
        type=user_path,
        metavar="FILE",
        help="classifier to write, and more than one if it is repeated: FILE.keras is a whole "
        "model that Keras loads, network and classifier in one, FILE.tflite one for phones, "
        "FILE.skops is safe to load, all else is a pickle",
    )
    files.add_argument(
        "-w",
        "--weights",
        type=user_path,
        metavar="FILE",
        help="for a whole model: where the file of weights is now, if it has moved",
    )
    files.add_argument(
        "--report",
        type=user_path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the search and the evaluation, .html as a page to look at, all else as JSON; "
        "may be repeated",
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
    files.add_argument(
        "--suspects",
        type=user_path,
        metavar="FILE",
        help="list the images whose label is probably wrong, the most suspicious first: .csv, or "
        "draw them: .png, .svg or .pdf",
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
        "--unknown",
        type=small_share,
        metavar="SHARE",
        help="let classify_images.py answer ? for images that are like none that trained; this "
        "share of the images of the classes, such as 0.05, is then called unknown too",
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
    search.add_argument(
        "--balanced",
        action="store_true",
        help="let each class count alike, however many rows it has: class_weight='balanced' of "
        "scikit-learn, with C chosen by the balanced accuracy",
    )
    search.add_argument(
        "--calibrate",
        action="store_true",
        help="divide the scores by one number, the temperature, so that probabilities mean what "
        "they say; the classes that are predicted stay the same",
    )
    return parser


def train(
    features: FeaturesFile,
    grid: Sequence[float] = C_GRID,
    jobs: int = 1,
    calibrate: bool = False,
    unknown_share: float | None = None,
    balanced: bool = False,
) -> Training:
    """Search C on the rows that train, and evaluate the best on those that test.

    Which rows train is recorded in the file: the first 75 %, a given split or, of two files,
    all of one.

    Parameters
    ----------
    features : FeaturesFile
        An open file of features.
    grid : sequence of float
        The C's to choose from.
    jobs : int
        How many cores to use.
    balanced : bool
        Let each class count alike.
    calibrate : bool
        Divide the classifier by the temperature of its held-out scores.
    unknown_share : float or None
        How many images of the classes may be called unknown; None to call none.

    Returns
    -------
    Training

    Raises
    ------
    InputError
        If the rows or their classes are too few, or a feature is not finite.
    """
    n_rows, labels, names = features.shape[0], features.labels, features.label_names
    n_train = features.n_train
    require_enough_rows(features.path, n_rows, n_train, names, N_FOLDS)
    is_recorded = features.record.n_train is not None
    for line in split_lines(n_rows, n_train, is_recorded, features.groups):
        logger.info(line)
    for note in memory_notes((n_train, features.shape[1]), len(names), jobs, features.is_mapped):
        logger.info(f"note: {note}")

    started = time.perf_counter()
    X, y = features.mapped(0, n_train), labels[:n_train]
    with errors_naming(features.path):
        groups = joined_groups(n_rows, features.groups)[:n_train]
        folds = stratified_folds(y, N_FOLDS, names, groups)
        blocks = chain([(slice(n_train), X)], features.blocks(n_train, n_rows))
        row_notes = [*label_notes(labels, n_train, names, N_FOLDS), *feature_notes(blocks, n_rows)]
    row_notes += share_notes(unknown_share, n_train) if unknown_share else []
    for note in row_notes:
        logger.info(f"note: {note}")
    read = time.perf_counter()

    logger.info("tuning hyperparameters...")
    # The same as GridSearchCV(LogisticRegression(), {"C": grid}, cv=3), with proven minima.
    with (
        errors_naming(features.path),
        progress_bar("Training", len(set(grid)) * N_FOLDS + 1).start() as bar,
    ):
        search = grid_search(
            X, y, grid, folds, n_jobs=jobs, advance=bar.increment, balanced=balanced
        )
    searched = time.perf_counter()
    report_search(search)
    detector = unknown_share and fit_unknown_detector(X, y, unknown_share, groups)
    del X  # what is judged is read in blocks, in its place
    held_out = np.full((n_train, len(names)), -np.inf)
    held_out[:, search.model.classes_] = search.held_out_scores
    temperature = fit_temperature(held_out, y)
    if calibrate:
        apply_temperature(search.model, temperature)

    logger.info("evaluating...")
    blocks = features.blocks(n_train, n_rows)
    with errors_naming(features.path):
        evaluation = evaluate(search.model, blocks, labels[n_train:], names)
        with np.errstate(divide="ignore"):
            scores = np.log(evaluation.probabilities) * (temperature if calibrate else 1.0)
    calibration = Calibration.measured(temperature, scores, evaluation.labels, calibrate)
    suspects = find_suspects(labels, np.concatenate([held_out, scores]), temperature)
    right, blocks = evaluation.predicted == evaluation.labels, features.blocks(n_train, n_rows)
    unknown = detector and evaluate_unknown(detector, blocks, right)
    judged = time.perf_counter()
    seconds = {"read": read - started, "search": searched - read, "evaluate": judged - searched}
    return Training(search, evaluation, calibration, suspects, row_notes, seconds, unknown)


def check_inputs_spared(outputs: Files, weights: str | None, features: FeaturesFile) -> None:
    """Refuse to overwrite a picture, or the weights, that the features came from."""
    weights_file = features.record.weights_file
    weights_file = weights_file and recorded_path(weights_file)
    refuse_overwriting(outputs, chain([weights_file, weights], features.record.image_paths))


@script
def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    whole = [path for path in arguments.model if is_whole(path)]
    if arguments.weights and not whole:
        parser.error("--weights is for a whole model: give --model FILE.keras or FILE.tflite")
    outputs = {option: getattr(arguments, option) for option in OUTPUTS}
    is_table = bool(arguments.suspects) and Path(arguments.suspects).suffix.lower() == ".csv"
    drawn = {"plot": arguments.plot, "mistakes": arguments.mistakes}
    drawn |= {} if is_table else {"suspects": arguments.suspects}
    for drawing in filter(None, drawn.values()):
        check_drawing(Path(drawing))
    for page in filter(is_page, arguments.report):
        check_page(page)
    check_outputs(outputs, db=arguments.db, test=arguments.test, weights=arguments.weights)
    command = shlex.join(["python", "train_model.py", *(argv or sys.argv[1:])])
    of_the_run = {"created": creation_date(), "command": command, "n_threads": arguments.jobs}
    of_the_run["db"] = arguments.db
    with open_to_train(arguments.db, arguments.test) as features:
        warn_of_near_duplicates(features)
        check_inputs_spared(outputs, arguments.weights, features)
        network = network_of(features, whole, arguments.weights) if whole else None
        images = RowImages(features)
        for option in ("mistakes", "suspects"):
            if drawn.get(option):
                images.require(option)
        share, calibrate = arguments.unknown, arguments.calibrate
        options = arguments.C, arguments.jobs, calibrate, share, arguments.balanced
        training = train(features, *options)
        report_training(training, features.shape[0])
        if len(training.suspects) and not arguments.suspects:
            logger.info("list the labels that are probably wrong with --suspects FILE.csv")
        logger.info("saving model...")
        for path in arguments.model:
            if path not in whole:
                write_model(path, training, features)
        if whole:
            write_whole_models(whole, training, features, network, arguments.jobs)
        report = report_of(training, features)
        for path in arguments.report:
            if is_page(path):
                write_page(path, report, training, features, **of_the_run)
            else:
                write_json(path, report)
        if arguments.plot:
            matrix = training.evaluation.confusion_matrix()
            draw_confusion_matrix(matrix, features.label_names, Path(arguments.plot))
        if arguments.mistakes:
            images.draw_mistakes(arguments.mistakes, training.evaluation)
        if arguments.suspects:
            images.write_or_draw_suspects(arguments.suspects, training.suspects)
    for option, path in files_of(outputs):
        logger.info(f"{option}: {path}")


if __name__ == "__main__":
    raise SystemExit(main())
