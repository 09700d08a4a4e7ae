"""Digests of files of weights."""

import hashlib
import os

import pytest

from pyimagesearch.nn.weights import is_published, sha256_of

CONTENTS = b"weights"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "some.h5").write_bytes(CONTENTS)
    return tmp_path / "some.h5"


def test_the_digest_is_that_of_the_contents(path):
    assert sha256_of(path) == hashlib.sha256(CONTENTS).hexdigest()


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_published_file_is_known_by_a_digest_of_either_kind(path, algorithm):
    assert is_published(path, hashlib.new(algorithm, CONTENTS).hexdigest())
    assert not is_published(path, hashlib.new(algorithm, CONTENTS + b"!").hexdigest())


def test_a_file_is_read_once_and_again_when_it_has_changed(path, monkeypatch):
    read = []
    file_digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda *given: read.append(given) or file_digest(*given)
    )
    assert sha256_of(path) == sha256_of(path)
    assert len(read) == 1
    path.write_bytes(CONTENTS[::-1])  # of the same size
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert sha256_of(path) == hashlib.sha256(CONTENTS[::-1]).hexdigest()
