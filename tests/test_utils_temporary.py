import errno
import os
import tempfile

import pytest

from pyimagesearch.utils import InputError
from pyimagesearch.utils.temporary import temporary_folder


def test_without_a_temporary_folder_the_user_is_told_how_to_name_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    said = r"cannot write in the temporary folder '.*/gone': No such file .* set TMPDIR"
    with pytest.raises(InputError, match=said), temporary_folder():
        pass


def fill(folder):
    (folder / "file").touch()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_temporary_folder_that_gets_full_is_named_and_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = r"No space left on device; .* set TMPDIR"
    with pytest.raises(InputError, match=said), temporary_folder() as folder:
        fill(folder)
    assert not list(tmp_path.iterdir())
