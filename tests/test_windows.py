"""No file is renamed or deleted while this process has it open, which Windows refuses."""

import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import fake_network, load_fake

import classify_images
import train_model
from extract_features import extract
from pyimagesearch.io import HDF5DatasetWriter
from pyimagesearch.utils import InputError, files

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="what is open is read from Linux's /proc"
)
ROWS = np.arange(40, dtype=np.float32).reshape(10, 4)


def is_open(path: str, folder: int | None) -> bool:
    """Return whether this process has a file open, or mapped into its memory."""
    try:
        status = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    if folder is not None:
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)  # noqa: PTH118, PTH115
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            if os.path.samestat(os.stat(f"/proc/self/fd/{name}"), status):  # noqa: PTH116
                return True
        except OSError:
            continue
    mapped = Path("/proc/self/maps").read_text(errors="surrogateescape")
    return f" {os.path.realpath(path)}\n" in mapped


@pytest.fixture(autouse=True)
def as_on_windows(monkeypatch):
    """Refuse to rename or to delete what is open."""

    def refusing(function, n_paths: int):
        def call(*arguments, **options):
            folder = options.get("dir_fd")
            for path in arguments[:n_paths]:
                if is_open(os.fspath(path), folder):
                    raise PermissionError(errno.EACCES, "it is open in this process", str(path))
            return function(*arguments, **options)

        return call

    for name, n_paths in (("replace", 2), ("rename", 2), ("unlink", 1), ("remove", 1)):
        monkeypatch.setattr(os, name, refusing(getattr(os, name), n_paths))
    monkeypatch.setattr(files, "OPEN_FILES_ARE_FIXED", True)


def test_what_is_open_is_refused_here(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(bytes(8))
        for spoil in (path.unlink, lambda: path.replace(tmp_path / "b")):
            with pytest.raises(PermissionError):
                spoil()
    mapped = np.memmap(path, mode="r")
    with pytest.raises(PermissionError):
        path.unlink()
    del mapped
    path.unlink()


@pytest.mark.parametrize("names_at", [0, 6, 10])
def test_a_writer_moves_and_resumes_closed_files(tmp_path, names_at):
    output = tmp_path / "f.hdf5"
    with pytest.warns(UserWarning, match="2 of 10 rows"), HDF5DatasetWriter((10, 4), output) as one:
        one.add(ROWS[:2], [0, 1])
    with HDF5DatasetWriter((10, 4), output, resume=True) as writer:
        with pytest.raises(InputError, match="being written by another run"):
            HDF5DatasetWriter((10, 4), output, resume=True)
        for row in range(2, 10):
            if row == names_at:
                writer.storeClassLabels(["a", "b"])
            writer.add(ROWS[row : row + 1], [row % 2])
            writer.flush()
        writer.storeClassLabels(["a", "b"])
    with h5py.File(output) as db:
        np.testing.assert_array_equal(db["images"][:], ROWS)
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.slow
def test_extraction_training_and_classifying_write_all_their_outputs(
    image_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    extract(image_folder, "f.hdf5", load_network=load_fake)
    outputs = ["-m", "m.cpickle", "-m", "m.skops", "--report", "r.json", "--report", "r.html"]
    outputs += ["--plot", "p.png", "--suspects", "s.csv"]
    for _ in range(2):  # the second time over the files of the first
        assert train_model.main(["-d", "f.hdf5", *outputs]) == 0
        argv = ["-m", "m.cpickle", str(image_folder), "--csv", "a.csv", "--sheet", "sheet.png"]
        argv += ["--report", "c.html", "--report", "c.json", "--sort", "sorted"]
        assert classify_images.main(argv, load=lambda *_, **__: fake_network()) == 0
    assert not list(tmp_path.glob(".*"))
