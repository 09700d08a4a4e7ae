"""End a script as its user expects: on a mistake, on Ctrl-C, on SIGTERM."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from pyimagesearch.utils.errors import InputError


class Stopped(BaseException):
    """The user or the system asked for a stop; like KeyboardInterrupt, no error.

    Attributes
    ----------
    signal_number : int
        ``signal.SIGINT`` or ``signal.SIGTERM``.
    """

    def __init__(self, signal_number: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


def run(story: Callable[[], None]) -> int:
    """Run a script's story, and report how it ended.

    Parameters
    ----------
    story : callable
        Called without arguments.

    Returns
    -------
    int
        The exit code: 0 done, 1 the input is wrong (one line on stderr says
        how), 130 stopped by Ctrl-C, 141 nobody reads stdout any more, 143
        stopped by SIGTERM.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The name of a class must not end the run where the terminal knows ASCII only.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _handled((signal.SIGINT, signal.SIGTERM), _raise_stopped):
            story()
            sys.stdout.flush()
    except InputError as error:
        _tell("ERROR", error)
        return 1
    except Stopped as stop:
        _tell("INFO", stop)
        return 128 + stop.signal_number  # the shell's convention
    except BrokenPipeError:
        # What is still buffered for ``| head``, say, would raise again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C and SIGTERM until the work can stop cleanly.

    Yields
    ------
    callable
        To be called between two pieces of work: raises `Stopped` if a signal
        has come. A second signal does not wait for that.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise Stopped(number)

    def check() -> None:
        if received:
            raise Stopped(received[0])

    with _handled((signal.SIGINT, signal.SIGTERM), remember):
        yield check


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


@contextlib.contextmanager
def _handled(numbers: tuple[int, ...], handler: Callable) -> Iterator[None]:
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler_before in zip(numbers, before, strict=True):
            signal.signal(number, handler_before)


def _tell(kind: str, error: BaseException) -> None:
    """Write one line, whatever the message and the notes on it contain."""
    parts = [str(error), *getattr(error, "__notes__", [])]
    line = "; ".join(" ".join(part.split()) for part in parts)
    print(f"[{kind}] {line}", file=sys.stderr)  # noqa: T201
