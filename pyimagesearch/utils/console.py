"""Where the lines of a script go: the standard logging, set up for people and pipes."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.files import DISK_IS_FULL
from pyimagesearch.utils.progress import above_the_bar

PACKAGE = "pyimagesearch"


class ConsoleHandler(logging.Handler):
    """Write ``[INFO]`` lines to stdout, and warnings and errors to stderr.

    A stream that is no longer read (``| head``) does not end a long run: it
    continues, and the script reports the error at its end.

    Attributes
    ----------
    info_to_stderr : bool
        Whether stdout is reserved for a table that other programs read.
    output_error : OSError or None
        The first error of stdout.
    """

    def __init__(self):
        super().__init__()
        self.info_to_stderr = False
        self.output_error: OSError | None = None
        self.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, above a progress bar if one is drawn."""
        to_stderr = self.info_to_stderr or record.levelno >= logging.WARNING
        with above_the_bar():
            try:
                stream = sys.stderr if to_stderr else sys.stdout
                print(self.format(record), file=stream, flush=True)
            except OSError as error:
                if not to_stderr:
                    self.output_error = self.output_error or error


@contextlib.contextmanager
def console_logging(script: str) -> Iterator[ConsoleHandler]:
    """Print what the package and a script log.

    Parameters
    ----------
    script : str
        The name of the script's logger.

    Yields
    ------
    ConsoleHandler
        What prints it. Logging of other packages is unchanged.
    """
    handler = ConsoleHandler()
    loggers = [logging.getLogger(name) for name in (PACKAGE, script)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # a library may have given the root a handler of its own
    try:
        yield handler
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def keep_stdout_for_the_table() -> None:
    """Send ``[INFO]`` lines to stderr, too, until the script ends."""
    for handler in logging.getLogger(PACKAGE).handlers:
        if isinstance(handler, ConsoleHandler):
            handler.info_to_stderr = True


def print_row(row: str) -> None:
    """Print a row of a table at once.

    Raises
    ------
    InputError
        If the disk below stdout is full: an OSError would be taken for one of the
        file that the same row is written to.
    """
    try:
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in DISK_IS_FULL:
            raise
        raise stdout_is_full(error) from error


def stdout_is_full(error: OSError) -> InputError:
    """Return what to report of a full disk below stdout, and drop what is still buffered."""
    discard_stdout()
    return InputError(f"cannot write to stdout: {error.strerror}; make room")


def discard_stdout() -> None:
    """Drop what is still buffered, after ``| head`` for example: it would raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
