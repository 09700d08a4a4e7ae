"""Which names of files ask for a whole model."""

from pathlib import Path

from pyimagesearch.utils import InputError

WHOLE, PHONE = ".keras", ".tflite"


def is_whole(path: str | Path) -> bool:
    """Return whether a file of this name is a whole model.

    Examples
    --------
    >>> is_whole("animals.keras"), is_whole("animals.tflite"), is_whole("animals.skops")
    (True, True, False)
    """
    return Path(path).suffix.lower() in (WHOLE, PHONE)


def check_suffix(path: str | Path) -> None:
    """Refuse a suffix in capitals, by which Keras does not know its own files."""
    suffix = Path(path).suffix
    if is_whole(path) and suffix != suffix.lower():
        raise InputError(
            f"model '{path}' ends in '{suffix}': expected '{suffix.lower()}', which Keras and "
            "phones know; spell it so"
        )
