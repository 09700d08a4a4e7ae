"""Which stream a line goes to, and what it does to a progress bar."""

import logging
import sys
from pathlib import Path

import pytest
from conftest import run_on_a_terminal

from pyimagesearch.utils.console import console_logging, keep_stdout_for_the_table

ROOT = Path(__file__).parents[1]
library, script = logging.getLogger("pyimagesearch.linear"), logging.getLogger("a_script")


def log_all() -> None:
    for logger in (library, script):
        for level in ("debug", "info", "warning", "error"):
            getattr(logger, level)(f"{level} of {logger.name}")


def test_stdout_has_what_is_below_a_warning(capsys):
    with console_logging("a_script"):
        log_all()
    printed = capsys.readouterr()
    assert printed.out == "[INFO] info of pyimagesearch.linear\n[INFO] info of a_script\n"
    assert printed.err.splitlines() == [
        "[WARNING] warning of pyimagesearch.linear",
        "[ERROR] error of pyimagesearch.linear",
        "[WARNING] warning of a_script",
        "[ERROR] error of a_script",
    ]


def test_stdout_can_be_kept_for_a_table_until_the_script_ends(capsys):
    with console_logging("a_script"):
        keep_stdout_for_the_table()
        script.info("aside")
    with console_logging("a_script"):
        script.info("as always")
    assert capsys.readouterr() == ("[INFO] as always\n", "[INFO] aside\n")


def test_a_line_is_printed_once_even_if_a_library_has_set_up_logging(capsys):
    of_a_library = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(of_a_library)
    try:
        with console_logging("a_script"):
            script.warning("once")
        script.warning("by the library")
    finally:
        logging.getLogger().removeHandler(of_a_library)
    assert capsys.readouterr().err == "[WARNING] once\nby the library\n"


WITH_A_BAR = """
import logging, sys
sys.path.insert(0, sys.argv[1])
from pyimagesearch.utils.console import console_logging
from pyimagesearch.utils.progress import progress_bar
logger = logging.getLogger(__name__)
with console_logging(__name__), progress_bar("Working", 3) as bar:
    bar.increment(force=True)
    logger.warning("something is wrong")
    bar.increment(force=True)
    bar.increment(force=True)
logger.warning("after it")
"""


@pytest.mark.parametrize(
    ("level", "line"),
    [("warning", "[WARNING] something is wrong"), ("info", "[INFO] something is wrong")],
)
def test_a_line_does_not_run_into_a_bar(tmp_path, level, line):
    program = WITH_A_BAR.replace('logger.warning("something', f'logger.{level}("something')
    to_the_terminal = ["sh", "-c", 'exec "$0" "$@" 1>&2']  # stdout, too
    command = [*to_the_terminal, sys.executable, "-c", program, ROOT]
    drawn = run_on_a_terminal(command, tmp_path / "stdout")
    (printed,) = (one for one in drawn.split("\r\n") if "wrong" in one)
    # The bar is cleared, the line written in its place, and the bar drawn again below it.
    before, _, printed = printed.rpartition("\r")
    assert before.endswith(" ")
    assert printed == line
    below = drawn.split("wrong\r\n")[1]
    assert below.startswith("\rWorking:  33%")
    assert "\nafter it" in below
