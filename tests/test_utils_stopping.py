"""How a script ends."""

import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from pyimagesearch.utils import SystemLimitWarning
from pyimagesearch.utils.stopping import run, stop_at_once, stop_requests

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pyimagesearch.utils.stopping import run
def script():
    for _ in range(100_000):
        print("\\u043a\\u043e\\u0448\\u043a\\u0438")
raise SystemExit(run(script))
"""


@pytest.fixture
def script() -> subprocess.Popen:
    command = [sys.executable, "-c", PROGRAM]
    environment = {"LC_ALL": "C", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        yield process


def test_a_reader_that_stops_reading_ends_the_script_quietly(script):
    script.stdout.readline()
    script.stdout.close()
    assert script.stderr.read() == b""
    assert script.wait() == 141


def test_a_name_that_the_terminal_cannot_show_does_not_end_the_script(script):
    out, err = script.communicate()
    assert (script.returncode, err) == (0, b"")
    assert out.splitlines()[0] == rb"\u043a\u043e\u0448\u043a\u0438"


ECHO = """
import sys
from pyimagesearch.utils.stopping import run
def script():
    print("heard", repr(sys.stdin.read()))
    print("complaint", file=sys.stderr)
raise SystemExit(run(script))
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("program", [PROGRAM, ECHO], ids=["meanwhile", "at the end"])
def test_a_full_disk_below_stdout_is_said_in_one_line(program):
    done = in_a_shell(program, "> /dev/full")
    line = "[ERROR] cannot write to stdout: No space left on device; make room"
    assert done.returncode == 1
    assert done.stderr.removeprefix("complaint\n").splitlines() == [line]


def test_any_other_error_of_the_system_keeps_its_traceback():
    def script():
        Path("/gone").read_bytes()

    with pytest.raises(FileNotFoundError):
        run(script)


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


def in_a_thread(function):
    """Return what a function returns in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_work_in_another_thread_is_not_held_up_by_signals():
    def work():
        with stop_requests() as stop_if_asked:
            stop_if_asked()
            return "done"

    assert in_a_thread(work) == "done"
    assert in_a_thread(lambda: run(lambda: None)) == 0


def test_ctrl_c_is_held_back_until_the_work_asks():
    def script():
        with stop_requests() as stop_if_asked:
            os.kill(os.getpid(), signal.SIGINT)
            stop_if_asked()

    before = signal.getsignal(signal.SIGINT)
    assert run(script) == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_the_caller_had_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:

        def script():
            with stop_requests() as stop_if_asked:
                os.kill(os.getpid(), signal.SIGINT)
                stop_if_asked()

        stop_at_once()
        assert run(script) == 0
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_the_system_cannot_do_is_said_once(capsys):
    def script():
        for _ in range(3):
            warnings.warn("no sync here", SystemLimitWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(script) == 0
    assert capsys.readouterr().err == "[WARNING] no sync here\n"


def test_ctrl_c_during_the_imports_of_a_script_gives_one_line():
    program = (
        "import os, runpy, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'h5py':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "sys.argv = ['extract_features.py', '--help']\n"
        "runpy.run_path('extract_features.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "[INFO] stopped by SIGINT\n")
