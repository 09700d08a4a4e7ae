"""What command lines have to do with labelled images: options are known by name here alone."""

import shlex
from pathlib import Path


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
