"""The options of a command line that choose labelled images, and commands to suggest."""

import argparse
import shlex
from pathlib import Path

from pyimagesearch.preprocessing.labelling import SOURCES
from pyimagesearch.utils.arguments import seed, user_path


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the images, their labels and their order."""
    group = parser.add_argument_group("images")
    group.add_argument(
        "-d",
        "--dataset",
        type=user_path,
        metavar="DIR",
        help="folder of images, one folder per class: DIR/cats/1.jpg, DIR/dogs/2.jpg",
    )
    labels = group.add_mutually_exclusive_group()
    labels.add_argument(
        "--labels",
        type=user_path,
        metavar="FILE",
        help="table with the label of each image, in any folder: a CSV with the columns path and "
        "label, and optionally split (train, test) and group (kept on one side of the split)",
    )
    labels.add_argument(
        "--labels-from",
        choices=SOURCES,
        default="folder",
        help="where the class of an image is from: its folder, or the beginning of its name as in "
        "dog.123.jpg (default: %(default)s)",
    )
    group.add_argument(
        "--skip-bad",
        action="store_true",
        help="skip images that cannot be read, and lines of a table without an image, instead of "
        "stopping before the work starts",
    )
    group.add_argument(
        "--seed",
        type=seed,
        default=42,
        metavar="N",
        help="seed of the shuffle: the same folder and seed give the same order of rows "
        "(default: %(default)s)",
    )


def separate_extractions(train: Path, test: Path) -> str:
    """Return the commands that keep the parts of a split apart, the one to train with first.

    Examples
    --------
    >>> for part in separate_extractions(Path("pets/train"), Path("pets/val")).split(" and "):
    ...     print(part)
    'python extract_features.py --dataset pets/train --output train.hdf5'
    'python extract_features.py --dataset pets/val --output test.hdf5',
    give both to train_model.py, --db train.hdf5 --test test.hdf5
    """
    first, second = (
        f"'python extract_features.py --dataset {shlex.quote(str(part))} --output {name}.hdf5'"
        for part, name in ((train, "train"), (test, "test"))
    )
    training = "give both to train_model.py, --db train.hdf5 --test test.hdf5"
    return f"{first} and {second}, and {training}"
