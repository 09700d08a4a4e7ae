"""The files that a command will write, checked before hours are spent on their contents."""

from pathlib import Path

from pyimagesearch.reporting import check_drawing, check_page, is_page
from pyimagesearch.utils.pathchecks import Files, check_outputs, files_of

DRAWINGS = ("plot", "mistakes", "suspects", "sheet")  # options
TABLE = ".csv"  # of suspects


def check_result_files(outputs: Files, **inputs: str | None) -> None:
    """Refuse files that could not be drawn or written, or only over another of the command line.

    The missing folders above them are created.

    Parameters
    ----------
    outputs, inputs : mapping of str to str, sequence of str or None
        The file or the files of each option, by its long name; None where it
        is not given.

    Raises
    ------
    InputError
        As `check_drawing`, `check_page` and `check_outputs` do.
    """
    for option, path in files_of(outputs):
        if is_drawing(option, path):
            check_drawing(Path(path), [TABLE] if option == "suspects" else [])
        elif option == "report" and is_page(path):
            check_page(path)
    check_outputs(outputs, **inputs)


def is_drawing(option: str, path: str) -> bool:
    """Return whether an option asks for a drawing; suspects may be listed in a table, too.

    Examples
    --------
    >>> is_drawing("suspects", "s.png"), is_drawing("suspects", "s.csv"), is_drawing("csv", "s.csv")
    (True, False, False)
    """
    return option in DRAWINGS and not (option == "suspects" and is_table(path))


def is_table(path: str) -> bool:
    """Return whether suspects are listed in a table, by its suffix."""
    return Path(path).suffix.lower() == TABLE
