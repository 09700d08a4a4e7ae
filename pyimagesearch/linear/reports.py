"""Log what a search and an evaluation have found."""

import logging

from pyimagesearch.linear.evaluation import Evaluation
from pyimagesearch.linear.gridsearch import GridSearch
from pyimagesearch.linear.table import format_table, notes, search_table

logger = logging.getLogger(__name__)


def report_search(search: GridSearch) -> None:
    """Log which C is the best, and the table that it was chosen from."""
    best = search.best_C
    table = format_table(search_table(search), best, search.balanced)
    logger.info(f"best hyperparameters: {{'C': {best}}}\n{table}")
    for note in notes(search):
        logger.info(f"note: {note}")


def report_evaluation(evaluation: Evaluation, balanced: bool = False) -> None:
    """Log how well a classifier, balanced or not, does on the rows that did not train it."""
    logger.info(f"classification report:\n{evaluation.report()}")
    if len(evaluation.label_names) > 5:
        logger.info(f"rank-5 accuracy {evaluation.with_interval(evaluation.rank_accuracy(5))}")
    logger.info(
        f"accuracy {evaluation.with_interval(evaluation.accuracy)}; "
        f"always choosing the largest class gives {evaluation.baseline:.4f}"
    )
    if balanced:
        logger.info(
            f"balanced accuracy {evaluation.balanced_accuracy:.4f}, the mean of the classes' own"
        )
