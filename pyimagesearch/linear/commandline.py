"""The options of a command line that say how a classifier is searched for."""

import argparse

from pyimagesearch.linear.gridsearch import C_GRID
from pyimagesearch.utils.arguments import MOST_JOBS, jobs, positive_number, small_share


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which classifier is found, and on how many cores."""
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
        help="let classify_images.py answer ? for images that are like none that trained; this "
        "share of the images of the classes, such as 0.05, is then called unknown too",
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
        help="let each class count alike, however many rows it has: class_weight='balanced' of "
        "scikit-learn, with C chosen by the balanced accuracy",
    )
    group.add_argument(
        "--calibrate",
        action="store_true",
        help="divide the scores by one number, the temperature, so that probabilities mean what "
        "they say; the classes that are predicted stay the same",
    )
