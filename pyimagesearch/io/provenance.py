"""What a features file records of where its rows come from."""

from collections.abc import Mapping

# These describe the run, not the rows: another value does not forbid to resume.
OF_THE_RUN = ("created", "dataset", "versions", "weights_file")


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
    if isinstance(recorded, list) and isinstance(now, list):
        gone, come = _apart(recorded, now), _apart(now, recorded)
        return f"{key} ({', '.join([*_listed(gone, 'gone'), *_listed(come, 'new')]) or 'order'})"
    if isinstance(recorded, dict) and isinstance(now, dict):
        return ", ".join(f"{key} {phrase}" for phrase in differences(recorded, now))
    return f"{key} ({_value(recorded)} recorded, {_value(now)} now)"


def _apart(some: list, others: list) -> list:
    known = {str(other) for other in others}
    return [one for one in some if str(one) not in known]


def _listed(entries: list, what: str) -> list[str]:
    if not entries:
        return []
    first = entries[0] if isinstance(entries[0], str) else str(entries[0])
    return [f"{len(entries):,} {what}, such as '{first}'"]


def _value(value: object) -> str:
    return "nothing" if value is None else str(value)
