"""The ImageNet weights that Keras publishes: downloaded once, and kept where Keras keeps them."""

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from pyimagesearch.nn.weights.digest import is_published
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.files import replacing
from pyimagesearch.utils.pathchecks import require_readable
from pyimagesearch.utils.progress import progress_bar

DOWNLOAD_TIMEOUT_S = 30.0
DOWNLOAD_BLOCK_BYTES = 2**20
# What is raised where there is no connection, or where it is lost.
NO_CONNECTION = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)


class DownloadError(InputError):
    """Return the error of missing weights that cannot be downloaded."""


def imagenet_file(network: str, url: str, digest: str | None) -> Path:
    """Return a file that Keras publishes, downloaded if need be, and not damaged.

    Parameters
    ----------
    network : str
        Whose weights they are, for messages.
    url : str
        Where the file is published; it is kept in Keras's own folder.
    digest : str or None
        Its MD5 or SHA-256, in hexadecimal digits, if there is one.

    Raises
    ------
    DownloadError
        If it is missing, and cannot be downloaded.
    InputError
        If it cannot be stored, or differs from the published file.
    """
    path = keras_home() / "models" / Path(urlsplit(url).path).name
    if not os.path.exists(path):
        try:
            _download(url, path, digest)
        except (OSError, ValueError, http.client.HTTPException) as error:  # sockets, ssl, digest
            kind = DownloadError if isinstance(error, NO_CONNECTION) else InputError
            raise kind(
                f"cannot download the ImageNet weights of {network}: {first_line(error)}; "
                f"fetch {url} by hand, then put it at '{path}' or give its path as the weights"
            ) from error
        return path
    require_readable(path, "weights file", f"what {url} gives")
    if digest and not is_published(path, digest):
        # Keras would delete the file, even where it cannot fetch another.
        raise InputError(
            f"weights file '{path}' is damaged (its digest is not {digest}): "
            f"delete it, or replace it by {url}"
        )
    return path


def keras_home() -> Path:
    """Return the folder where Keras keeps what it downloads."""
    try:
        return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"cannot find out where ImageNet weights are kept: {first_line(error)}; "
            "set KERAS_HOME or give a file as the weights"
        ) from error


def _download(url: str, path: Path, digest: str | None) -> None:
    """Download a complete file, or leave none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as response,
        replacing(path) as temporary,
    ):
        n_bytes = getattr(response, "length", None)  # of a file, or where no server says
        with progress_bar("Downloading Weights", n_bytes) as bar, temporary.open("wb") as file:
            while block := response.read(DOWNLOAD_BLOCK_BYTES):
                file.write(block)
                bar.increment(len(block))
        if n_bytes is not None and temporary.stat().st_size != n_bytes:
            raise ConnectionError(f"received {temporary.stat().st_size:,} of {n_bytes:,} bytes")
        if digest and not is_published(temporary, digest):
            raise ValueError("checksum mismatch: it is not the published file")
