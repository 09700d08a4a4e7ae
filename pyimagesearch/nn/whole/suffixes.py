"""Which names of files ask for a whole model."""

from pathlib import Path

from pyimagesearch.utils import InputError

WHOLE, PHONE = ".keras", ".tflite"
NOT_WRITTEN = (".h5", ".hdf5", ".onnx")  # formats of models that a pickle under their name is not


def is_whole(path: str | Path) -> bool:
    """Return whether a file of this name is a whole model.

    Examples
    --------
    >>> is_whole("animals.keras"), is_whole("animals.tflite"), is_whole("animals.skops")
    (True, True, False)
    """
    return Path(path).suffix.lower() in (WHOLE, PHONE)


def check_suffix(path: str | Path) -> None:
    """Refuse a suffix that promises a format which the file would not have.

    Keras does not know its own files by a suffix in capitals.
    """
    suffix = Path(path).suffix
    if suffix.lower() in NOT_WRITTEN:
        raise InputError(
            f"model '{path}' ends in '{suffix}', a format that is not written: expected "
            f"{WHOLE}, {PHONE}, .skops, or .cpickle for a pickle"
        )
    if is_whole(path) and suffix != suffix.lower():
        raise InputError(
            f"model '{path}' ends in '{suffix}': expected '{suffix.lower()}', which Keras and "
            "phones know; spell it so"
        )
