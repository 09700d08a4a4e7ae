"""Find the weights of a network: downloaded once, drawn at random, or in a file."""

import contextlib
import hashlib
import http.client
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.files import replacing
from pyimagesearch.utils.pathchecks import require_readable
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.temporary import full_disk_named

IMAGENET, RANDOM = "imagenet", "random"
SUFFIXES = (".h5", ".hdf5", ".keras")
RANDOM_SEED = 42
# What the variables of layers that normalise are where nothing was learnt: the
# layer then passes on what it gets.
NEUTRAL = {"gamma": 1, "moving_variance": 1, "variance": 1}
DOWNLOAD_TIMEOUT_S = 30.0
DOWNLOAD_BLOCK_BYTES = 2**20


def check_weights(weights: str) -> None:
    """Refuse a weights file that cannot be one, before Keras is imported.

    Parameters
    ----------
    weights : str
        ``"imagenet"``, ``"random"`` or the path of a file.

    Raises
    ------
    InputError
        If it is a path, and there is no such file.
    """
    if weights in (IMAGENET, RANDOM):
        return
    if not weights:  # which Path takes for the current folder
        raise InputError("no weights file '': expected imagenet, random or a file of weights")
    require_readable(Path(weights), "weights file", "imagenet, random or a file of weights")
    if Path(weights).suffix not in SUFFIXES:
        raise InputError(
            f"weights file '{weights}' ends in '{Path(weights).suffix}': "
            "expected .h5, .weights.h5 or .keras"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return _digest(path, "sha256")


def misfit(path: Path, network: str, why: str) -> InputError:
    """Return the complaint about a file that does not hold a network's weights."""
    return InputError(
        f"weights file '{path}' is damaged or not {network}'s: {why}; "
        f"expected the weights of {network}, with or without its head"
    )


@contextlib.contextmanager
def named_misfit(path: Path, network: str) -> Iterator[None]:
    """Complain of a file by `misfit`, whatever is raised; but not if a disk is full."""
    try:
        with full_disk_named():
            yield
    except InputError:
        raise
    except Exception as error:  # Keras, h5py and zipfile raise a dozen types for a bad file
        raise misfit(path, network, first_line(error)) from error


class HeNormal:
    """Draw random weights that every machine and backend has the same.

    He et al., "Delving Deep into Rectifiers", ICCV 2015: normally distributed,
    with a variance of 2 / fan-in.
    """

    def __init__(self):
        self._rng = np.random.default_rng(RANDOM_SEED)
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of all that has been drawn."""
        return self._digest.hexdigest()

    def kernel(self, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        """Draw the kernel of a layer."""
        drawn = self._rng.standard_normal(shape, np.float32)
        return self._seen(drawn * np.float32(np.sqrt(2 / fan_in)))

    def constant(self, shape: tuple[int, ...], name: str) -> np.ndarray:
        """Return what is not random, such as a bias, by the name of the variable."""
        return self._seen(np.full(shape, NEUTRAL.get(name, 0), np.float32))

    def _seen(self, array: np.ndarray) -> np.ndarray:
        self._digest.update(array)
        return array


def imagenet_file(network: str, url: str, digest: str | None) -> Path:
    """Return a file that Keras publishes, downloaded if need be, and not damaged.

    Parameters
    ----------
    network : str
        Whose weights they are, for messages.
    url : str
        Where the file is published; it is kept in Keras's own folder.
    digest : str or None
        Its MD5 or SHA-256, in hexadecimal digits, as far as there is one.

    Raises
    ------
    InputError
        If it cannot be downloaded, or is another file than was published.
    """
    path = keras_home() / "models" / Path(urlsplit(url).path).name
    if not os.path.exists(path):
        try:
            _download(url, path, digest)
        except (OSError, ValueError, http.client.HTTPException) as error:  # sockets, ssl, digest
            raise InputError(
                f"cannot download the ImageNet weights of {network}: {first_line(error)}; "
                f"fetch {url} by hand, then put it at '{path}' or give --weights FILE"
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


def is_published(path: Path, digest: str) -> bool:
    """Tell whether a file has a digest that Keras publishes, of either kind."""
    return _digest(path, "sha256" if len(digest) == 64 else "md5") == digest


def keras_home() -> Path:
    """Return the folder where Keras keeps what it downloads."""
    try:
        return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"cannot tell where ImageNet weights are kept: {first_line(error)}; "
            "set KERAS_HOME or give --weights FILE"
        ) from error


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _download(url: str, path: Path, digest: str | None) -> None:
    """Fetch a file whole, or leave none."""
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
            raise ValueError(f"{temporary.stat().st_size:,} of {n_bytes:,} bytes came")
        if digest and not is_published(temporary, digest):
            raise ValueError("what came has another digest than was published")
