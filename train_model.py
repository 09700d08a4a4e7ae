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
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np

from pyimagesearch.io import FeaturesFile, creation_date, open_to_train
from pyimagesearch.linear import (
    C_GRID,
    Calibration,
    Evaluation,
    GridSearch,
    Suspects,
    UnknownEvaluation,
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
    notes,
    report_evaluation,
    report_search,
    require_enough_rows,
    save_classifier,
    search_table,
    share_notes,
    split_lines,
    stratified_folds,
    write_suspects,
)
from pyimagesearch.preprocessing import Decoding, load_image
from pyimagesearch.reporting import (
    SheetPicture,
    TrainedImages,
    check_drawing,
    check_page,
    draw_confusion_matrix,
    draw_mistakes,
    draw_suspects,
    is_page,
    write_json,
    write_training_page,
)
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import MOST_JOBS, jobs, positive_number, small_share, user_path
from pyimagesearch.utils.errors import errors_naming
from pyimagesearch.utils.filenames import recorded_path
from pyimagesearch.utils.groups import joined_groups
from pyimagesearch.utils.pathchecks import check_outputs, files_of, refuse_overwriting
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script
from pyimagesearch.utils.split import N_FOLDS
from pyimagesearch.utils.versions import installed_versions
from pyimagesearch.utils.wording import counted

OUTPUTS = ("model", "report", "plot", "mistakes", "suspects")
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
        "--test",
        type=user_path,
        metavar="FILE",
        help="HDF5 file of the same features, all rows of which test; all rows of --db train then",
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


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes
    ----------
    search : GridSearch
        What the search found; ``search.model`` is the classifier.
    evaluation : Evaluation
        Its judgement of the rows set aside.
    calibration : Calibration
        What dividing the scores by one temperature does to its probabilities.
    suspects : Suspects
        Rows of both parts whose label is probably wrong.
    notes : list of str
        What is to be known of the rows, a line each.
    seconds : dict of str to float
        Wall time of reading, of the search with the last fit, and of judging.
    unknown : UnknownEvaluation or None
        What tells unknown images, and how many of the rows set aside it does.
    """

    search: GridSearch
    evaluation: Evaluation
    calibration: Calibration
    suspects: Suspects
    notes: list[str]
    seconds: dict[str, float]
    unknown: UnknownEvaluation | None = None


def train(
    features: FeaturesFile,
    grid: Sequence[float] = C_GRID,
    jobs: int = 1,
    calibrate: bool = False,
    unknown_share: float | None = None,
    balanced: bool = False,
) -> Training:
    """Search C on the first 75 % of the rows, and judge the best on the rest.

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


def report_labels(training: Training, n_rows: int) -> None:
    """Log how many labels are probably wrong, and what a calibration does."""
    calibration, n_suspects = training.calibration, len(training.suspects)
    if n_suspects:
        logger.info(
            f"suspects: {counted(n_suspects, 'label')} of {n_rows:,} "
            f"{'is' if n_suspects == 1 else 'are'} probably wrong; look at them with --suspects"
        )
    if calibration.is_applied:
        logger.info(
            f"calibrated with temperature {calibration.temperature:.3g}: expected calibration "
            f"error {calibration.error_before:.4f} before, {calibration.error_after:.4f} after; "
            "the proof of the optimum is of the classifier before"
        )


def check_inputs_spared(outputs: Mapping[str, str | None], features: FeaturesFile) -> None:
    """Refuse to overwrite a picture, or the weights, that the features came from."""
    weights_file = features.record.weights_file
    weights_file = weights_file and recorded_path(weights_file)
    refuse_overwriting(outputs, chain([weights_file], features.record.image_paths))


def write_model(path: str, training: Training, features: FeaturesFile) -> None:
    """Save the classifier, with the names of its classes and how its features were made."""
    extraction, digests = features.record.for_classifier(), features.record.digests
    known = isinstance(digests, list) and len(digests) == features.shape[0]
    trained = digests[: features.n_train] if known else ()
    if training.unknown:
        training.unknown.detector.attach(training.search.model)
    save_classifier(path, training.search.model, features.label_names, extraction, trained)


def report_of(training: Training, features: FeaturesFile) -> dict[str, object]:
    """Return all that was found out as JSON has it."""
    search, evaluation = training.search, training.evaluation
    n_test, n_classes = len(evaluation.labels), len(features.label_names)
    rank_5 = {}
    if n_classes > 5:
        share = evaluation.rank_accuracy(5)
        rank_5 = {"rank5_accuracy": share, "rank5_interval": evaluation.interval(share)}
    return {
        "db": str(features.path),
        "rows": {"train": features.shape[0] - n_test, "test": n_test},
        "n_features": features.shape[1],
        "label_names": features.label_names,
        "search": [row._asdict() for row in search_table(search)],
        "best_params": {"C": search.best_C},
        "chosen_by": "balanced_accuracy" if search.balanced else "accuracy",
        "all_converged": all(fit.converged for fit in search.fits),
        "notes": [*training.notes, *notes(search)],
        "accuracy": evaluation.accuracy,
        "accuracy_interval": evaluation.interval(evaluation.accuracy),
        "balanced_accuracy": evaluation.balanced_accuracy,
        "baseline": evaluation.baseline,
        **rank_5,
        "calibration": asdict(training.calibration),
        "n_suspects": len(training.suspects),
        **({"unknown": training.unknown.report_dict()} if training.unknown else {}),
        **evaluation.report_dict(),
        "confusion_matrix": evaluation.confusion_matrix().tolist(),
        "seconds": training.seconds,
        "versions": installed_versions(PACKAGES),
    }


def write_page(
    path: str, report: dict[str, object], training: Training, features: FeaturesFile, **more: object
) -> None:
    """Write a report for people; for `more` see `write_training_page`."""
    n_rows, n_test = features.shape[0], len(training.evaluation.labels)
    paths = features.record.image_paths
    images = TrainedImages(
        paths if len(paths) == n_rows else [],
        features.labels,
        np.arange(n_rows - n_test, n_rows),
        loader(features),
    )
    write_training_page(
        path,
        report,
        features.record.to_json(),
        training.evaluation,
        images,
        suspects=training.suspects,
        **more,
    )


def draw_worst(path: str, evaluation: Evaluation, features: FeaturesFile) -> None:
    """Draw the test images that were classified worst, from where they were extracted."""
    n_train = features.shape[0] - len(evaluation.labels)
    worst = evaluation.worst_mistakes()
    columns = evaluation.labels, evaluation.predicted, evaluation.predicted_probability
    mistakes = sheet_pictures(features, n_train + worst, *(column[worst] for column in columns))
    draw_mistakes(
        mistakes, Path(path), load=loader(features), n_test_pictures=len(evaluation.labels)
    )


def write_or_draw_suspects(path: str, suspects: Suspects, features: FeaturesFile) -> None:
    """Write a table of the labels that are probably wrong, or draw their images."""
    if Path(path).suffix.lower() == ".csv":
        pairs = features.record.near_duplicates or ()
        near = {row: other for i, j, _ in pairs for row, other in ((i, j), (j, i))}
        n_train = features.n_train
        write_suspects(
            Path(path), suspects, features.label_names, n_train, features.record.image_paths, near
        )
        return
    columns = suspects.rows, suspects.given, suspects.suggested, suspects.suggested_probability
    pictures = sheet_pictures(features, *columns)
    draw_suspects(pictures, Path(path), load=loader(features), n_images=features.shape[0])


def sheet_pictures(features: FeaturesFile, *columns: np.ndarray) -> list[SheetPicture]:
    """Return what a sheet shows of some rows: row, own class, predicted class, probability."""
    names = features.label_names
    return [
        SheetPicture(
            features.record.image_paths[row], names[own], names[predicted], float(probability)
        )
        for row, own, predicted, probability in zip(*columns, strict=True)
    ]


def loader(features: FeaturesFile) -> Callable[[Path], np.ndarray]:
    """Return what reads an image of the features for people to look at."""
    decoding = Decoding.recorded(features.record.to_json()).to_show()
    return lambda picture: load_image(picture, size=None, decoding=decoding)


def check_pictures(option: str, features: FeaturesFile) -> None:
    """Refuse to draw images that are not there."""
    if len(features.record.image_paths) != features.shape[0]:
        raise InputError(
            f"'{features.path}' does not record its pictures: "
            f"leave out --{option}, or extract the features again"
        )
    if not any(os.access(path, os.R_OK) for path in features.record.image_paths):
        raise InputError(
            f"none of the pictures of '{features.path}' can be read in "
            f"'{features.record.dataset}': put them back, or leave out --{option}"
        )


@script
def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = build_parser().parse_args(argv)
    outputs = {option: getattr(arguments, option) for option in OUTPUTS}
    is_table = bool(arguments.suspects) and Path(arguments.suspects).suffix.lower() == ".csv"
    drawn = {"plot": arguments.plot, "mistakes": arguments.mistakes}
    drawn |= {} if is_table else {"suspects": arguments.suspects}
    for drawing in filter(None, drawn.values()):
        check_drawing(Path(drawing))
    for page in filter(is_page, arguments.report):
        check_page(page)
    check_outputs(outputs, db=arguments.db, test=arguments.test)
    command = shlex.join(["python", "train_model.py", *(argv or sys.argv[1:])])
    of_the_run = {"created": creation_date(), "command": command, "n_threads": arguments.jobs}
    of_the_run["db"] = arguments.db
    with open_to_train(arguments.db, arguments.test) as features:
        check_inputs_spared(outputs, features)
        for option in ("mistakes", "suspects"):
            if drawn.get(option):
                check_pictures(option, features)
        share, calibrate = arguments.unknown, arguments.calibrate
        options = arguments.C, arguments.jobs, calibrate, share, arguments.balanced
        training = train(features, *options)
        report_evaluation(training.evaluation, arguments.balanced)
        report_labels(training, features.shape[0])
        if training.unknown:
            logger.info(training.unknown.report())
        logger.info("saving model...")
        write_model(arguments.model, training, features)
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
            draw_worst(arguments.mistakes, training.evaluation, features)
        if arguments.suspects:
            write_or_draw_suspects(arguments.suspects, training.suspects, features)
    for option, path in files_of(outputs):
        logger.info(f"{option}: {path}")


if __name__ == "__main__":
    raise SystemExit(main())
