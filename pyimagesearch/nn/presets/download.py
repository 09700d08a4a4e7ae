"""Fetch a preset as KerasHub does: from Kaggle, into the folder that kagglehub keeps."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.nn.presets.names import image_presets
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line

UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404


def fetch(name: str, file: str) -> Path:
    """Return the path of a preset's file, which is downloaded if it is not here yet."""
    import kagglehub

    return Path(kagglehub.model_download(image_presets()[name], file))


def fetch_if_there(name: str, file: str) -> bool:
    """Fetch a file; return False if the preset has none of that name."""
    try:
        fetch(name, file)
    except Exception as error:
        # As KerasHub reports that (keras-hub 0.32).
        if _status(error) == NOT_FOUND or "is not present in the model files" in str(error):
            return False
        raise
    return True


@contextlib.contextmanager
def named_failure(name: str) -> Iterator[None]:
    """Report a failed download in one line that states what to do.

    Raises
    ------
    InputError
        How to get the preset by hand.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # requests, kagglehub and the disk raise a dozen types
        status = _status(error)
        reason = f"HTTP {status}" if status else _reason(error)
        page = f"https://www.kaggle.com/models/{image_presets()[name].rpartition('/')[0]}"
        terms = "sign in and accept its terms, " if status in (UNAUTHORIZED, FORBIDDEN) else ""
        raise InputError(
            f"cannot download preset '{name}' from Kaggle: {reason}; {terms}download it by hand "
            f"from {page}, unpack it, and give its folder as the network, ./{name}"
        ) from error


def _reason(error: Exception) -> str:
    import requests  # as kagglehub does

    if isinstance(error, (ConnectionError, requests.ConnectionError, requests.Timeout)):
        return "it cannot be reached"
    return first_line(error)


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
