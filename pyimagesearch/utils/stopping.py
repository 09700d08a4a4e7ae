"""End a script as its user expects: on a mistake, on Ctrl-C, on SIGTERM."""

import contextlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from pyimagesearch.utils.errors import InputError, SystemLimitWarning
from pyimagesearch.utils.files import DISK_IS_FULL

STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]
BROKEN_PIPE_CODE = 141  # the shell's, of SIGPIPE, which Windows has not


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


def stop_at_once() -> None:
    """Let Ctrl-C end the process with one line, until `run` takes over.

    To be called by a script before its long imports, which Ctrl-C would else
    break off with a traceback. There is nothing to clean up yet.
    """
    if signal.SIGINT in _heeded():
        signal.signal(signal.SIGINT, _exit)


def run(script: Callable[[], None]) -> int:
    """Run a script, and report how it ended.

    Parameters
    ----------
    script : callable
        Called without arguments.

    Returns
    -------
    int
        The exit code: 0 done, 1 the input is wrong or stdout is full (one line
        on stderr says how), 130 stopped by Ctrl-C, 141 nobody reads stdout any
        more, 143 stopped by SIGTERM.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The name of a class must not end the run where the terminal knows ASCII only.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _handled(_raise_stopped), _limits_told():
            script()
            sys.stdout.flush()
    except InputError as error:
        _tell("ERROR", error)
        return 1
    except Stopped as stop:
        _tell("INFO", stop)
        return 128 + stop.signal_number  # the shell's convention
    except BrokenPipeError:
        _discard_stdout()
        return BROKEN_PIPE_CODE
    except OSError as error:
        # Files have names, and what writes them says so itself: this is a stream.
        if error.errno not in DISK_IS_FULL or error.filename is not None:
            raise
        _discard_stdout()
        _tell("ERROR", InputError(f"cannot write to stdout: {error.strerror}; make room"))
        return 1
    return 0


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C and SIGTERM until the work can stop cleanly.

    In other threads than the main one Python knows no signals: nothing is
    held back there.

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

    with _handled(remember):
        yield check


def _open_closed_streams() -> None:
    """Let a stream that the caller has closed, as ``>&-`` does, be an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)


def _discard_stdout() -> None:
    """Drop what is still buffered, for ``| head`` say: it would raise again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def _exit(number: int, frame: FrameType | None) -> None:
    _tell("INFO", Stopped(number))
    os._exit(128 + number)  # an exception might end up in the ``except`` of a module


def _heeded() -> list[int]:
    """List the signals to stop at: not those ignored on purpose, as behind ``&`` or nohup."""
    return [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def _handled(handler: Callable) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            # None is a handler of another language's, which Python cannot put back.
            signal.signal(number, handler_before or signal.SIG_DFL)


@contextlib.contextmanager
def _limits_told() -> Iterator[None]:
    """Print what the system cannot do in one line, without a place in the code."""
    show = warnings.showwarning

    def tell(message: Warning, category: type[Warning], *place, **options) -> None:
        if issubclass(category, SystemLimitWarning):
            _tell("WARNING", message)
        else:
            show(message, category, *place, **options)

    warnings.showwarning = tell
    try:
        yield
    finally:
        warnings.showwarning = show


def _tell(kind: str, error: BaseException) -> None:
    """Write one line, whatever the message and the notes on it contain."""
    parts = [str(error), *getattr(error, "__notes__", [])]
    line = "; ".join(" ".join(part.split()) for part in parts)
    print(f"[{kind}] {line}", file=sys.stderr)  # noqa: T201
