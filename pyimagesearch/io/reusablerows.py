"""Rows of earlier files of features that a run can copy instead of computing them."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pyimagesearch.io.features import FeaturesFile, open_features
from pyimagesearch.io.runrecord import RunRecord, differences
from pyimagesearch.utils import InputError
from pyimagesearch.utils.wording import counted, listed

# What must be recorded, and the same: with another value an image has another row.
SETTINGS = (
    *("network", "layer", "pooling", "size", "preprocessing", "feature_shape", "weights"),
    "engine",
)

logger = logging.getLogger(__name__)


class ReusableRows:
    """The rows of earlier files, found by the digests of their images.

    Parameters
    ----------
    paths : sequence of str
        Finished files of `extract_features.py`; if several have a row, the
        first is used.
    output : Path
        The file to make, which cannot be one of them.

    Raises
    ------
    InputError
        If one is missing, unfinished, damaged or not such a file.
    """

    def __init__(self, paths: Sequence[str], output: Path):
        self._records: dict[Path, RunRecord] = {}
        for path in map(Path, paths):
            if os.path.realpath(path) == os.path.realpath(output):
                raise InputError(
                    f"cannot reuse rows of '{path}', the output file: expected an earlier one; "
                    "give another output"
                )
            with open_features(path) as features:
                self._records[path] = _checked_record(features)

    def require_same(self, record: RunRecord, independent: bool) -> None:
        """Refuse files whose rows were made with other settings.

        Parameters
        ----------
        record : RunRecord
            What the current run records.
        independent : bool
            Whether a row does not depend on the others in its batch.

        Raises
        ------
        InputError
            Naming the first such file, and all settings that differ.
        """
        self._require(record, SETTINGS if independent else (*SETTINGS, "batch_size"))

    def find(self, record: RunRecord, independent: bool) -> "FoundRows":
        """Find the rows that need not be computed, and log how many.

        If the last digits of a row may depend on the others in its batch, only whole batches are
        reused: the finished file has the same bytes as if all rows were computed.

        Parameters
        ----------
        record, independent
            As for `require_same`; the record must be complete.

        Raises
        ------
        InputError
            If the images of a file were decoded differently.
        """
        self._require(record, ["decoding"])
        self._warn_of_last_digits(record)
        together = 1 if independent else record.batch_size
        known: dict[tuple[str, ...], tuple[Path, int]] = {}
        for path, earlier in self._records.items():
            for start, batch in _batches(earlier.digests, together):
                known.setdefault(batch, (path, start))
        places: list[tuple[Path, int] | None] = []
        for _, batch in _batches(record.digests, together):
            path, start = known.get(batch, (None, 0))
            places += [path and (path, start + i) for i in range(len(batch))]
        found = FoundRows(places, {path: of.digests for path, of in self._records.items()})
        logger.info(
            f"reuse: {len(found):,} of {counted(len(places), 'row')} copied from "
            f"{listed(map(str, self._records))}"
        )
        if not independent:
            logger.info(
                f"note: {record.engine} computes {record.batch_size} images at a time, which may "
                "change a row's last digits: only batches of the same images are copied"
            )
        return found

    def _require(self, record: RunRecord, keys: Sequence[str]) -> None:
        now = _settings(record, keys)
        for path, earlier in self._records.items():
            if found := differences(_settings(earlier, keys), now):
                raise InputError(
                    f"cannot reuse rows of '{path}', which differs in {', '.join(found)}: "
                    "use the recorded settings, or compute all rows"
                )

    def _warn_of_last_digits(self, record: RunRecord) -> None:
        for path, earlier in self._records.items():
            if found := differences(_computed_by(earlier), _computed_by(record)):
                logger.warning(
                    f"'{path}' was made with another {', '.join(found)}: rows copied from "
                    "it may differ in the last digits from those computed now"
                )


class FoundRows:
    """Which rows of a run are in earlier files, and where.

    Parameters
    ----------
    places : sequence of (Path, int) or None
        For each row of the run, a file and the row in it; None for one to be computed.
    digests : dict of Path to list of str
        The digests of each file when it was searched.
    """

    def __init__(
        self, places: Sequence[tuple[Path, int] | None], digests: dict[Path, Sequence[str]]
    ):
        self._places, self._digests = places, digests

    def __contains__(self, row: int) -> bool:
        return self._places[row] is not None

    def __len__(self) -> int:
        """Return how many rows are found."""
        return sum(place is not None for place in self._places)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[int], np.ndarray]]:
        """Open the files, and yield a function that reads a found row: float32, shape (d,).

        Raises
        ------
        InputError
            If a file has changed since, or a row cannot be read or is not finite.
        """
        with contextlib.ExitStack() as stack:
            files = {path: stack.enter_context(open_features(path)) for path in self._digests}
            for path, features in files.items():
                if features.record.digests != self._digests[path]:
                    raise InputError(f"'{path}' has changed since it was checked: run again")

            def read(row: int) -> np.ndarray:
                path, place = self._places[row]
                (features,) = files[path].read(place, place + 1)
                if not np.isfinite(features).all():
                    raise InputError(
                        f"row {place:,} of '{path}' has features that are NaN or infinite: "
                        "expected finite ones; do not reuse it"
                    )
                return features

            yield read


def _checked_record(features: FeaturesFile) -> RunRecord:
    record, n_rows = features.record, features.shape[0]
    digests = record.digests
    is_listing = isinstance(digests, list) and all(isinstance(one, str) for one in digests)
    if not is_listing or len(digests) != n_rows:
        raise InputError(
            f"'{features.path}' does not record the digests of its {n_rows:,} images: expected a "
            "file made by extract_features.py; do not reuse it"
        )
    if features.dtype != np.float32:
        raise InputError(
            f"'{features.path}' has features of dtype {features.dtype}: expected float32, as "
            "extract_features.py writes them; do not reuse it"
        )
    return record


def _settings(record: RunRecord, keys: Sequence[str]) -> dict[str, object]:
    values = {key: getattr(record, key) for key in keys}
    if isinstance(values.get("weights"), dict):  # under any file name
        values["weights"] = {"sha256": values["weights"].get("sha256")}
    return values


def _computed_by(record: RunRecord) -> dict[str, object]:
    """Return what may change the last digits, besides the settings."""
    packages = ["pillow", record.engine, *(["tensorflow"] if record.engine == "keras" else [])]
    versions = record.versions or {}
    return {name: versions.get(name) for name in packages} | {"processor": record.processors}


def _batches(digests: Sequence[str], size: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    for start in range(0, len(digests), size):
        yield start, tuple(digests[start : start + size])
