"""How a script ends."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pyimagesearch.utils.stopping import run
def story():
    for _ in range(100_000):
        print("\\u043a\\u043e\\u0448\\u043a\\u0438")
raise SystemExit(run(story))
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
