"""What a features file records of where its rows come from."""

import json
from collections.abc import Mapping
from pathlib import Path

import h5py

from pyimagesearch.utils import InputError

TEXTS, LISTS = ("dataset", "weights_file", "created"), ("paths",)
# These describe the run, not the rows: another value does not forbid to resume.
OF_THE_RUN = ("created", "dataset", "processors", "versions", "weights_file")


def recorded_provenance(dataset: h5py.Dataset, path: Path) -> dict[str, object] | None:
    """Read what is recorded of where the rows of a dataset come from.

    Parameters
    ----------
    dataset : h5py.Dataset
        The rows.
    path : Path
        Its file, for messages.

    Returns
    -------
    dict or None
        As JSON has it; what is not known may be missing or None in it. None if nothing is recorded.

    Raises
    ------
    InputError
        If it is not a JSON object, or what is known of its values is of another type.
    """
    try:
        text = dataset.attrs.get("provenance")
        recorded = None if text is None else json.loads(text)
    except (OSError, RecursionError, TypeError, ValueError):
        recorded = ()
    if recorded is not None and not isinstance(recorded, dict):
        raise InputError(f"'{path}' has a 'provenance' that is not a JSON object")
    for key, value in (recorded or {}).items():
        is_text = key not in TEXTS or isinstance(value, str)
        is_list = key not in LISTS or _is_listing(value)
        if value is not None and not (is_text and is_list):
            raise InputError(
                f"'{path}' has a 'provenance' with {key!r} of {_shortened(value)}: expected "
                f"{'a text' if key in TEXTS else 'a list of texts'}; correct it, or delete it"
            )
    return recorded


def differences(recorded: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Name the settings in which two provenances differ.

    Parameters
    ----------
    recorded, now : mapping
        Provenances, as JSON gives them back.

    Returns
    -------
    list of str
        One phrase a setting, with both values; empty if the rows of the two
        runs would be the same.

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
    """Tell whether it is a list of names, which may be long, and not a shape."""
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


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
