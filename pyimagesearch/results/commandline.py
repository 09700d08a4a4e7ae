"""The options of a command line that ask for results: of a training, and of answers to images."""

import argparse

from pyimagesearch.preprocessing import SOURCES
from pyimagesearch.utils.arguments import positive_int, user_path


def add_training_result_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that ask for files with the results of a training."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "--report",
        type=user_path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the search and the evaluation, .html as a page, anything else as JSON; "
        "may be repeated",
    )
    group.add_argument(
        "--plot",
        type=user_path,
        metavar="FILE",
        help="draw the confusion matrix: .png, .svg or .pdf",
    )
    group.add_argument(
        "--mistakes",
        type=user_path,
        metavar="FILE",
        help="draw the worst mistakes among the test images: .png, .svg or .pdf",
    )
    group.add_argument(
        "--suspects",
        type=user_path,
        metavar="FILE",
        help="list the images whose label is probably wrong, the most suspicious first: .csv, or "
        "draw them: .png, .svg or .pdf",
    )


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for printing and writing answers."""
    group = parser.add_argument_group("answers")
    group.add_argument(
        "--top",
        type=positive_int,
        default=1,
        metavar="K",
        help="print the K most probable classes per image (default: %(default)s)",
    )
    group.add_argument(
        "--tsv",
        action="store_true",
        help="separate the columns of the table by tabs; all else goes to stderr",
    )
    group.add_argument(
        "--csv",
        type=user_path,
        metavar="FILE",
        help="write path, class and probability of each image",
    )
    group.add_argument(
        "--all", action="store_true", help="add a column of probabilities per class to --csv"
    )
    group.add_argument(
        "--sheet",
        type=user_path,
        metavar="FILE",
        help="draw the images that the classifier is least sure of: .png, .svg or .pdf",
    )
    group.add_argument(
        "--report",
        type=user_path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the answers by class, the least sure first: .html as a page, "
        "anything else as JSON; may be repeated",
    )
    group.add_argument(
        "--labelled",
        action="store_true",
        help="the folder of each image names its class: print a classification report",
    )
    labels = group.add_mutually_exclusive_group()
    labels.add_argument(
        "--labels",
        type=user_path,
        metavar="FILE",
        help="--labelled, with the labels of a table: a CSV file with the columns path and label",
    )
    labels.add_argument(
        "--labels-from",
        choices=SOURCES,
        help="--labelled, by the folders, or by the start of each file's name as in dog.123.jpg",
    )
    group.add_argument(
        "--sort",
        type=user_path,
        metavar="DIR",
        help="copy each image into DIR/<class>/; nothing is moved or overwritten",
    )
    group.add_argument("--link", action="store_true", help="with --sort, link instead of copying")
    group.add_argument(
        "--no-unknown",
        action="store_true",
        help="predict a class for every image, even with a classifier that recognises unknown ones",
    )
