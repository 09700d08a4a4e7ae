"""A tiny folder of labelled images, and a network of three lines."""

import os
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from draw import draw_images

from pyimagesearch.nn import Description, Weights
from pyimagesearch.nn.presets import is_installed
from pyimagesearch.nn.whole import writing
from pyimagesearch.nn.zoo import vgg

N_IMAGES = 5  # of each class
CLASSES = ("cats", "dogs", "pandas")

takes_any_name = pytest.mark.skipif(
    sys.platform == "darwin", reason="macOS takes names in UTF-8 only"
)


@pytest.fixture(autouse=True, scope="session")
def active_signals():
    """Handle Ctrl-C even after ``&``, where a shell has it ignored, which children inherit."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory):
    """Keep caches in a folder of the tests, also those of child processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.hookimpl(tryfirst=True)  # before the fixtures
def pytest_runtest_setup(item):
    """Skip what needs KerasHub where it is not installed, all in one line of the summary."""
    if item.get_closest_marker("keras_hub") and not is_installed():
        pytest.skip("pip install -r requirements-hub.txt")


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Draw 3 classes of 5 images, each class with stripes at its own angle."""
    folder = tmp_path / "images"
    draw_images(folder, CLASSES, N_IMAGES)
    return folder


def fake_network(
    batch_size: int = 2,
    concurrent: bool = True,
    delay_s: float = 0.0,
    independent: bool = True,
):
    """Return a network whose features are the first 24 red values of an image."""
    import time

    def compute(batch: np.ndarray) -> np.ndarray:
        time.sleep(delay_s * len(batch))
        return batch[:, 0, :24, 0].astype(np.float32)

    network = SimpleNamespace(
        description=Description(
            network="fake",
            layer="last",
            pooling="none",
            size=(32, 32),
            preprocessing="none",
            feature_shape=(2, 3, 4),
            weights=Weights("none", "0" * 64),
        ),
        engine="fake",
        why="a test",
        batch_size=batch_size,
        concurrent=concurrent,
        independent=independent,
        preprocess=lambda pixels: pixels,
    )
    return _Callable(compute, network)


class _Callable:
    def __init__(self, compute, network):
        self.__dict__.update(vars(network))
        self.compute = compute

    def __call__(self, batch):
        return self.compute(batch)


def load_fake(*_, **options):
    """Stand in for `pyimagesearch.nn.load_network`."""
    return fake_network(**options)


def run_on_a_terminal(command: Sequence[str | Path], stdout: Path, code: int = 0) -> str:
    """Run a command whose stderr is a terminal; return what it drew there, without colours.

    The terminal is read while the command runs, or it would wait once the buffer is full.
    """
    import pty  # which Windows has not

    ours, theirs = pty.openpty()
    with stdout.open("wb") as file:
        child = subprocess.Popen(command, stdout=file, stderr=theirs)
    os.close(theirs)
    drawn = b""
    try:
        while piece := os.read(ours, 65536):
            drawn += piece
    except OSError:
        pass  # how Linux reports that the other side is closed
    os.close(ours)
    assert child.wait() == code
    return re.sub(r"\x1b\[[0-9;]*m", "", drawn.decode())


@pytest.fixture
def narrow(monkeypatch) -> None:
    """VGG16 and VGG19 with few channels, so that their files are small."""
    monkeypatch.setattr(vgg, "WIDTHS", (2, 3, 4, 5, 5))


@pytest.fixture
def keras_home(tmp_path, monkeypatch) -> Path:
    """An empty folder where the ImageNet weights would be."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def in_this_process(monkeypatch):
    """Read models back here: a fresh process takes seconds to import Keras."""

    def run(program: str, *paths: Path, **_):
        runpy.run_path(str(writing.PROGRAMS / program))["main"](*map(str, paths))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(writing, "_in_a_fresh_process", run)
