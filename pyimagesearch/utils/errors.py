"""The one exception that means the user can put it right."""

import contextlib
from collections.abc import Iterator


class InputError(ValueError):
    """Say in one line what is wrong with an input and what to do about it.

    The scripts print its message behind ``[ERROR]`` and exit with 1, without
    a traceback. Every other exception is a defect of ours and keeps its
    traceback.
    """


class NotResumableError(InputError):
    """Say what the same command, given again, would meet again: it cannot be resumed."""


@contextlib.contextmanager
def errors_naming(path: object) -> Iterator[None]:
    """Put the name of a file before what is wrong with its contents.

    Examples
    --------
    >>> with errors_naming("features.hdf5"):
    ...     raise InputError("there is one class only")
    Traceback (most recent call last):
    pyimagesearch.utils.errors.InputError: 'features.hdf5': there is one class only
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error


def first_line(error: Exception) -> str:
    """Put an exception of a library, which may have many lines, into one."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
