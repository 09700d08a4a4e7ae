"""Folders as people have them, and machines as they find them."""

import contextlib
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import fake_network, load_fake
from draw import draw_images
from PIL import Image

from extract_features import extract
from pyimagesearch import io
from pyimagesearch.preprocessing import checkedimages
from pyimagesearch.preprocessing.fingerprints import fingerprints
from pyimagesearch.preprocessing.imageloader import inspect_image
from pyimagesearch.preprocessing.roworder import split_order
from pyimagesearch.utils import InputError
from pyimagesearch.utils.console import console_logging
from pyimagesearch.utils.split import n_train_rows

ROOT = Path(__file__).parents[1]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "features.hdf5"


def run(folder, output, **options) -> str:
    """Extract with the network of three lines; return what was printed on stdout."""
    with contextlib.redirect_stdout(StringIO()) as printed, console_logging("extract_features"):
        extract(folder, output, **({"load_network": load_fake} | options))
    return printed.getvalue()


def provenance(path) -> dict:
    with h5py.File(path) as db:
        return json.loads(db["features"].attrs["provenance"])


def stop_after(n_batches):
    """Return a loader of a network that fails after so many batches of two."""

    def load(*_):
        network = fake_network(concurrent=False)
        compute, calls = network.compute, []

        def fail_at_last(batch):
            calls.append(1)
            if len(calls) > n_batches:
                raise InputError("stopped here")
            return compute(batch)

        network.compute = fail_at_last
        return network

    return load


@pytest.fixture
def unfinished(image_folder, output, monkeypatch):
    """Leave 6 of 15 rows behind, of images older than the run."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(time.time()) + 1))
    monkeypatch.setattr(io.unfinished, "time", SimpleNamespace(time=lambda: time.time() + 1))
    with pytest.raises(InputError, match="stopped here"):
        run(image_folder, output, buffer_size=1, load_network=stop_after(3))
    with h5py.File(f"{output}.partial") as db:
        assert (db["labels"][:] >= 0).sum() == 6
    return output


@pytest.fixture
def checked_paths(monkeypatch):
    """Take note of the images that are decoded by the check."""
    paths, inspect = [], checkedimages.inspect_image

    def note(path, decoding):
        paths.append(path)
        return inspect(path, decoding)

    monkeypatch.setattr(checkedimages, "inspect_image", note)
    return paths


def test_a_run_is_resumed_in_the_order_in_which_an_earlier_release_began(
    image_folder, tmp_path, monkeypatch
):
    def backwards(*arguments):
        order, n_train = split_order(*arguments)
        return order[::-1], n_train

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    whole, broken, now = (tmp_path / name for name in ("whole.hdf5", "broken.hdf5", "now.hdf5"))
    run(image_folder, now)
    with monkeypatch.context() as earlier:
        earlier.setattr(checkedimages, "split_order", backwards)
        run(image_folder, whole)
        with contextlib.suppress(InputError):
            run(image_folder, broken, load_network=stop_after(4), buffer_size=1)
    run(image_folder, broken)
    assert broken.read_bytes() == whole.read_bytes()
    assert provenance(whole)["paths"] == provenance(now)["paths"][::-1]


def test_few_images_of_many_classes_train_and_test_each(tmp_path, output, capsys):
    names = [f"c{k:02}" for k in range(20)]
    draw_images(tmp_path / "images", names, 5)
    run(tmp_path / "images", output)
    assert capsys.readouterr().err == ""
    with h5py.File(output) as db:
        labels = db["labels"][:]
    assert set(np.bincount(labels[:75])) == {3, 4}
    assert set(np.bincount(labels[75:])) == {1, 2}


def swap(one: Path, other: Path) -> None:
    one.rename(third := one.with_suffix(""))
    other.rename(one)
    third.rename(other)


def test_a_resumed_run_checks_the_missing_images_only(image_folder, unfinished, checked_paths):
    printed = run(image_folder, unfinished)
    paths = provenance(unfinished)["paths"]
    assert sorted(checked_paths) == sorted(image_folder / path for path in paths[6:])
    assert "checking 9 of 15 images of 3 classes..." in printed


def test_a_resumed_run_makes_the_same_file(image_folder, unfinished, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    whole, broken = tmp_path / "whole.hdf5", tmp_path / "broken.hdf5"
    run(image_folder, whole)
    with contextlib.suppress(InputError):
        run(image_folder, broken, load_network=stop_after(4), buffer_size=1)
    run(image_folder, broken)
    assert broken.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("rows", [(0, 2), (2, 8), (8, 12)], ids=["done", "one done", "missing"])
def test_images_that_swap_their_names_are_refused_when_a_run_is_resumed(
    image_folder, unfinished, rows, monkeypatch
):
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    paths = provenance(f"{unfinished}.partial")["paths"]
    one, other = (image_folder / paths[row] for row in rows)
    for path in (one, other):  # of equal size: only their contents differ
        path.write_bytes(path.read_bytes().ljust(9000, b"\0"))
    unfinished.with_name(unfinished.name + ".partial").unlink()
    with pytest.raises(InputError, match="stopped here"):
        run(image_folder, unfinished, buffer_size=1, load_network=stop_after(3))
    swap(one, other)
    with pytest.raises(InputError, match="changed since the interrupted run"):
        run(image_folder, unfinished)


def no_check(*_):
    raise AssertionError("images were checked")


def wrong_weights(*_):
    raise InputError("no weights")


def other_settings(*_):
    return fake_network(batch_size=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"load_network": wrong_weights}, "no weights", id="weights"),
        pytest.param({"load_network": other_settings}, "differs in batch_size", id="settings"),
        pytest.param({"seed": 7}, "differs in seed", id="seed"),
    ],
)
def test_what_is_wrong_is_reported_before_images_are_read(
    image_folder, unfinished, monkeypatch, options, message
):
    monkeypatch.setattr("extract_features.check_images", no_check)
    with pytest.raises(InputError, match=message):
        run(image_folder, unfinished, **options)


def test_a_full_disk_is_reported_before_images_are_read(image_folder, output, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr("extract_features.check_images", no_check)
    monkeypatch.setattr(io.partialfile, "fallocate", lambda *_: False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    message = r"cannot make '.*\.partial' \(0 MB\): No space left on device; make room"
    with pytest.raises(InputError, match=message):
        run(image_folder, output)
    assert not list(output.parent.glob("features*"))


def test_an_image_that_is_gone_or_new_is_reported_before_images_are_read(
    image_folder, unfinished, monkeypatch
):
    monkeypatch.setattr("extract_features.check_images", no_check)
    (image_folder / "cats" / "cats_000.jpg").rename(image_folder / "cats" / "new.jpg")
    with pytest.raises(InputError, match=r"1 gone, such as 'cats/cats_000.jpg', 1 new"):
        run(image_folder, unfinished)


def test_one_class_is_refused_before_the_network_is_loaded(tmp_path, output):
    draw_images(tmp_path / "images", ["train"], 3)
    with pytest.raises(InputError, match="of one class, 'train'"):
        run(tmp_path / "images", output, load_network=no_check)


def test_skipped_files_are_reported(image_folder, output, capsys):
    (image_folder / "cats" / "notes.txt").touch()
    (image_folder / "birds").mkdir()
    (image_folder / "birds" / "1.psd").touch()
    printed = run(image_folder, output)
    assert "\n[INFO] skipped: 1 .psd, 1 .txt\n" in printed
    assert capsys.readouterr().err == ("[WARNING] no images in 'birds': it is not a class\n")


def test_splits_and_small_classes_are_warned_of(tmp_path, output, capsys):
    draw_images(tmp_path / "images" / "train", ["cats", "dogs"], 8)
    draw_images(tmp_path / "images" / "test", ["cats", "dogs"], 2, seed=1)
    draw_images(tmp_path / "images", ["val"], 1, seed=2)
    run(tmp_path / "images", output)
    split, merged, small = capsys.readouterr().err.splitlines()
    assert split.startswith("[WARNING] a class has the name of a split, 'val', from 'val': ")
    assert merged.startswith("[WARNING] 'test', 'train' look like the parts of a split, but ")
    assert f"--dataset {tmp_path}/images/test --output test.hdf5" in merged
    assert small.startswith("[WARNING] 1 class has fewer than 4 images, 'val' (1): too few ")


def test_duplicates_are_reported_and_lie_on_one_side_of_the_split(image_folder, output, capsys):
    for i in range(4):
        shutil.copy(image_folder / "cats" / "cats_000.jpg", image_folder / "cats" / f"copy{i}.jpg")
    printed = run(image_folder, output)
    assert "duplicates: 4 of 19 images repeat another of their class byte for byte; " in printed
    assert capsys.readouterr().err == ""
    paths = provenance(output)["paths"]
    copies = [i for i, path in enumerate(paths) if "copy" in path or path == "cats/cats_000.jpg"]
    n_train = n_train_rows(len(paths))
    assert len(copies) == 5
    assert len({row < n_train for row in copies}) == 1
    assert provenance(output)["duplicate_groups"] == [copies]


def test_an_image_saved_again_is_a_duplicate_in_a_resumed_run_too(
    image_folder, output, monkeypatch
):
    for name in ("cats/cats_000", "dogs/dogs_003"):
        with Image.open(image_folder / f"{name}.jpg") as image:
            image.save(image_folder / f"{name}.png")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")  # so that two files can be equal
    printed = run(image_folder, output)
    assert "near duplicates: 2 images repeat another one (saved again or resized); " in printed
    recorded, whole = provenance(output), output.read_bytes()
    paths = recorded["paths"]
    near = {frozenset((paths[i], paths[j])) for i, j, _ in recorded["near_duplicates"]}
    assert near == {
        frozenset((f"{name}.jpg", f"{name}.png")) for name in ("cats/cats_000", "dogs/dogs_003")
    }
    n_train = n_train_rows(len(paths))
    for group in recorded["duplicate_groups"]:
        assert len({row < n_train for row in group}) == 1

    output.unlink()
    with pytest.raises(InputError, match="stopped here"):
        run(image_folder, output, load_network=stop_after(3))
    monkeypatch.setattr(io.unfinished, "_changed", lambda path: 0)  # six images are not read again
    assert "near duplicates: 2 images" in run(image_folder, output)
    assert output.read_bytes() == whole


def test_an_image_in_several_classes_is_named(image_folder, output, capsys):
    shutil.copy(image_folder / "cats" / "cats_000.jpg", image_folder / "dogs" / "same.jpg")
    run(image_folder, output)
    found = capsys.readouterr().err.splitlines()
    (printed,) = (line for line in found if "the same image is in 2 classes: " in line)
    assert "'cats/cats_000.jpg'" in printed
    assert "'dogs/same.jpg'" in printed


def test_linked_folders_and_their_images_are_extracted(image_folder, tmp_path, output):
    links = tmp_path / "links"
    links.mkdir()
    for name in ("cats", "dogs"):
        (links / name).symlink_to(image_folder / name, target_is_directory=True)
    run(links, output)
    with h5py.File(output) as db:
        assert db["features"].shape == (10, 24)
        assert list(db["label_names"].asstr()) == ["cats", "dogs"]


def test_features_are_extracted_in_a_thread(image_folder, output):
    thread = threading.Thread(target=run, args=(image_folder, output))
    thread.start()
    thread.join()
    assert output.exists()


def test_a_folder_that_cannot_be_synced_does_no_harm(image_folder, output, monkeypatch, capsys):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    run(image_folder, output)
    assert "cannot sync" in capsys.readouterr().err
    assert output.exists()


WITHOUT = """
import os, runpy, signal, sys
sys.modules['fcntl'] = None
del os.O_DIRECTORY, os.geteuid
for name in ('posix_fallocate', 'sched_getaffinity'):  # which macOS has not, either
    vars(os).pop(name, None)
del signal.SIGPIPE, signal.pthread_sigmask
import ctypes
ctypes.CDLL = None
import warnings
warnings.filterwarnings('ignore', 'only soft file lock')  # of a Unix without fcntl
sys.path[:0] = sys.argv[1:3]
from conftest import load_fake
import extract_features
real = extract_features.extract
extract_features.extract = lambda *a, **o: real(*a, **o, load_network=load_fake)
raise SystemExit(extract_features.main(sys.argv[3:]))
"""


def test_the_script_runs_with_what_windows_has(image_folder, output):
    paths = [str(ROOT), str(ROOT / "tests")]
    argv = ["-d", str(image_folder), "-o", str(output)]
    command = [sys.executable, "-c", WITHOUT, *paths, *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert output.exists()


def test_a_file_records_what_the_image_of_each_row_looks_like(image_folder, output):
    run(image_folder, output)
    recorded = provenance(output)
    found = [inspect_image(image_folder / path, None) for path in recorded["paths"]]
    expected = fingerprints(np.stack([of.thumbnail for of in found]))
    assert recorded["fingerprints"] == expected
    assert len(set(expected)) == len(found)
