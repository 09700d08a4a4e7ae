"""Names of files as texts, also where Python's encoding of file names is not UTF-8."""

import os
import sys
from pathlib import Path


def recorded_path(text: str) -> Path:
    """Return the path that a text names, as it is spelt in this process.

    A path with an accent is spelt with surrogates where file names are read as ASCII, and was
    recorded so or as it is.

    Examples
    --------
    >>> recorded_path("animals/cats") == Path("animals/cats")
    True
    """
    return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))


def why_no_text(name: str) -> str:
    r"""Say why the name of a file or a folder holds surrogates, which no text does.

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
        f"{text!r} cannot be spelt in {sys.getfilesystemencoding()}, in which Python reads the "
        "names of files here: set PYTHONUTF8=1"
    )
