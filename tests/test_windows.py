"""What Windows refuses or lacks: renaming or deleting open files, signals, and many names."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import CLASSES, fake_network, load_fake
from draw import draw_images
from test_nn_nested import base

import classify_images
import extract_features
import train_model
from extract_features import extract
from pyimagesearch.io import HDF5DatasetWriter
from pyimagesearch.nn import NetworkChoice, load_network
from pyimagesearch.utils import InputError, files

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="what is open is read from Linux's /proc"
)
ROOT = Path(__file__).parents[1]
LACKING = {
    "os": "fork forkpty killpg getpgid setsid getuid geteuid getgid getegid getgroups chown fchown "
    "lchown fchmod mkfifo mknod nice statvfs fstatvfs posix_fallocate posix_fadvise pread pwrite "
    "sched_getaffinity sched_yield sysconf uname getloadavg openpty fdatasync lockf wait "
    "O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_SYNC WNOHANG getxattr setxattr",
    "signal": "SIGHUP SIGKILL SIGQUIT SIGALRM SIGPIPE SIGUSR1 SIGUSR2 SIGCHLD SIGSTOP SIGCONT "
    "SIGTSTP SIGWINCH SIGBUS alarm setitimer pause pthread_kill pthread_sigmask sigwait",
}
LACKING_MODULES = "fcntl resource pwd grp termios tty pty syslog"
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
    """Refuse to rename or delete open files, and do not open folders."""

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
    monkeypatch.setattr(files, "HAS_FOLDERS", False)


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
def test_the_scripts_write_all_their_outputs_twice(image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extract(image_folder, "f.hdf5", load_network=load_fake)
    draw_images(tmp_path / "others", CLASSES, 2, seed=1)
    extract("others", "test.hdf5", load_network=load_fake, reuse=["f.hdf5"])
    outputs = ["-m", "m.cpickle", "-m", "m.skops", "--report", "r.json", "--report", "r.html"]
    outputs += ["--plot", "p.png", "--mistakes", "mistakes.png", "--suspects", "s.csv"]
    argv = ["-m", "m.cpickle", str(image_folder), "--csv", "a.csv", "--sheet", "sheet.png"]
    argv += ["--report", "c.html", "--report", "c.json", "--sort", "sorted"]
    for test in ([], ["--test", "test.hdf5"]):  # the second time over the files of the first
        assert train_model.main(["-d", "f.hdf5", *test, *outputs]) == 0
        assert classify_images.main(argv, load=lambda *_, **__: fake_network()) == 0
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("n_kept", [0, 5, 15])
def test_an_extraction_resumes_what_a_kill_has_left(image_folder, tmp_path, n_kept):
    """What is there when the network is called is what a kill would leave."""
    output, left = tmp_path / "f.hdf5", tmp_path / "left"
    left.mkdir()

    def load_killed(*_, **options):
        network = fake_network(**options)
        compute, network.n_computed = network.compute, 0

        def copying(batch):
            if network.n_computed <= n_kept:
                for file in tmp_path.glob("f.hdf5.*"):
                    shutil.copy(file, left)
            network.n_computed += len(batch)
            return compute(batch)

        network.compute = copying
        return network

    extract(image_folder, output, load_network=load_killed)
    whole = output.read_bytes()
    output.unlink()
    for file in left.iterdir():
        file.rename(tmp_path / file.name)
    extract(image_folder, output, load_network=load_fake)
    assert output.read_bytes() == whole
    assert not list(tmp_path.glob("f.hdf5.*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of TensorFlow
@pytest.mark.usefixtures("in_this_process")
def test_networks_and_whole_models_leave_no_file_open(image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base().save("net.keras")
    options = ["--network", "net.keras", "--preprocessing", "tf", "--pooling", "avg"]
    argv = ["-d", "images", "-o", "f.hdf5", "--engine", "openvino", "--size", "16", *options]
    assert extract_features.main(argv) == 0
    assert train_model.main(["-d", "f.hdf5", "-m", "m.keras", "-m", "m.tflite"]) == 0
    assert classify_images.main(["-m", "m.keras", "images", "--engine", "keras"]) == 0
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("narrow")
def test_ncnn_leaves_no_file_open(tmp_path):
    network = load_network(NetworkChoice("VGG16", weights="random", size=(32, 32)), "ncnn")
    assert network(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 5)


@pytest.mark.slow
def test_the_scripts_need_nothing_that_windows_lacks(image_folder, tmp_path):
    """Names are deleted after the libraries have been imported, and before ours are."""
    program = f"""
import os, signal, sys
import h5py, jinja2, matplotlib.pyplot, PIL.Image, filelock, sklearn.linear_model, threadpoolctl
for module, names in {LACKING}.items():
    for name in names.split():
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
sys.modules |= dict.fromkeys("{LACKING_MODULES}".split())  # None: cannot be imported
import classify_images, extract_features, train_model
from conftest import fake_network, load_fake
extract_features.extract(sys.argv[1], "f.hdf5", load_network=load_fake)
outputs = ["-m", "m.cpickle", "--report", "r.html", "--mistakes", "m.png", "--suspects", "s.csv"]
assert train_model.main(["-d", "f.hdf5", *outputs]) == 0
argv = ["-m", "m.cpickle", sys.argv[1], "--csv", "a.csv", "--report", "a.html", "--sort", "sorted"]
assert classify_images.main(argv, load=lambda *_, **__: fake_network()) == 0
"""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", program, image_folder],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
