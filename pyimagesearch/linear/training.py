"""A finished training: what it found, and what is logged about it."""

import logging
from dataclasses import dataclass

from pyimagesearch.linear.calibration import Calibration
from pyimagesearch.linear.evaluation import Evaluation
from pyimagesearch.linear.gridsearch import GridSearch
from pyimagesearch.linear.reports import report_evaluation
from pyimagesearch.linear.suspects import Suspects
from pyimagesearch.linear.unknown import UnknownEvaluation
from pyimagesearch.utils.wording import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes
    ----------
    search : GridSearch
        What the search found; ``search.model`` is the classifier.
    evaluation : Evaluation
        Its evaluation on the held-out rows.
    calibration : Calibration
        What dividing the scores by one temperature does to its probabilities.
    suspects : Suspects
        Rows of both parts whose label is probably wrong.
    notes : list of str
        Notes on the rows, a line each.
    seconds : dict of str to float
        Wall time of reading, of the search with the last fit, and of the evaluation.
    unknown : UnknownEvaluation or None
        What recognises unknown images, and how many of the held-out rows it calls so.
    """

    search: GridSearch
    evaluation: Evaluation
    calibration: Calibration
    suspects: Suspects
    notes: list[str]
    seconds: dict[str, float]
    unknown: UnknownEvaluation | None = None


def report_training(training: Training, n_rows: int) -> None:
    """Log how well the classifier does, and how many labels are probably wrong."""
    report_evaluation(training.evaluation, training.search.balanced)
    calibration, n_suspects = training.calibration, len(training.suspects)
    if n_suspects:
        logger.info(
            f"suspects: {counted(n_suspects, 'label')} of {n_rows:,} "
            f"{'is' if n_suspects == 1 else 'are'} probably wrong"
        )
    if calibration.is_applied:
        logger.info(
            f"calibrated with temperature {calibration.temperature:.3g}: expected calibration "
            f"error {calibration.error_before:.4f} before, {calibration.error_after:.4f} after; "
            "the optimum is proven for the classifier before"
        )
    if training.unknown:
        logger.info(training.unknown.report())
