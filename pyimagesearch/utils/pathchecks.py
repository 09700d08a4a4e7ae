"""Checks of paths before hours are spent: inputs exist, and outputs overwrite none of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.files import check_writable

Files = Mapping[str, str | Sequence[str] | None]  # of options, by their long names


def require_readable(path: Path, what: str, expected: str) -> None:
    """Refuse what is not a file, or cannot be opened for reading.

    Parameters
    ----------
    path : Path
        The file.
    what, expected : str
        What it is, and what should be there, for the message.

    Raises
    ------
    InputError
        With the system's own reason, if it has one.
    """
    try:
        if path.is_file():  # opening a FIFO would wait for ever
            path.open("rb").close()
            return
    except OSError as error:
        raise InputError(
            f"cannot read {what} '{path}': {error.strerror}; expected {expected}"
        ) from error
    raise InputError(f"no {what} '{path}': expected {expected}")


def files_of(options: Files) -> Iterator[tuple[str, str]]:
    """Yield each file of some options, with the option; a repeatable one has a list.

    Examples
    --------
    >>> list(files_of({"model": "a", "plot": None, "report": ["b", "c"]}))
    [('model', 'a'), ('report', 'b'), ('report', 'c')]
    """
    for option, files in options.items():
        yield from ((option, file) for file in ([files] if isinstance(files, str) else files or ()))


def check_outputs(outputs: Files, **inputs: str | None) -> None:
    """Refuse outputs that cannot be written, or would overwrite another file of the command line.

    Call it before the work starts. Missing parent folders of the outputs are
    created.

    Parameters
    ----------
    outputs, inputs : mapping of str to str, sequence of str or None
        The file or the files of each option, by its long name; None where it
        is not given.

    Raises
    ------
    InputError
        If two options name the same file, or as `check_writable` does.
    """
    require_distinct(inputs | outputs)
    for _, path in files_of(outputs):
        check_writable(Path(path))


def require_distinct(options: Files) -> None:
    """Refuse options that name the same file: one would overwrite the other.

    Parameters
    ----------
    options : mapping of str to str, sequence of str or None
        The file or the files of each option, by its long name; None where it
        is not given.

    Raises
    ------
    InputError
        If two of them are the same file.
    """
    taken: dict[Path, str] = {}
    for option, path in files_of(options):
        file = Path(path).resolve()
        if file in taken:
            raise InputError(f"--{option} and --{taken[file]} are both '{path}': give another file")
        taken[file] = option


def refuse_overwriting(outputs: Files, inputs: Iterable[str | Path | None]) -> None:
    """Refuse outputs that would overwrite what is read.

    Parameters
    ----------
    outputs : mapping of str to str, sequence of str or None
        The file or the files of each option, by its long name; None where it
        is not given.
    inputs : iterable of str, Path or None
        What is read, images for example; missing files are ignored.

    Raises
    ------
    InputError
        If an output is one of them, under any name.
    """
    written = {_identity(path): option for option, path in files_of(outputs)}
    written.pop(None, None)
    if not written:
        return  # instead of checking each of a million images
    for path in inputs:
        if path and (option := written.get(_identity(path))):
            raise InputError(
                f"--{option} would overwrite '{path}', which is an input: give another file"
            )


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Return what identifies a file under any name; None if it does not exist."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):  # ValueError: no file has such a name
        return None
    return status.st_dev, status.st_ino
