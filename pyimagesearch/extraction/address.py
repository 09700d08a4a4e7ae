"""The address of a scheduler: as given, or read from its file."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from pyimagesearch.utils import InputError


def scheduler_address(given: str) -> str:
    """Return a scheduler's address, in a form that Dask accepts.

    Parameters
    ----------
    given : str
        ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or the path of a scheduler file.

    Raises
    ------
    InputError
        If it is none of these.

    Examples
    --------
    >>> scheduler_address("tcp://127.0.0.1:8786")
    'tcp://127.0.0.1:8786'
    """
    address = given if "://" in given else _address_in(given)
    try:
        parts = urlsplit(address)
        if parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and not parts.path:
            return address
    except ValueError:
        pass  # an invalid port, or half an IPv6 address
    where = "" if address == given else f" in '{given}'"
    raise InputError(
        f"'{address}'{where} is not the address of a Dask scheduler: expected tcp://HOST:PORT, "
        "tls://HOST:PORT or the path of a scheduler file"
    )


def _address_in(path: str) -> str:
    """Return the address that a scheduler has written into a file."""
    if not Path(path).is_file():
        raise InputError(
            f"no scheduler file '{path}': expected one, or tcp://HOST:PORT or tls://HOST:PORT"
        )
    try:
        return str(json.loads(Path(path).read_text("utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' is not a scheduler file: expected one of dask scheduler --scheduler-file"
        ) from error
