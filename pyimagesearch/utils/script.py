"""Run a script, and exit as its user expects."""

import functools
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pyimagesearch.utils.console import console_logging, discard_stdout, stdout_is_full
from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.files import DISK_IS_FULL
from pyimagesearch.utils.stopping import Stopped, raising_stopped

BROKEN_PIPE_CODE = 141  # the shell's code for SIGPIPE, which Windows does not have

logger = logging.getLogger(__name__)


def script(main: Callable[..., None]) -> Callable[..., int]:
    """Let a script's `main` log to the console, and return how it ended.

    Parameters
    ----------
    main : callable
        Reads the command line and does the work.

    Returns
    -------
    callable
        Takes what `main` takes, and returns the exit code: 0 done, 1 the input
        is wrong or the disk behind stdout is full (one line on stderr explains),
        130 stopped by Ctrl-C, 141 stdout is closed, 143 stopped by SIGTERM.
    """

    @functools.wraps(main)
    def run(*arguments: object, **options: object) -> int:
        _open_closed_streams()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A class name must not end the run on a terminal that has only ASCII.
            sys.stdout.reconfigure(errors="backslashreplace")
        with console_logging(main.__module__) as console:
            try:
                with raising_stopped():
                    main(*arguments, **options)
                    if console.output_error:
                        raise console.output_error
                    sys.stdout.flush()
            except InputError as error:
                logger.error(_in_one_line(error))
                return 1
            except Stopped as stop:
                logger.warning(_in_one_line(stop))
                return 128 + stop.signal_number  # the shell's convention
            except BrokenPipeError:
                discard_stdout()
                return BROKEN_PIPE_CODE
            except OSError as error:
                # What writes a named file reports its errors itself: this is a stream.
                if error.errno not in DISK_IS_FULL or error.filename is not None:
                    raise
                logger.error(stdout_is_full(error))
                return 1
            finally:
                if console.output_error:
                    discard_stdout()
            return 0

    return run


def _open_closed_streams() -> None:
    """Replace a stream that the caller has closed, as ``>&-`` does, by an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)


def _in_one_line(error: BaseException) -> str:
    """Return the message of an exception and its notes in one line."""
    parts = [str(error), *getattr(error, "__notes__", [])]
    return "; ".join(" ".join(part.split()) for part in parts)
