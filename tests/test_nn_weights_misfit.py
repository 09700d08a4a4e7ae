"""Whose fault it is that weights cannot be read."""

import errno
import zipfile

import pytest
from smallnetworks import load_vgg, narrow_model

from pyimagesearch.nn import weights
from pyimagesearch.utils import InputError

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_a_full_temporary_folder_is_not_the_fault_of_the_file(tmp_path, narrow, monkeypatch):
    path = tmp_path / "saved.keras"
    narrow_model().save(path)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extract", fail)
    message = r"cannot write in the temporary folder '.*': No space left on device; .*TMPDIR"
    with pytest.raises(InputError, match=message):
        load_vgg(str(path))
    with pytest.raises(InputError, match=message), weights.named_misfit(path, "VGG16"):
        fail()


def test_what_a_library_raises_names_the_file_and_the_network(tmp_path):
    path = tmp_path / "other.h5"
    with (
        pytest.raises(InputError, match=r"other\.h5' is damaged or not VGG16's: no such group; "),
        weights.named_misfit(path, "VGG16"),
    ):
        raise ValueError("no such group")


def test_what_is_a_users_mistake_already_stays_as_it_is(tmp_path):
    mistake = InputError("expected 3 rows")
    with pytest.raises(InputError) as caught, weights.named_misfit(tmp_path, "VGG16"):
        raise mistake
    assert caught.value is mistake
