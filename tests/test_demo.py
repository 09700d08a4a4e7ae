"""`make demo`: what it draws, and when it continues with random weights."""

import errno
import hashlib
from pathlib import Path

import demo
import pytest
from draw import CORNERS
from PIL import Image

from pyimagesearch.nn import DownloadError
from pyimagesearch.utils import InputError


def failing(error: Exception):
    def load_network(_):
        raise error

    return load_network


def test_the_images_that_it_classifies_trained_nothing(tmp_path):
    demo.draw_demo(tmp_path / "images", tmp_path / "new")
    demo.draw_demo(tmp_path / "images", tmp_path / "new")  # a second run draws the same again
    drawn = sorted(tmp_path.rglob("*.jpg"))
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in drawn}) == len(drawn)
    assert {path.stem for path in (tmp_path / "new").iterdir()} == set(CORNERS)
    counts = {path.name: len(list(path.iterdir())) for path in (tmp_path / "images").iterdir()}
    assert counts == dict.fromkeys(CORNERS, demo.N_IMAGES) | {"star": demo.N_IMAGES + 1}


def test_random_weights_stand_in_for_those_that_cannot_be_downloaded(monkeypatch, caplog):
    monkeypatch.setattr(demo, "load_network", failing(DownloadError("no connection")))
    assert demo.weights_at_hand() == "random"
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no connection",
        "continuing with random weights",
        "with the weights in a file of yours",
    ]


@pytest.mark.parametrize("error", [InputError("damaged"), MemoryError()], ids=repr)
def test_random_weights_stand_in_for_nothing_else(monkeypatch, error):
    monkeypatch.setattr(demo, "load_network", failing(error))
    with pytest.raises(type(error)):
        demo.weights_at_hand()


def test_a_folder_that_cannot_be_created_is_named_in_one_line(tmp_path, capsys):
    (tmp_path / "demo").write_bytes(b"")
    assert demo.main(str(tmp_path / "demo")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"[ERROR] cannot create folder '{tmp_path / 'demo'}")


def test_a_full_disk_is_not_taken_for_that_of_stdout(tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    assert demo.main(str(tmp_path)) == 1
    assert "[ERROR] cannot write 'images" in capsys.readouterr().err.replace(f"{tmp_path}/", "")


def test_a_command_that_fails_ends_it_with_its_exit_code(tmp_path, capfd):
    failing = tmp_path / "failing.py"
    failing.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit) as ended:
        demo.run(str(failing))
    assert ended.value.code == 3
    assert capfd.readouterr().out == f"\n$ python {failing}\n"


def test_it_extracts_trains_and_classifies_and_ends_with_its_page(tmp_path, monkeypatch, capsys):
    commands = []
    monkeypatch.setattr(demo, "run", lambda *command: commands.append(list(map(str, command))))
    monkeypatch.setattr(demo, "weights_at_hand", lambda: "random")
    monkeypatch.chdir(tmp_path)
    assert demo.main("demo") == 0
    assert [command[0] for command in commands] == [
        "extract_features.py",
        "train_model.py",
        "classify_images.py",
    ]
    assert commands[0][-2:] == ["--weights", "random"]
    assert (
        capsys.readouterr().out.splitlines()[-1] == f"look at {Path('demo/report.html').resolve()}"
    )
