"""Train a linear classifier on a file of features, and evaluate it.

    python train_model.py --db animals/hdf5/features.hdf5 --model animals.cpickle

The first 75 % of the rows, which are shuffled already, choose C by a grid
search with 3 folds and fit the classifier at the best C; the rest test it.
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
    find_suspects,
    fit_temperature,
    fit_unknown_detector,
    grid_search,
    report_search,
    report_training,
)
from pyimagesearch.linear.commandline import add_search_options
from pyimagesearch.nn import is_whole
from pyimagesearch.reporting import draw_confusion_matrix
from pyimagesearch.results import (
    RowImages,
    check_result_files,
    check_rows,
    network_of,
    write_models,
    write_reports,
)
from pyimagesearch.results.commandline import add_training_result_options
from pyimagesearch.utils.arguments import script_parser, user_path
from pyimagesearch.utils.errors import errors_naming
from pyimagesearch.utils.filenames import recorded_path
from pyimagesearch.utils.pathchecks import Files, files_of, refuse_overwriting
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script

OUTPUTS = ("model", "report", "plot", "mistakes", "suspects")

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = script_parser(__doc__)
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
        help="HDF5 file of the same features to test on; all rows of --db train then",
    )
    files.add_argument(
        "-m",
        "--model",
        required=True,
        action="append",
        type=user_path,
        metavar="FILE",
        help="classifier to write; may be repeated: FILE.keras is a whole "
        "model that Keras loads, network and classifier in one, FILE.tflite one for phones, "
        "FILE.skops is safe to load, anything else a pickle",
    )
    files.add_argument(
        "-w",
        "--weights",
        type=user_path,
        metavar="FILE",
        help="for a whole model: where the file of weights is now, if it has moved",
    )
    add_training_result_options(parser)
    add_search_options(parser)
    return parser


def read_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line, or end with a usage error."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.weights and not any(map(is_whole, arguments.model)):
        parser.error("--weights is for a whole model: give --model FILE.keras or FILE.tflite")
    return arguments


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
        Give each class the same weight.
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
    started = time.perf_counter()
    rows = check_rows(features, jobs, unknown_share)
    read = time.perf_counter()

    logger.info("tuning hyperparameters...")
    # The same as GridSearchCV(LogisticRegression(), {"C": grid}, cv=3), with proven minima.
    with (
        errors_naming(features.path),
        progress_bar("Training", len(set(grid)) * len(rows.folds) + 1).start() as bar,
    ):
        search = grid_search(
            rows.X, rows.y, grid, rows.folds, jobs, advance=bar.increment, balanced=balanced
        )
    searched = time.perf_counter()
    report_search(search)
    detector = None
    if unknown_share is not None:
        detector = fit_unknown_detector(rows.X, rows.y, unknown_share, rows.groups)
    held_out = search.held_out_scores_of(len(features.label_names))
    temperature = fit_temperature(held_out, rows.y)
    if calibrate:
        apply_temperature(search.model, temperature)
    notes = rows.notes
    del rows  # the rows to evaluate are read in blocks

    logger.info("evaluating...")
    n_rows, n_train = features.shape[0], features.n_train
    with errors_naming(features.path):
        evaluation = evaluate(
            search.model,
            features.blocks(n_train, n_rows),
            features.labels[n_train:],
            features.label_names,
        )
    scores = evaluation.scores(temperature if calibrate else 1.0)
    calibration = Calibration.measured(temperature, scores, evaluation.labels, calibrate)
    suspects = find_suspects(features.labels, np.concatenate([held_out, scores]), temperature)
    unknown = None
    if detector:
        blocks, is_right = features.blocks(n_train, n_rows), evaluation.is_right
        unknown = evaluate_unknown(detector, blocks, is_right)
    evaluated = time.perf_counter()
    seconds = {"read": read - started, "search": searched - read, "evaluate": evaluated - searched}
    return Training(search, evaluation, calibration, suspects, notes, seconds, unknown)


def refuse_overwriting_inputs(outputs: Files, weights: str | None, features: FeaturesFile) -> None:
    """Refuse to overwrite an image, or the weights, that the features came from."""
    weights_file = features.record.weights_file
    weights_file = weights_file and recorded_path(weights_file)
    refuse_overwriting(outputs, chain([weights_file, weights], features.record.image_paths))


@script
def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = read_arguments(argv)
    outputs = {option: getattr(arguments, option) for option in OUTPUTS}
    check_result_files(outputs, db=arguments.db, test=arguments.test, weights=arguments.weights)
    created, command = creation_date(), ["python", "train_model.py", *(argv or sys.argv[1:])]

    with open_to_train(arguments.db, arguments.test) as features:
        refuse_overwriting_inputs(outputs, arguments.weights, features)
        network = network_of(features, arguments.model, arguments.weights, arguments.jobs)
        images = RowImages(features)
        images.require_for(outputs)
        training = train(
            features,
            grid=arguments.C,
            jobs=arguments.jobs,
            calibrate=arguments.calibrate,
            unknown_share=arguments.unknown,
            balanced=arguments.balanced,
        )
        report_training(training, features.shape[0])
        if training.suspects and not arguments.suspects:
            logger.info("list the labels that are probably wrong with --suspects FILE.csv")

        logger.info("saving model...")
        write_models(arguments.model, training, features, network, arguments.jobs)
        write_reports(
            arguments.report,
            training,
            features,
            created=created,
            command=shlex.join(command),
            n_threads=arguments.jobs,
            db=arguments.db,
        )
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
