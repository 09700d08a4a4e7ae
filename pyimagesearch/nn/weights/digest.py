"""Digests of files: by which weights are known again, and whether they are undamaged."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return _digest(path, "sha256")


def is_published(path: Path, digest: str) -> bool:
    """Return whether a file has a digest that Keras publishes: a SHA-256, or an MD5."""
    return _digest(path, "sha256" if len(digest) == 64 else "md5") == digest


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
