"""All results of a training, as JSON and as a page."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from pyimagesearch.io import FeaturesFile
from pyimagesearch.linear import Training, notes, search_table
from pyimagesearch.reporting import TrainedImages, is_page, write_json, write_training_page
from pyimagesearch.results.rowimages import RowImages
from pyimagesearch.utils.versions import installed_versions

PACKAGES = ("h5py", "numpy", "scikit-learn", "scipy")


def write_reports(
    paths: Sequence[str], training: Training, features: FeaturesFile, **of_the_run: object
) -> None:
    """Write all results, as a page where the file name asks for one, else as JSON.

    Parameters
    ----------
    paths : sequence of str
        The files.
    training, features : Training, FeaturesFile
        What was trained, and on what.
    **of_the_run
        What a page shows besides, see `write_training_page`.
    """
    report = report_of(training, features)
    for path in paths:
        if is_page(path):
            write_page(path, report, training, features, **of_the_run)
        else:
            write_json(path, report)


def report_of(training: Training, features: FeaturesFile) -> dict[str, object]:
    """Return all results in a form that JSON can hold."""
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
    rows = RowImages(features)
    test_rows = np.arange(n_rows - n_test, n_rows)
    images = TrainedImages(rows.paths, features.labels, test_rows, rows.load)
    write_training_page(
        path,
        report,
        features.record.to_json(),
        training.evaluation,
        images,
        suspects=training.suspects,
        **more,
    )
