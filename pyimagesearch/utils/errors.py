"""The one exception for what the user can correct."""

import contextlib
from collections.abc import Iterator


class InputError(ValueError):
    """State in one line what is wrong with an input and what to do about it.

    The scripts print its message after ``[ERROR]`` and exit with 1, without
    a traceback. Every other exception is a defect of ours and keeps its
    traceback.
    """


class NotResumableError(InputError):
    """State why running the same command again cannot resume: it would fail the same way."""


@contextlib.contextmanager
def errors_naming(path: object) -> Iterator[None]:
    """Prefix errors about the contents of a file with its name.

    Examples
    --------
    >>> with errors_naming("features.hdf5"):
    ...     raise InputError("it holds one class")
    Traceback (most recent call last):
    pyimagesearch.utils.errors.InputError: 'features.hdf5': it holds one class
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error


def first_line(error: Exception) -> str:
    """Return the first line of a library's exception, which may have many."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
