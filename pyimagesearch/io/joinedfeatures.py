"""A file to train on and a file to test on, joined as one."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pyimagesearch.io.features import FeaturesFile, open_features
from pyimagesearch.io.runrecord import RunRecord, differences
from pyimagesearch.utils import InputError
from pyimagesearch.utils.names import label_finder
from pyimagesearch.utils.wording import counted, listed

# What must be the same, as far as both files record it: else the features are not comparable.
SAME = (
    *("network", "layer", "pooling", "size", "preprocessing", "feature_shape", "weights"),
    "decoding",
)

logger = logging.getLogger(__name__)


class JoinedFeatures:
    """All rows of one file followed by all rows of another, as one `FeaturesFile`.

    Parameters
    ----------
    train, test : FeaturesFile
        Open files of the same features. Classes are matched by name: the labels are those of
        `train`; classes that only `test` has are numbered after them.

    Raises
    ------
    InputError
        If their features were made with different settings.
    """

    def __init__(self, train: FeaturesFile, test: FeaturesFile):
        self._train, self._test = train, test
        self.path = Path(f"{train.path} + {test.path}")
        self.train_path, self.test_path = train.path, test.path
        self.n_train = train.shape[0]
        _require_same(train, test)
        self.shape = (train.shape[0] + test.shape[0], train.shape[1])
        find = label_finder(train.label_names)
        self.label_names = list(train.label_names)
        self.label_names += [name for name in test.label_names if find(name) is None]
        find = label_finder(self.label_names)
        numbers = np.array([find(name) for name in test.label_names])
        self.labels = np.concatenate([train.labels, numbers[test.labels]])
        self.record = _joined_record(train, test)

    @property
    def groups(self) -> list[list[int]]:
        """Training rows to keep together."""
        return self._train.groups

    @property
    def is_mapped(self) -> bool:
        """Whether the training rows are memory-mapped."""
        return self._train.is_mapped

    def mapped(self, start: int, stop: int) -> np.ndarray:
        """Return training rows, as `FeaturesFile.mapped` does."""
        if stop > self.n_train:
            raise ValueError(f"row {stop} is not among the {self.n_train} that train")
        return self._train.mapped(start, stop)

    def blocks(self, start: int, stop: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the rows from `start` to `stop` in blocks, as `FeaturesFile.blocks` does."""
        n_train = self.n_train
        yield from self._train.blocks(min(start, n_train), min(stop, n_train))
        for rows, block in self._test.blocks(max(start, n_train) - n_train, stop - n_train):
            yield slice(rows.start + n_train, rows.stop + n_train), block

    def warnings(self) -> list[str]:
        """Return what makes the accuracy less meaningful, a line each."""
        train, test = self._train, self._test
        lines = []
        for here, there in ((train, test), (test, train)):
            find = label_finder(_present(there))
            if missing := [name for name in _present(here) if find(name) is None]:
                classes = counted(len(missing), "class", "classes")
                lines.append(f"only '{here.path}' has {classes}: {listed(missing)}")
        known = set(filter(None, _per_row(train.record.digests, train)))
        n_known = sum(digest in known for digest in _per_row(test.record.digests, test))
        if n_known:
            lines.append(
                f"{n_known:,} of {counted(test.shape[0], 'image')} of '{test.path}' "
                f"{'is' if n_known == 1 else 'are'} also in '{train.path}', byte for byte: the "
                "accuracy will be too high; remove them from one of the two"
            )
        return lines


@contextlib.contextmanager
def open_to_train(
    db: str | os.PathLike[str], test: str | os.PathLike[str] | None = None
) -> Iterator[FeaturesFile | JoinedFeatures]:
    """Open a file of features, and optionally another one to test on; log how they fit.

    Parameters
    ----------
    db : str or Path
        The file; without another one its last rows are for testing.
    test : str, Path or None
        A file to test on; all rows of the first are then for training.

    Yields
    ------
    FeaturesFile or JoinedFeatures
        Valid until the context is left.

    Raises
    ------
    InputError
        As `open_features` does, or if the two do not fit.
    """
    with contextlib.ExitStack() as stack:
        features = stack.enter_context(open_features(db))
        if test is not None:
            features = JoinedFeatures(features, stack.enter_context(open_features(test)))
            n_test = features.shape[0] - features.n_train
            logger.info(
                f"split: train on all {features.n_train:,} rows of '{db}', "
                f"test on all {n_test:,} of '{test}'"
            )
            for line in features.warnings():
                logger.warning(line)
        yield features


def _require_same(train: FeaturesFile, test: FeaturesFile) -> None:
    if train.shape[1] != test.shape[1]:
        raise InputError(
            f"'{train.path}' has {train.shape[1]:,} features per row, but '{test.path}' has "
            f"{test.shape[1]:,}: expected features of the same network; extract one of them again"
        )
    one, other = _description(train.record), _description(test.record)
    shared = one.keys() & other.keys()
    found = differences(*({k: made[k] for k in SAME if k in shared} for made in (one, other)))
    if found:
        phrases = (
            ", ".join(found).replace(" recorded, ", " to train, ").replace(" now)", " to test)")
        )
        raise InputError(
            f"the features of '{train.path}' and '{test.path}' differ in {phrases}: expected the "
            "same; extract one of them again"
        )


def _description(record: RunRecord) -> Mapping[str, object]:
    return {key: value for key, value in record.to_json().items() if key in SAME}


def _joined_record(train: FeaturesFile, test: FeaturesFile) -> RunRecord:
    """Return the record of the training rows, with the images of both files."""
    images = [train.record.image_paths, test.record.image_paths]
    are_known = len(images[0]) == train.shape[0] and len(images[1]) == test.shape[0]
    n_train = train.shape[0]
    moved = [[i + n_train, j + n_train, m] for i, j, m in test.record.near_duplicates or ()]
    near = [*(train.record.near_duplicates or ()), *moved]
    return replace(
        train.record,
        n_train=None,
        # Absolute, since they are in two folders.
        paths=[str(path.absolute()) for path in images[0] + images[1]] if are_known else None,
        digests=_per_row(train.record.digests, train) + _per_row(test.record.digests, test),
        fingerprints=[
            *_per_row(train.record.fingerprints, train),
            *_per_row(test.record.fingerprints, test),
        ],
        near_duplicates=near or None,
    )


def _per_row(recorded: object, features: FeaturesFile) -> list[str]:
    """Return what is recorded of each row's image; empty strings if unknown."""
    n_rows = features.shape[0]
    is_known = isinstance(recorded, list) and len(recorded) == n_rows
    return recorded if is_known else [""] * n_rows


def _present(features: FeaturesFile) -> list[str]:
    """Return the names of the classes that have rows."""
    return [features.label_names[label] for label in np.unique(features.labels)]
