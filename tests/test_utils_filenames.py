"""Names with an accent where Python reads the names of files as ASCII."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from draw import draw_images

from pyimagesearch.io import HDF5DatasetWriter
from pyimagesearch.utils import InputError
from pyimagesearch.utils.filenames import recorded_path, typed_path, why_no_text

ROOT = Path(__file__).parents[1]
ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}


def run_in_ascii(*command: str | Path) -> subprocess.CompletedProcess:
    environment = os.environ | ASCII | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *command]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    probe = "import sys; print(sys.getfilesystemencoding())"
    encoding = subprocess.run([sys.executable, "-c", probe], capture_output=True, env=environment)
    if encoding.stdout.strip() != b"ascii":
        pytest.skip("file names are always UTF-8 here")
    return done


@pytest.mark.parametrize("recorded", ["café", os.fsdecode("café".encode())])
def test_a_recorded_name_is_that_of_its_file(tmp_path, recorded):
    (tmp_path / "café").touch()
    assert recorded_path(str(tmp_path / recorded)).exists()
    assert recorded_path("caf\udcc3\udca9") == recorded_path("café")


def test_a_name_that_is_not_utf_8_stays_as_it_is():
    assert recorded_path("caf\udce9") == Path("caf\udce9")
    assert why_no_text("caf\udce9") == r"'caf\udce9' is not valid UTF-8: rename it"


def test_a_recorded_name_is_taken_as_it_is_where_names_are_text(monkeypatch):
    """As on Windows, which has no bytes to decode; the surrogates may come from elsewhere."""
    monkeypatch.setattr(sys, "getfilesystemencodeerrors", lambda: "surrogatepass")
    for name in ("café", "caf\udce9", "half a pair \ud83d"):
        assert recorded_path(name) == Path(name)


def test_a_typed_path_that_can_name_no_file_is_refused(monkeypatch):
    assert typed_path(b"caf\xe9") == "caf\udce9"
    monkeypatch.setattr(os, "fsdecode", lambda line: line.decode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"b'caf\\xe9' on stdin is not UTF-8: expected paths"):
        typed_path(b"caf\xe9")


def test_a_class_folder_that_cannot_be_spelled_is_not_called_invalid(tmp_path):
    draw_images(tmp_path / "images", ["thé", "chats"], 2)
    program = (
        "import sys\n"
        "from pyimagesearch.preprocessing import list_labelled_images\n"
        "list_labelled_images(sys.argv[1])\n"
    )
    done = run_in_ascii("-c", program, tmp_path / "images")
    line = done.stderr.decode("ascii").splitlines()[-1]
    assert r"th\xe9' cannot be spelled in ascii" in line
    assert "set PYTHONUTF8=1" in line


@pytest.mark.slow
def test_images_recorded_in_utf_8_are_found_and_not_overwritten_in_ascii(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_images(tmp_path / "images", ["thé", "chats"], 1)
    images = sorted(str(path.relative_to("images")) for path in Path("images").rglob("*.jpg"))
    labels = np.arange(40) % 2
    rows = np.random.default_rng(0).standard_normal((40, 8))
    provenance = {"dataset": "images", "paths": [images[label] for label in labels]}
    with HDF5DatasetWriter((40, 8), "f.hdf5", "features", provenance=provenance) as writer:
        writer.storeClassLabels(["chats", "thé"])
        writer.add(rows, labels)
    command = [ROOT / "train_model.py", "-d", "f.hdf5", "-m", "m.skops", "--C", "1"]
    done = run_in_ascii(*command, "--mistakes", "mistakes.svg", "--report", "r.json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "cannot read" not in Path("mistakes.svg").read_text("utf-8")
    assert json.loads(Path("r.json").read_text("utf-8"))["label_names"] == ["chats", "thé"]
    precious = Path("images", images[1]).read_bytes()
    done = run_in_ascii(*command, "--report", Path("images", images[1]))
    assert (done.returncode, b"--report would overwrite" in done.stderr) == (1, True)
    assert Path("images", images[1]).read_bytes() == precious
