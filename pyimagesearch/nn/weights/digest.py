"""Digests of files, to recognise weights and to find damage."""

import hashlib
from functools import lru_cache
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return _digest(path, "sha256", _version(path))


def is_published(path: Path, digest: str) -> bool:
    """Return whether a file has a digest that Keras publishes: a SHA-256, or an MD5."""
    algorithm = "sha256" if len(digest) == 64 else "md5"
    return _digest(path, algorithm, _version(path)) == digest


def _version(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache  # weights are checked early, and named when they are read: once is enough for both
def _digest(path: Path, algorithm: str, _version: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
