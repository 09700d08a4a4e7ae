import errno
import os
import tempfile

import pytest

from pyimagesearch.utils import InputError
from pyimagesearch.utils.temporary import temporary_folder


def test_without_a_temporary_folder_the_error_names_the_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    expected = r"cannot write in the temporary folder '.*/gone': No such file .* set TMPDIR"
    with pytest.raises(InputError, match=expected), temporary_folder():
        pass


def fill(folder):
    (folder / "file").touch()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_temporary_folder_that_gets_full_is_named_and_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    expected = r"No space left on device; .* set TMPDIR"
    with pytest.raises(InputError, match=expected), temporary_folder() as folder:
        fill(folder)
    assert not list(tmp_path.iterdir())
