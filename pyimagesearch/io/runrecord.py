"""The record of a run: how a file of features documents the origin of its rows."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import h5py

from pyimagesearch.utils import InputError
from pyimagesearch.utils.filenames import recorded_path

# The metadata of a field.
ROWS = {"affects_rows": True}  # with another value a run is not resumed
RUN = {"affects_rows": False}  # with another value the rows are the same
IMAGES = ROWS | {"per_image": True}  # about single images: not kept in a classifier
LOOKS = RUN | {"per_image": True}
TEXT, TEXTS = {"expected": "a string"}, {"expected": "a list of strings"}
COUNT, ROW_LISTS = {"expected": "a whole number"}, {"expected": "lists of row numbers"}


@dataclass(frozen=True)
class RunRecord:
    """What a file of features records about its run, in the order in which it is written.

    Each field is a key of the JSON in the attribute ``provenance`` of the
    rows. None means unknown; files made by other releases or programs may
    lack any of them, or have `others`, which affect the rows.

    Attributes
    ----------
    dataset : str
        The folder of the images.
    network, layer, pooling, size, preprocessing, feature_shape, weights
        As in `pyimagesearch.nn.Description`.
    weights_file : str
        The user's file of weights; None if there was none.
    processors : str or dict of str to int
        The CPU model, which may affect the last digits; of several, a count.
    skipped : dict of str to str
        The images that cannot be read, with the reason.
    decoding : dict
        As in `pyimagesearch.preprocessing.Decoding`.
    labels : dict
        Where the labels come from, and a digest of them; None if from the
        folders' names, the default.
    n_train : int
        How many rows train, from the first on; None for the default.
    groups : list of list of int
        Rows to keep together, by a table.
    duplicate_groups, near_duplicates : list
        As in `pyimagesearch.preprocessing.Duplicates`.
    paths, digests : list of str
        Of each row: its image, in the folder, and the digest of its contents.
    fingerprints : list of str
        Of each row: what its image looks like, as in
        `pyimagesearch.preprocessing.fingerprints`.
    """

    dataset: str | None = field(default=None, metadata=RUN | TEXT)
    network: str | None = field(default=None, metadata=ROWS)
    layer: str | None = field(default=None, metadata=ROWS)
    pooling: str | None = field(default=None, metadata=ROWS)
    size: list[int] | None = field(default=None, metadata=ROWS)
    preprocessing: str | None = field(default=None, metadata=ROWS)
    feature_shape: list[int] | None = field(default=None, metadata=ROWS)
    weights: dict[str, str] | None = field(default=None, metadata=ROWS)
    weights_file: str | None = field(default=None, metadata=RUN | TEXT)
    engine: str | None = field(default=None, metadata=ROWS)
    batch_size: int | None = field(default=None, metadata=ROWS)
    seed: int | None = field(default=None, metadata=ROWS)
    created: str | None = field(default=None, metadata=RUN | TEXT)
    versions: dict[str, str] | None = field(default=None, metadata=RUN)
    processors: str | dict[str, int] | None = field(default=None, metadata=RUN)
    image_bytes: int | None = field(default=None, metadata=ROWS)
    contents_sha256: str | None = field(default=None, metadata=ROWS)
    skipped: dict[str, str] | None = field(default=None, metadata=IMAGES)
    decoding: dict[str, object] | None = field(default=None, metadata=ROWS)
    labels: dict[str, str] | None = field(default=None, metadata=IMAGES)
    n_train: int | None = field(default=None, metadata=IMAGES | COUNT)
    groups: list[list[int]] | None = field(default=None, metadata=IMAGES | ROW_LISTS)
    duplicate_groups: list[list[int]] | None = field(default=None, metadata=IMAGES | ROW_LISTS)
    near_duplicates: list[list[object]] | None = field(default=None, metadata=IMAGES)
    paths: list[str] | None = field(default=None, metadata=IMAGES | TEXTS)
    digests: list[str] | None = field(default=None, metadata=IMAGES)
    fingerprints: list[str] | None = field(default=None, metadata=LOOKS | TEXTS)
    others: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_json(cls, recorded: Mapping[str, object]) -> "RunRecord":
        """Return the record in a JSON object whose types `read_record` has checked."""
        known = {name: value for name, value in recorded.items() if name in FIELDS}
        return cls(**known, others={key: recorded[key] for key in recorded if key not in FIELDS})

    def to_json(self) -> dict[str, object]:
        """Return what is known as a JSON object, in the order of the fields."""
        known = {
            name: getattr(self, name)
            for name in FIELDS
            # Weights that are not from a file of the user are written as null.
            if getattr(self, name) is not None or (name == "weights_file" and self.weights)
        }
        return known | dict(self.others)

    def for_classifier(self) -> dict[str, object]:
        """Return what a classifier keeps: how to make such rows."""
        return {key: value for key, value in self.to_json().items() if key not in PER_IMAGE}

    @cached_property
    def image_paths(self) -> list[Path]:
        """The images that the rows come from, in order; empty if not recorded."""
        if self.dataset is None:
            return []
        root = recorded_path(self.dataset)
        return [root / recorded_path(path) for path in self.paths or ()]

    @property
    def digest_of_path(self) -> dict[str, str]:
        """The digest of each row's image, in order; empty if not recorded."""
        paths, digests = self.paths or (), self.digests or ()
        return dict(zip(paths, digests, strict=True)) if len(paths) == len(digests) else {}

    @property
    def began(self) -> float | None:
        """When the run began, in seconds since 1970."""
        try:
            return datetime.fromisoformat(self.created).timestamp()
        except (TypeError, ValueError):
            return None


FIELDS = {entry.name: entry.metadata for entry in fields(RunRecord) if entry.name != "others"}
OF_THE_RUN = frozenset(name for name, of in FIELDS.items() if not of["affects_rows"])
PER_IMAGE = frozenset(name for name, of in FIELDS.items() if of.get("per_image"))


def read_record(dataset: h5py.Dataset, path: Path) -> dict[str, object]:
    """Read what a dataset records about the origin of its rows.

    Parameters
    ----------
    dataset : h5py.Dataset
        The rows.
    path : Path
        Its file, for messages.

    Returns
    -------
    dict
        For `RunRecord.from_json`; empty if nothing is recorded.

    Raises
    ------
    InputError
        If it is not a JSON object, or a value has a wrong type.
    """
    try:
        text = dataset.attrs.get("provenance")
        recorded = {} if text is None else json.loads(text)
    except (OSError, RecursionError, TypeError, ValueError):
        recorded = None
    if not isinstance(recorded, dict):
        raise InputError(f"'{path}' has a 'provenance' that is not a JSON object")
    for name, of in FIELDS.items():
        value, expected = recorded.get(name), of.get("expected")
        is_one = {"a string": isinstance(value, str), "a list of strings": _is_listing(value)}
        is_one |= {"a whole number": _is_count(value), "lists of row numbers": _are_groups(value)}
        if value is not None and not is_one.get(expected, True):
            raise InputError(
                f"'{path}' has a 'provenance' with {name!r} of {_shortened(value)}: "
                f"expected {expected}; correct it, or delete it"
            )
    return recorded


def creation_date() -> str:
    """Return now, or the date set in the environment, which makes files reproducible.

    Raises
    ------
    InputError
        If ``SOURCE_DATE_EPOCH`` is not a date.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        date = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"SOURCE_DATE_EPOCH is '{epoch}': expected seconds since 1970; correct or unset it"
        ) from error
    return date.isoformat(timespec="seconds")


def differences(recorded: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Name the settings in which two records differ.

    Parameters
    ----------
    recorded, now : mapping
        As read from JSON.

    Returns
    -------
    list of str
        One phrase per setting, with both values; empty if the two runs have
        the same rows.

    Examples
    --------
    >>> differences({"seed": 42, "created": "then"}, {"seed": 7, "created": "now"})
    ['seed (42 recorded, 7 now)']
    """
    keys = [key for key in {**recorded, **now} if key not in OF_THE_RUN]
    return [
        _phrase(key, recorded.get(key), now.get(key))
        for key in keys
        if recorded.get(key) != now.get(key)
    ]


def _phrase(key: str, recorded: object, now: object) -> str:
    if _is_listing(recorded) and _is_listing(now):
        gone, come = _apart(recorded, now), _apart(now, recorded)
        return f"{key} ({', '.join([*_listed(gone, 'gone'), *_listed(come, 'new')]) or 'order'})"
    if isinstance(recorded, dict) and isinstance(now, dict):
        return ", ".join(f"{key} {phrase}" for phrase in differences(recorded, now))
    return f"{key} ({_value(recorded)} recorded, {_value(now)} now)"


def _is_listing(value: object) -> bool:
    """Return whether it is a list of strings, which may be long, and not a shape."""
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_groups(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(group, list) and all(map(_is_count, group)) for group in value
    )


def _apart(some: list, others: list) -> list:
    known = set(others)
    return [one for one in some if one not in known]


def _listed(entries: list, what: str) -> list[str]:
    if not entries:
        return []
    return [f"{len(entries):,} {what}, such as '{entries[0]}'"]


def _value(value: object) -> str:
    if value and _is_listing(value):
        return f"{len(value):,} of them"
    return "nothing" if value is None else str(value)


def _shortened(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
