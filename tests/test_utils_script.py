"""How a script ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from pyimagesearch.utils import InputError
from pyimagesearch.utils.script import script

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pyimagesearch.utils.script import script
@script
def main():
    for _ in range(100_000):
        print("\\u043a\\u043e\\u0448\\u043a\\u0438")
raise SystemExit(main())
"""


@pytest.fixture
def child() -> subprocess.Popen:
    command = [sys.executable, "-c", PROGRAM]
    environment = {"LC_ALL": "C", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        yield process


def test_a_reader_that_stops_reading_ends_the_script_quietly(child):
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait() == 141


def test_a_name_that_the_terminal_cannot_show_does_not_end_the_script(child):
    out, err = child.communicate()
    assert (child.returncode, err) == (0, b"")
    assert out.splitlines()[0] == rb"\u043a\u043e\u0448\u043a\u0438"


ECHO = """
import sys
from pyimagesearch.utils.script import script
@script
def main():
    print("heard", repr(sys.stdin.read()))
    print("complaint", file=sys.stderr)
raise SystemExit(main())
"""


@pytest.mark.parametrize(
    ("redirection", "out", "err"),
    [
        ("<&-", "heard ''\n", "complaint\n"),
        (">&-", "", "complaint\n"),
        ("2>&-", "heard 'words'\n", ""),
        ("<&- >&- 2>&-", "", ""),
    ],
)
def test_a_closed_stream_is_an_empty_one(redirection, out, err):
    done = in_a_shell(ECHO, redirection, "words")
    assert (done.returncode, done.stdout, done.stderr) == (0, out, err)


# A full disk below stdout is not one below the file that has the same rows.
TABLE = """
import tempfile
from pyimagesearch.utils.console import print_row
from pyimagesearch.utils.files import replacing
from pyimagesearch.utils.script import script
@script
def main():
    with tempfile.TemporaryDirectory() as folder, replacing(folder + "/rows.csv"):
        print_row("one row")
raise SystemExit(main())
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "program", [PROGRAM, ECHO, TABLE], ids=["meanwhile", "at the end", "table"]
)
def test_a_full_disk_below_stdout_gives_one_line(program):
    done = in_a_shell(program, "> /dev/full")
    line = "[ERROR] cannot write to stdout: No space left on device; make room"
    assert done.returncode == 1
    assert done.stderr.removeprefix("complaint\n").splitlines() == [line]


def test_any_other_error_of_the_system_keeps_its_traceback():
    def main():
        Path("/gone").read_bytes()

    with pytest.raises(FileNotFoundError):
        script(main)()


def in_a_shell(program: str, redirection: str, typed: str = "") -> subprocess.CompletedProcess:
    command = ["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, program]
    return subprocess.run(
        command,
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


UNREAD = """
import logging
from pyimagesearch.utils import InputError
from pyimagesearch.utils.script import script
logger = logging.getLogger(__name__)
@script
def main():
    logger.info("half a line that nobody sees")
    logger.warning("the work continues")
    {ending}
raise SystemExit(main())
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("ending", "last"),
    [
        ("pass", "[ERROR] cannot write to stdout: No space left on device; make room"),
        ("raise InputError('wrong')", "[ERROR] wrong"),
    ],
)
def test_a_line_that_cannot_be_printed_is_reported_when_the_work_is_done(ending, last):
    done = in_a_shell(UNREAD.format(ending=ending), "> /dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["[WARNING] the work continues", last]


def test_notes_and_line_breaks_of_an_error_are_put_into_one_line(capsys):
    @script
    def main():
        error = InputError("no\nsuch file")
        error.add_note("3 rows are\tsafe")
        raise error

    assert main() == 1
    assert capsys.readouterr().err == "[ERROR] no such file; 3 rows are safe\n"
