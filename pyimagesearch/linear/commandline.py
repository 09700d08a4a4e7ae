"""The options of a command line for the search of a classifier."""

import argparse

from pyimagesearch.linear.gridsearch import C_GRID
from pyimagesearch.utils.arguments import MOST_JOBS, jobs, positive_number, small_share


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the search, and the number of cores."""
    group = parser.add_argument_group("search")
    group.add_argument(
        "--C",
        nargs="+",
        type=positive_number,
        default=C_GRID,
        metavar="VALUE",
        help="inverse strengths of the regularisation to choose from (default: the chapter's, "
        f"{' '.join(f'{C:g}' for C in C_GRID)})",
    )
    group.add_argument(
        "--unknown",
        type=small_share,
        metavar="SHARE",
        help="let classify_images.py answer ? for images unlike any training image; this share "
        "of the images of known classes, such as 0.05, is then called unknown too",
    )
    group.add_argument(
        "-j",
        "--jobs",
        type=jobs,
        default="-1",
        metavar="JOBS",
        help=f"cores to use, at most {MOST_JOBS}; -1 for all that this process may use "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--balanced",
        action="store_true",
        help="weight all classes equally, however many rows each has: scikit-learn's "
        "class_weight='balanced', with C chosen by balanced accuracy",
    )
    group.add_argument(
        "--calibrate",
        action="store_true",
        help="divide the scores by one number, the temperature, so that probabilities match "
        "the accuracy; predicted classes stay the same",
    )
