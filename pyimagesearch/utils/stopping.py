"""Stop on Ctrl-C and SIGTERM, at a clean point."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]


class Stopped(BaseException):
    """The user or the system asked to stop; like KeyboardInterrupt, not an error.

    Attributes
    ----------
    signal_number : int
        ``signal.SIGINT`` or ``signal.SIGTERM``.
    """

    def __init__(self, signal_number: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


def active_signals() -> list[int]:
    """List the signals to stop at: not those ignored on purpose, as with ``&`` or nohup."""
    return [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]


def stop_at_once() -> None:
    """Let Ctrl-C end the process with one line, until `main` takes over.

    A script calls this before its long imports, which Ctrl-C would otherwise
    interrupt with a traceback. There is nothing to clean up yet.
    """
    if signal.SIGINT in active_signals():
        signal.signal(signal.SIGINT, _exit)


def raising_stopped() -> contextlib.AbstractContextManager[None]:
    """Return a context in which Ctrl-C and SIGTERM raise `Stopped`."""
    return _handled(_raise_stopped)


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C and SIGTERM until the work can stop cleanly.

    Python handles signals in the main thread only: in others nothing is held
    back.

    Yields
    ------
    callable
        Call it between two pieces of work: raises `Stopped` if a signal has
        arrived. A second signal does not wait for that.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise Stopped(number)

    def check() -> None:
        if received:
            raise Stopped(received[0])

    with _handled(remember):
        yield check


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def _exit(number: int, frame: FrameType | None) -> None:
    print(f"[WARNING] {Stopped(number)}", file=sys.stderr)  # noqa: T201
    os._exit(128 + number)  # a module's ``except`` might catch an exception


@contextlib.contextmanager
def _handled(handler: Callable) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in active_signals()}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            # None is a handler that was not set from Python, which cannot restore it.
            signal.signal(number, handler_before or signal.SIG_DFL)
