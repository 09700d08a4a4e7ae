"""File names as text, even where Python's encoding of file names is not UTF-8."""

import os
import sys
from pathlib import Path

from pyimagesearch.utils.errors import InputError


def recorded_path(text: str) -> Path:
    """Return the path that a text names, as this process spells it.

    Where file names are read as ASCII, a path with an accent is spelled with surrogates; files
    record it in either spelling.

    Examples
    --------
    >>> recorded_path("animals/cats") == Path("animals/cats")
    True
    """
    if sys.getfilesystemencodeerrors() != "surrogateescape":  # Windows, where names are text
        return Path(text)
    return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))


def typed_path(line: bytes) -> str:
    """Return the path in a line of stdin.

    Raises
    ------
    InputError
        If it can name no file: on Windows, names are text.
    """
    try:
        return os.fsdecode(line)
    except UnicodeDecodeError as error:
        raise InputError(f"{line!r} on stdin is not UTF-8: expected paths, one per line") from error


def why_no_text(name: str) -> str:
    r"""Return why the name of a file or folder holds surrogates, which valid text never does.

    Examples
    --------
    >>> print(why_no_text("caf\udce9"))
    'caf\udce9' is not valid UTF-8: rename it
    """
    try:
        text = os.fsencode(name).decode("utf-8")
    except UnicodeError:
        return f"{name!r} is not valid UTF-8: rename it"
    return (
        f"{text!r} cannot be spelled in {sys.getfilesystemencoding()}, Python's encoding of file "
        "names here: set PYTHONUTF8=1"
    )
