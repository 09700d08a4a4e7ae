"""Write a page, one HTML file that needs no other and no network; and a report for machines."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pyimagesearch.reporting.contactsheet import percent
from pyimagesearch.reporting.figurefile import printable
from pyimagesearch.utils.errors import InputError, first_line
from pyimagesearch.utils.files import replacing
from pyimagesearch.utils.wording import counted

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
SUFFIXES = (".html", ".htm")


class Shown(NamedTuple):
    """An image in a page, and what a classifier predicts for it; None is not known.

    Where `label` and `predicted` differ, it is a mistake.
    """

    path: Path | None
    name: str
    label: str
    predicted: str | None = None
    probability: float | None = None


def is_page(path: str | Path) -> bool:
    """Return whether a file is to be a page, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def check_page(path: str | Path) -> None:
    """Refuse a page that cannot be written, before the work that it is to show.

    Raises
    ------
    InputError
        If Jinja2 is missing.
    """
    try:
        environment()
    except ImportError as error:
        raise InputError(
            f"cannot write '{path}': {first_line(error)}; install requirements.txt again, or "
            "leave the page out"
        ) from error


def write_json(path: str | Path, report: Mapping[str, object]) -> None:
    """Write a report for machines.

    Parameters
    ----------
    path : str or Path
        The file to write.
    report : mapping
        As JSON has it.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    with replacing(Path(path)) as temporary:
        # A byte of a path that is not UTF-8 becomes JSON's own escape, \udc80 to \udcff.
        temporary.write_text(text, "utf-8", errors="backslashreplace")


def write_page(path: str | Path, template: str, **values: object) -> None:
    """Fill in a template, and write it piece by piece.

    Parameters
    ----------
    path : str or Path
        The file to write. A file that is there is replaced once the new one
        is whole.
    template : str
        Its name in ``templates/``.
    **values
        What it fills in. Texts may hold anything: they are escaped.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    pieces = environment().get_template(template).stream(**values)
    pieces.enable_buffering(50)
    with (
        replacing(Path(path)) as temporary,
        # A byte of a path that is not UTF-8 is written as \udc80 to \udcff, JSON's own escape.
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        file.writelines(pieces)


def environment() -> "Environment":
    """Return what the templates are filled in by: names in them are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False}  # and in the order given
    made.filters |= {"percent": percent, "plain": printable, "name": isolated}
    made.globals |= {
        "counted": counted,
        "style": (TEMPLATES / "page.css").read_text("utf-8"),
        "script": (script := (TEMPLATES / "page.js").read_text("utf-8")),
        # No other script runs, wherever it came from.
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return made


def isolated(text: object, is_path: bool = False) -> str:
    """Return HTML of a name that does not turn what stands beside it, as Arabic would.

    A path that is too long for its line is broken after a folder, if it can be.

    Examples
    --------
    >>> print(isolated("cats & dogs"), isolated("cats/1.jpg", is_path=True))
    <bdi>cats &amp; dogs</bdi> <bdi>cats/<wbr>1.jpg</bdi>
    """
    from markupsafe import Markup

    seen = printable(str(text))
    seen = seen if seen.strip() else repr(seen)
    slash = Markup("/<wbr>" if is_path else "/")
    return Markup("<bdi>{}</bdi>").format(slash.join(seen.split("/")))
