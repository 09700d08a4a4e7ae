import errno
import io
import os
import sys

import pytest

from pyimagesearch.utils import progress
from pyimagesearch.utils.progress import progress_bar


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


def test_the_rate_leaves_out_what_was_done_before(clock, capsys):
    with progress_bar("Extracting Features", 1000, done=500) as bar:
        clock[0] += 40
        bar.update(500)
        clock[0] += 60
        bar.update(550)
    assert capsys.readouterr().err.splitlines() == [
        "Extracting Features: 500 of 1,000 (50%)",
        "Extracting Features: 550 of 1,000 (55%), 0.5 per second, 0:15:00 left",
    ]


def test_on_a_terminal_there_are_no_lines(clock, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert not isinstance(progress_bar("Training", 19), progress.ProgressLines)
