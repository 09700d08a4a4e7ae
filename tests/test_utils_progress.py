import errno
import io
import os
import re
import sys
from pathlib import Path

import pytest
from conftest import run_on_a_terminal

from pyimagesearch.utils import progress
from pyimagesearch.utils.progress import progress_bar

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_is_written_every_half_minute(clock, capsys):
    with progress_bar("Checking Images", 3000) as bar:
        for _ in range(900):
            clock[0] += 0.125
            bar.increment()
    assert capsys.readouterr().err.splitlines() == [
        "Checking Images: 240 of 3,000 (8%), 8 per second, 0:05:45 left",
        "Checking Images: 480 of 3,000 (16%), 8 per second, 0:05:15 left",
        "Checking Images: 720 of 3,000 (24%), 8 per second, 0:04:45 left",
    ]


def test_a_line_that_cannot_be_written_does_not_end_the_work(clock, monkeypatch):
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stderr", Full())
    with progress_bar("Training", 19).start() as bar:
        clock[0] += 40
        bar.increment()
    assert bar.value == 1


def test_what_is_done_within_half_a_minute_gives_no_line(clock, capsys):
    with progress_bar("Training", 19).start() as bar:
        for _ in range(19):
            clock[0] += 1.5
            bar.increment()
    assert capsys.readouterr().err == ""


def test_the_rate_ignores_what_was_done_before(clock, capsys):
    with progress_bar("Extracting Features", 1000, done=500) as bar:
        clock[0] += 40
        bar.update(500)
        clock[0] += 60
        bar.update(550)
    assert capsys.readouterr().err.splitlines() == [
        "Extracting Features: 500 of 1,000 (50%)",
        "Extracting Features: 550 of 1,000 (55%), 0.5 per second, 0:15:00 left",
    ]


def test_a_bar_of_an_unknown_total_has_lines_too(clock, capsys):
    with progress_bar("Downloading Weights", None) as bar:
        for _ in range(3):
            clock[0] += 20
            bar.increment(2**20)
    assert capsys.readouterr().err == "Downloading Weights: 2,097,152, 52,429 per second\n"


def test_a_bar_of_nothing_has_no_percentage(clock, capsys):
    with progress_bar("Checking Images", 0) as bar:
        clock[0] += 40
        bar.update(0)
    assert capsys.readouterr().err == "Checking Images: 0\n"


def test_on_a_terminal_there_are_no_lines(clock, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert not isinstance(progress_bar("Training", 19), progress.ProgressLines)


def drawn(tmp_path: Path, total: int | None, done: int, work: str) -> str:
    """Return what a bar draws on a terminal while some work is done."""
    program = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pyimagesearch.utils.progress import progress_bar\n"
        f"with progress_bar('Working', {total}, {done}, lambda: 'a note') as bar:\n"
        f"    {work}\n"
        "print('[ERROR] after', file=sys.stderr)\n"
    )
    return run_on_a_terminal([sys.executable, "-c", program], tmp_path / "stdout")


@pytest.mark.parametrize("work", ["pass", "bar.start()", "bar.update({total})", "bar.increment(0)"])
@pytest.mark.parametrize(
    ("total", "done"), [(8, 8), (0, 0), (8, 3), (8, 0), (1, 0), (None, 0)], ids=str
)
def test_a_bar_on_a_terminal_may_begin_and_end_anywhere(tmp_path, total, done, work):
    lines = drawn(tmp_path, total, done, work.format(total=total or 0)).splitlines()
    assert lines[-1] == "[ERROR] after"
    if total == done:
        assert len(lines) == 1
    elif total is not None:
        assert re.search(rf"Working: 100% .*\b{total} of {total}\b.*\(a note\)", lines[-2])


def test_what_is_printed_on_a_terminal_appears_above_the_bar(tmp_path):
    work = (
        "\n    for i in range(4):\n        bar.increment()\n"
        "        print(f'[ERROR] number {i}', file=sys.stderr)\n        time.sleep(0.1)"
    )
    text = drawn(tmp_path, 4, 0, work)
    shown = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").splitlines()]
    assert [line for line in shown if "[ERROR]" in line] == [
        *(f"[ERROR] number {i}" for i in range(4)),
        "[ERROR] after",
    ]


@pytest.mark.slow
def test_the_estimate_on_a_terminal_ignores_what_was_done_before(tmp_path):
    """998 of 1,000 were there: a second for one more leaves a second, not none."""
    text = drawn(tmp_path, 1000, 998, "bar.start(); time.sleep(1.1); bar.increment()")
    assert re.search(r"999 of 1000 ETA:   0:00:0[1-9]", text)
