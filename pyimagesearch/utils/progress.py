"""A progress bar for people at a terminal, and lines for logs and notebooks."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import ClassVar

import progressbar

Note = Callable[[], str]
LINE_SECONDS = 30.0  # between two lines, at least


class ProgressLines(progressbar.NullBar):
    """A progress bar that writes a line now and then, or nothing if it ends sooner.

    Parameters
    ----------
    title, total, done, note
        As for `progress_bar`.
    """

    def __init__(self, title: str, total: int | None, done: int = 0, note: Note | None = None):
        self._note = note
        super().__init__(max_value=total, initial_value=done)
        self._title, self._total, self._done_before = title, total, done
        self._started = self._last_line = time.monotonic()

    def update(self, value: int, *_, **__) -> "ProgressLines":
        """Record how many are done."""
        self.value = value
        now = time.monotonic()
        if now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            with contextlib.suppress(OSError):  # a closed pipe or a full disk does not end the work
                print(self._line(now - self._started), file=sys.stderr, flush=True)  # noqa: T201
        return self

    def _line(self, elapsed_s: float) -> str:
        line = f"{self._title}: {self.value:,}"
        if self._total:
            line += f" of {self._total:,} ({self.value / self._total:.0%})"
        rate = (self.value - self._done_before) / elapsed_s
        if not rate:
            return line
        line += f", {rate:,.0f} per second" if rate >= 100 else f", {rate:.3g} per second"
        if self._note:
            line += f" ({self._note()})"
        if self._total:
            line += f", {timedelta(seconds=round((self._total - self.value) / rate))} left"
        return line


class DrawnBar(progressbar.ProgressBar):
    """A progress bar on a terminal that makes room for lines on stdout, too."""

    shown: "ClassVar[DrawnBar | None]" = None

    def start(self, *arguments, **options) -> "DrawnBar":
        """Draw it for the first time."""
        DrawnBar.shown = self
        return super().start(*arguments, **options)

    def finish(self, *arguments, **options) -> None:
        """Leave it as last drawn."""
        DrawnBar.shown = None
        super().finish(*arguments, **options)

    def clear(self) -> None:
        """Clear its line."""
        self.fd.write(f"\r{' ' * (self.term_width - 1)}\r")
        self.fd.flush()


@contextlib.contextmanager
def above_the_bar() -> Iterator[None]:
    """Print lines above the progress bar, if one is drawn."""
    bar = DrawnBar.shown
    if bar is None:
        yield
        return
    with contextlib.suppress(OSError):
        bar.clear()
    yield
    with contextlib.suppress(OSError):
        bar.update(force=True)


def progress_bar(
    title: str, total: int | None, done: int = 0, note: Note | None = None
) -> progressbar.ProgressBar:
    """Return a progress bar on stderr: a context manager with ``increment(n)``.

    Parameters
    ----------
    title : str
        What is in progress.
    total : int or None
        How many there are in all; None if unknown.
    done : int
        How many of them are done before the bar starts; the estimate of the
        time left ignores them.
    note : callable or None
        Returns a few words to show beside the rate.

    Returns
    -------
    progressbar.ProgressBar
        On a terminal, a bar with what is printed on stderr above it; elsewhere,
        where a bar would fill the log, a line every half minute. Nothing is
        drawn if nothing is left to do.
    """
    if not sys.stderr.isatty() or total == done:  # progressbar2 would divide by zero
        return ProgressLines(title, total, done, note)
    if total is None:
        widgets = [progressbar.AnimatedMarker(), " ", progressbar.Counter(), " "]
        widgets += [progressbar.Timer()]
    else:
        widgets = [progressbar.Percentage(), " ", progressbar.Bar(), " "]
        widgets += [progressbar.SimpleProgress(), " ", progressbar.ETA()]
    if note:
        rate = progressbar.AdaptiveTransferSpeed(unit="images", prefixes=("",))
        widgets += [" ", rate, lambda *_: f" ({note()})"]
    return DrawnBar(
        min_value=done,  # else the estimate would count what was done before as fast
        max_value=progressbar.UnknownLength if total is None else total,
        initial_value=done,
        widgets=[f"{title}: ", *widgets],
        redirect_stderr=True,
    )
