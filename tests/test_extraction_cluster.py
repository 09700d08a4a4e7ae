"""Extraction on real schedulers and workers, each a process on this machine's loopback."""

import contextlib
import json
import logging
import os
import pickle
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import conftest
import dask
import h5py
import numpy as np
import pytest
from conftest import CLASSES, fake_network, load_fake
from distributed import Client
from draw import draw_images
from PIL import Image
from smallpresets import save_preset

import classify_images
from extract_features import extract, main
from pyimagesearch.extraction import cluster as cluster_module
from pyimagesearch.extraction import (
    dispatch,
    open_extractor,
    scheduler,
    scheduler_address,
    worker,
)
from pyimagesearch.extraction.cluster import Cluster
from pyimagesearch.extraction.clusterextractor import ClusterExtractor
from pyimagesearch.extraction.shipment import shipment_name
from pyimagesearch.io.runrecord import differences
from pyimagesearch.nn import Description, NetworkChoice, Weights
from pyimagesearch.nn.graph import Graph, fold, operations
from pyimagesearch.nn.graph.activations import activate
from pyimagesearch.nn.kerasnetwork import KerasNetwork
from pyimagesearch.nn.ncnn import NcnnNetwork, plain_chain
from pyimagesearch.nn.openvinonetwork import OpenVINONetwork
from pyimagesearch.preprocessing import Decoding
from pyimagesearch.utils import InputError
from pyimagesearch.utils.processor import processor_model

# Dask closes some of its connections when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

ROOT = Path(__file__).parents[1]
N = 40  # images of each of 3 classes: 60 batches of 2
TIMEOUT_S = 60
NOT_NEEDED = ("cv2", "h5py", "imutils", "keras", "progressbar", "sklearn", "tensorflow")
HIDE = """
import sys
from importlib.metadata import PackageNotFoundError
import distributed.versions as versions

def without(package, version=versions.version):
    if package in {hidden!r}:
        raise PackageNotFoundError(package)
    return version(package)

versions.version = without
sys.modules.update(dict.fromkeys({hidden!r}))
"""
FULL_DISK = """
import errno
from pathlib import Path

def write_bytes(path, contents):
    raise OSError(errno.ENOSPC, "No space left on device")

Path.write_bytes = write_bytes
"""
cloudpickle.register_pickle_by_value(conftest)


class Processes:
    """A scheduler and its workers, which end with the block."""

    def __init__(self, folder: Path, allowed_failures: int = 3):
        self.folder = folder
        self.file = folder / "scheduler.json"
        setting = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
        self.environment = os.environ | setting
        self.workers: list[subprocess.Popen] = []

    def __enter__(self) -> "Processes":
        port = ("--host", "127.0.0.1", "--port", "0")
        self.scheduler = self._start("scheduler", *port, "--scheduler-file", self.file)
        wait_until(lambda: self.file.exists() and self.file.read_text().endswith("}"))
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"]

    def add_worker(
        self, hidden: tuple[str, ...] = NOT_NEEDED, program: str = ""
    ) -> subprocess.Popen:
        preload = self.folder / f"hide{len(self.workers)}.py"
        preload.write_text(HIDE.format(hidden=hidden) + program)
        one_thread = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")
        files = ("--local-directory", self.folder, "--preload", preload)
        process = self._start("worker", self.address, *one_thread, *files)
        self.workers.append(process)
        return process

    def log(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def _start(self, kind: str, *arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, *map(str, arguments)]
        log = (self.folder / f"{kind}{len(self.workers)}.log").open("w")
        with log:
            return subprocess.Popen(
                [*command, "--no-dashboard"],
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )


def wait_until(true) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def fixed_date_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A scheduler and two workers that have numpy, Pillow and ncnn only."""
    with Processes(tmp_path_factory.mktemp("steady"), allowed_failures=10) as processes:
        processes.add_worker()
        processes.add_worker()
        yield processes


@pytest.fixture
def mortal(tmp_path, request):
    """A worker to be lost; a batch is given up once it has ended more than `request.param`."""
    folder = tmp_path / "mortal"
    folder.mkdir()
    with Processes(folder, allowed_failures=getattr(request, "param", 10)) as processes:
        processes.add_worker()
        yield processes


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "images"
    draw_images(folder, CLASSES, N)
    return folder


def load_slow(*_):
    return fake_network(delay_s=0.02)


@pytest.fixture(scope="module")
def expected(images, tmp_path_factory) -> bytes:
    """The file that a run on this machine makes."""
    output = tmp_path_factory.mktemp("local") / "f.hdf5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "0")
        extract(images, output, jobs=2, load_network=load_slow)
    return output.read_bytes()


def load_tiny(*_, engine=NcnnNetwork):
    """Two layers for ncnn or OpenVINO."""
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 3, 3, 8)), rng.normal(size=8)
    x = operations.convolution(
        operations.image((32, 32, 3)), kernel.astype("f4"), bias.astype("f4"), padding="same"
    )
    graph = fold(Graph(operations.pool(activate(x, "relu"), "max", (2, 2), (2, 2), "valid")))
    description = Description(
        "tiny", "pool", "none", (32, 32), "caffe", (16, 16, 8), Weights("random", "0" * 64)
    )
    network = plain_chain(graph) if engine is NcnnNetwork else graph
    return engine(network, description, "a test")


def on_result(monkeypatch, number: int, do) -> None:
    """Do something when so many batches have come back."""
    real = ClusterExtractor.features

    def features(self, images, rows):
        for n_batches, batch in enumerate(real(self, images, rows), start=1):
            if n_batches == number:
                do()
            yield batch

    monkeypatch.setattr(ClusterExtractor, "features", features)


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def n_rows(output: str) -> int:
    with contextlib.suppress(OSError), h5py.File(f"{output}.partial", "r", locking=False) as db:
        return int((db["labels"][:] >= 0).sum())
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("engine", [NcnnNetwork, OpenVINONetwork], ids=["ncnn", "openvino"])
def test_the_file_is_that_of_a_run_without_a_cluster_and_the_network_travels_once(
    steady, images, monkeypatch, caplog, engine
):
    load = partial(load_tiny, engine=engine)
    extract(images, "local.hdf5", jobs=2, load_network=load)
    sent = []
    caplog.set_level(logging.INFO)
    real = Client.register_plugin

    def register(self, plugin):
        sent.append(plugin.name)
        return real(self, plugin)

    monkeypatch.setattr(Client, "register_plugin", register)
    for output, address in (("one.hdf5", steady.address), ("two.hdf5", str(steady.file))):
        extract(images, output, cluster=address, load_network=load)
        assert Path(output).read_bytes() == Path("local.hdf5").read_bytes()
    assert len(sent) == 1  # from here
    assert f"cluster: 2 workers, 2 x {processor_model()}" in caplog.messages
    assert f"computed on 2 workers: 2 x {processor_model()}" in caplog.messages
    (name,) = sent
    assert steady.log().count(f"Starting Worker plugin {name}") == 2  # one per worker


def test_features_from_a_cluster_that_are_not_finite_name_their_image(steady, images):
    def load(*_):
        network = fake_network()
        network.compute = lambda batch: np.full((len(batch), 24), np.inf, np.float32)
        return network

    message = "24 of the 24 features of '.*jpg' are NaN or infinite: 'fake' may have damaged"
    with pytest.raises(InputError, match=message):
        extract(images, "f.hdf5", cluster=steady.address, load_network=load)


def test_workers_read_images_as_this_machine_does(steady, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[274] = 6  # turned
    rng = np.random.default_rng(0)
    for i, brightest in enumerate([300, 60, 30, 10]):
        folder = tmp_path / "images" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        values = np.linspace(0, brightest, 1200, dtype=np.float32).reshape(30, 40)
        Image.fromarray(values).save(folder / f"{i}.tif")
        pixels = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png", exif=exif)
    extract("images", "local.hdf5", load_network=load_tiny)
    extract("images", "f.hdf5", cluster=steady.address, load_network=load_tiny)
    assert Path("f.hdf5").read_bytes() == Path("local.hdf5").read_bytes()


def test_a_network_that_is_no_longer_used_leaves_the_cluster(steady):
    for sha256 in ("1", "2"):
        network = fake_network()
        network.description = Description(
            "fake", "last", "none", (32, 32), "none", (24,), Weights("none", sha256)
        )
        with Cluster(steady.address, network) as joined:
            name = joined.network_name
    with Client(steady.address, set_as_default=False) as client:
        kept, unused = client.run_on_scheduler(worker.networks_on)
    assert kept == unused == [name]


def test_after_an_upgrade_the_network_goes_to_the_workers_anew():
    network = fake_network()
    names = {
        shipment_name(network, code, {"ncnn": version})
        for code, version in ((b"1", "1.0"), (b"1", "1.1"), (b"2", "1.1"))
    }
    assert len(names) == 3


def test_no_more_is_under_way_than_the_workers_ask_for(steady):
    Image.new("RGB", (8, 8)).save("a.bmp")
    contents, taken = Path("a.bmp").read_bytes(), []

    class SameImage:
        def __init__(self):
            self.unreadable, self.decoding = {}, Decoding()

        def name(self, row: int) -> str:
            return str(row)

        def contents(self, row: int) -> bytes:
            taken.append(row)
            return contents

    most = 2 * 2 * dispatch.BATCHES_PER_THREAD + 1 + 2 * 2 + 2
    with open_extractor(fake_network(), steady.address) as extractor:
        n = 0
        for features in extractor.features(SameImage(), range(100)):
            n += len(features)
            assert len(taken) - n <= most
        # Dask keeps nothing of what was sent.
        assert dask.config.get("distributed.admin.low-level-log-length") == 0
    assert n == 100


@pytest.mark.slow
def test_killed_workers_batches_are_computed_again_and_a_later_worker_helps(
    mortal, images, expected, monkeypatch
):
    mortal.add_worker()

    def replace() -> None:
        kill(mortal.workers[0])
        mortal.add_worker()

    on_result(monkeypatch, 5, replace)
    on_result(monkeypatch, 20, lambda: wait_until(lambda: "worker2" in logs_with_plugin(mortal)))
    on_result(monkeypatch, 30, lambda: kill(mortal.workers[1]))
    extract(images, "f.hdf5", cluster=mortal.address, load_network=load_slow)
    assert Path("f.hdf5").read_bytes() == expected


def load_tiny_by_twos(*_) -> NcnnNetwork:
    network = load_tiny()
    network.batch_size = 2
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unfit", "why"),
    [
        pytest.param({"hidden": ("ncnn",)}, "ncnn is missing there", id="no ncnn"),
        pytest.param({"program": FULL_DISK}, "No space left on device", id="full disk"),
    ],
)
def test_an_unfit_worker_that_joins_late_is_ignored(
    steady, images, monkeypatch, caplog, unfit, why
):
    extract(images, "local.hdf5", jobs=2, load_network=load_tiny_by_twos)
    log = steady.folder / f"worker{len(steady.workers)}.log"

    def join() -> None:
        steady.add_worker(**unfit)
        wait_until(lambda: "failed to setup" in log.read_text())

    on_result(monkeypatch, 5, join)
    try:
        extract(images, "f.hdf5", cluster=steady.address, load_network=load_tiny_by_twos)
    finally:
        kill(steady.workers[-1])
    (warning,) = (line for line in caplog.messages if " ignored: " in line)
    assert re.match(rf"worker tcp://\S+ ignored: .*{why}", warning)
    assert Path("f.hdf5").read_bytes() == Path("local.hdf5").read_bytes()


@pytest.mark.slow
def test_a_run_with_unfit_workers_alone_waits_for_others(mortal, images, monkeypatch, caplog):
    def replace() -> None:
        monkeypatch.setattr(cluster_module, "WORKERS_S", 1.0)
        mortal.add_worker(hidden=("ncnn",))
        wait_until(lambda: "failed to setup" in mortal.log())
        kill(mortal.workers[0])

    on_result(monkeypatch, 5, replace)
    with pytest.raises(InputError, match=r"had no worker for 1 s, with '.* not computed"):
        extract(images, "f.hdf5", cluster=mortal.address, load_network=load_tiny_by_twos)
    assert " ignored: " in caplog.text


def logs_with_plugin(processes: Processes) -> list[str]:
    return [
        path.stem
        for path in processes.folder.glob("worker*.log")
        if "Starting Worker plugin pyimagesearch-" in path.read_text()
    ]


@pytest.mark.slow
def test_a_run_that_has_lost_all_workers_continues_here(mortal, images, expected, monkeypatch):
    def lose_all() -> None:
        monkeypatch.setattr(cluster_module, "WORKERS_S", 1.0)
        kill(mortal.workers[0])

    on_result(monkeypatch, 10, lose_all)
    with pytest.raises(InputError, match=r"had no worker for 1 s, with '.* not computed"):
        extract(images, "f.hdf5", cluster=mortal.address, load_network=load_slow, buffer_size=4)
    assert 0 < n_rows("f.hdf5") < 3 * N
    extract(images, "f.hdf5", jobs=2, load_network=load_slow)
    assert Path("f.hdf5").read_bytes() == expected


@pytest.mark.slow
@pytest.mark.parametrize("mortal", [0], indirect=True)
def test_an_image_that_ends_every_worker_is_named(mortal, images, tmp_path):
    mortal.add_worker()
    shutil.copytree(images, tmp_path / "images")
    Image.new("RGB", (32, 32), "white").save(tmp_path / "images" / "cats" / "white.png")

    def load_deadly(*_):
        network = fake_network(batch_size=1)

        def compute(batch):
            if batch.min() == 255:
                os._exit(1)
            return batch[:, 0, :24, 0].astype(np.float32)

        network.compute = compute
        return network

    with pytest.raises(InputError, match=r"1 worker ended while computing only 'cats/white\.png'"):
        extract("images", "f.hdf5", cluster=mortal.address, load_network=load_deadly)
    assert Path("f.hdf5.partial").exists()


PROGRAM = """
import sys
sys.path[:0] = {paths!r}
import cloudpickle, conftest
cloudpickle.register_pickle_by_value(conftest)
import extract_features
from functools import partial
extract_features.extract = partial(
    extract_features.extract, load_network=lambda *_: conftest.fake_network(delay_s=0.02)
)
raise SystemExit(extract_features.main(sys.argv[1:]))
"""


def start_script(images: Path, address: str) -> subprocess.Popen:
    program = PROGRAM.format(paths=[str(ROOT), str(ROOT / "tests")])
    flags = ["-d", str(images), "-o", "f.hdf5", "-s", "4", "--cluster", address]
    return subprocess.Popen(
        [sys.executable, "-c", program, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_workers_compute_only_what_is_in_no_earlier_file(steady, images, expected, tmp_path):
    for name in CLASSES[1:]:
        (tmp_path / "some").mkdir(exist_ok=True)
        (tmp_path / "some" / name).symlink_to(images / name)
    extract(tmp_path / "some", "old.hdf5", load_network=load_fake)
    done = extract(
        images, "f.hdf5", cluster=steady.address, reuse=["old.hdf5"], load_network=load_slow
    )
    assert done.n_computed == N
    assert Path("f.hdf5").read_bytes() == expected


@pytest.mark.slow
def test_ctrl_c_ends_a_run_that_can_be_resumed(steady, images, expected):
    process = start_script(images, steady.address)
    wait_until(lambda: n_rows("f.hdf5") > 0)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert printed.startswith("[WARNING] stopped by SIGINT")
    assert len(printed.splitlines()) == 1
    extract(images, "f.hdf5", cluster=steady.address, load_network=load_slow)
    assert Path("f.hdf5").read_bytes() == expected


@pytest.mark.slow
def test_a_scheduler_that_dies_is_reported_in_one_line(mortal, images, expected):
    process = start_script(images, mortal.address)
    wait_until(lambda: n_rows("f.hdf5") > 0)
    kill(mortal.scheduler)
    _, printed = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert printed.startswith(f"[ERROR] lost the scheduler at '{mortal.address}'")
    assert len(printed.splitlines()) == 1
    extract(images, "f.hdf5", jobs=2, load_network=load_slow)
    assert Path("f.hdf5").read_bytes() == expected


@pytest.mark.parametrize(
    ("address", "message"),
    [
        pytest.param("tcp://127.0.0.1:9", "no Dask scheduler answers at", id="nobody there"),
        pytest.param("gone.json", "no scheduler file 'gone.json'", id="no file"),
        pytest.param("f.py", "'f.py' is not a scheduler file", id="another file"),
        pytest.param("tls://127.0.0.1:9", "no certificates for tls://", id="no certificate"),
    ],
)
def test_a_scheduler_that_is_not_there_is_reported(images, monkeypatch, capsys, address, message):
    monkeypatch.setattr(scheduler, "CONNECT_S", 0.3)
    Path("f.py").write_text("{}")
    with pytest.raises(InputError, match=message):
        extract(images, "f.hdf5", cluster=address, load_network=load_slow)
    assert capsys.readouterr().err == ""
    assert not list(Path().glob("f.hdf5*"))


HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("says", "why"),
    [
        pytest.param(b"", "it does not answer", id="nothing"),
        pytest.param(None, "it closes the connection", id="end"),
        pytest.param(HTTP, "it uses another protocol", id="http"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "it uses another protocol", id="ssh"),
        pytest.param(bytes(64), "it uses another protocol", id="zeros"),
        pytest.param(b"@" + bytes(7) + b"half", "it does not answer", id="half a message"),
    ],
)
def test_another_service_is_not_a_scheduler_and_does_not_hang(monkeypatch, capfd, says, why):
    monkeypatch.setattr(scheduler, "CONNECT_S", 0.5)
    monkeypatch.setattr(scheduler, "ANSWER_S", 0.3 if why == "it does not answer" else 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as connections:

        def answer() -> None:
            with contextlib.suppress(OSError):  # when the server is closed
                while True:
                    connection, _ = server.accept()
                    if says is None:
                        connection.recv(1)  # or the client may see no connection at all
                        connection.close()
                    else:
                        connections.enter_context(connection).sendall(says)

        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        message = re.escape(f"the service at '{address}' is not a Dask scheduler ({why}): expected")
        with pytest.raises(InputError, match=f"{message}.* 8786 by default, not that of its"):
            Cluster(address, fake_network()).__enter__()
        server.shutdown(socket.SHUT_RDWR)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses, or has room")
def test_a_service_that_drops_packets_is_reported_in_one_line(monkeypatch, capfd):
    monkeypatch.setattr(scheduler, "CONNECT_S", 1.0)
    with socket.socket() as server, contextlib.ExitStack() as connections:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # Linux drops what finds the queue full
            client = connections.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=f"no Dask scheduler answers at '{address}': Timed"):
            Cluster(address, fake_network()).__enter__()
    assert capfd.readouterr() == ("", "")


def test_the_address_of_a_worker_is_not_a_scheduler(steady):
    with Client(steady.address, set_as_default=False) as client:
        wait_until(lambda: client.nthreads())
        address = next(iter(client.nthreads()))
    with pytest.raises(InputError, match=r"is not a Dask scheduler \(it is a Worker\)"):
        Cluster(address, fake_network()).__enter__()


@pytest.mark.parametrize(
    "address",
    [
        "carrier://pigeon",
        "http://127.0.0.1:1",
        "inproc://x",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:abc",
        "tcp://127.0.0.1:99999",
        "tcp://:8786",
        "tcp://[::1:8786",
        "tcp://127.0.0.1:8786/status",
    ],
)
def test_a_malformed_address_is_reported_before_the_network_is_loaded(images, address):
    message = (
        f"^'{re.escape(address)}' is not the address of a Dask scheduler: expected tcp://HOST:PORT"
    )
    with pytest.raises(InputError, match=message):
        extract(images, "f.hdf5", cluster=address, load_network=None)


def test_the_classifying_command_refuses_a_malformed_address_first(capsys):
    arguments = ["--model", "no.pickle", "a.png", "--cluster", "tcp://"]
    assert classify_images.main(arguments) == 1
    assert capsys.readouterr().err.startswith(
        "[ERROR] 'tcp://' is not the address of a Dask scheduler"
    )


def test_a_scheduler_file_with_another_address_is_reported():
    Path("s.json").write_text('{"address": "inproc://x"}')
    with pytest.raises(InputError, match=r"^'inproc://x' in 's\.json' is not the address"):
        Cluster("s.json", fake_network()).__enter__()


def test_an_address_may_be_that_of_a_later_internet():
    assert scheduler_address("tls://[::1]:8786") == "tls://[::1]:8786"


@pytest.mark.slow
def test_unfit_workers_are_reported_before_the_work_starts(tmp_path, images, monkeypatch):
    monkeypatch.setattr(cluster_module, "WORKERS_S", 0.5)
    with Processes(tmp_path) as processes:
        for address in (processes.address, f"--scheduler-file {processes.file}"):
            message = f"had no worker for 0 s: start some with: dask worker {address}$"
            with pytest.raises(InputError, match=message):
                extract(images, "f.hdf5", cluster=address.split()[-1], load_network=load_tiny)
        processes.add_worker(hidden=("ncnn", "openvino"))
        monkeypatch.setattr(cluster_module, "WORKERS_S", TIMEOUT_S)
        for engine in (NcnnNetwork, OpenVINONetwork):
            load = partial(load_tiny, engine=engine)
            message = rf"worker tcp://\S+ does not match: {engine.engine} is missing there"
            with pytest.raises(InputError, match=message):
                extract(images, "f.hdf5", cluster=processes.address, load_network=load)
    assert not list(Path().glob("f.hdf5*"))


@pytest.mark.slow
def test_a_worker_whose_disk_is_full_is_named(tmp_path, images):
    with Processes(tmp_path) as processes:
        processes.add_worker(program=FULL_DISK)
        with pytest.raises(InputError, match=r"^worker tcp://\S+ cannot load the .* No space left"):
            extract(images, "f.hdf5", cluster=processes.address, load_network=load_tiny)


@pytest.mark.slow
def test_a_failure_on_a_worker_is_not_reported_as_a_lost_scheduler(steady, images):
    def load(*_):
        network = fake_network()

        def fail(batch):
            raise OSError("no room there")

        network.compute = fail
        weights = Weights("none", "failing")  # or the cluster would take one that it has
        network.description = replace(network.description, weights=weights)
        return network

    message = r"^a worker of the cluster at 'tcp://.*' failed \(no room there\): "
    with pytest.raises(InputError, match=message):
        extract(images, "f.hdf5", cluster=steady.address, load_network=load)


@pytest.mark.parametrize("engine", ["ncnn", "openvino"])
def test_a_worker_with_another_engine_reports_its_version(engine, tmp_path):
    plugin = worker.NetworkPlugin(
        "name", b"", b"", {"python": platform.python_version(), engine: "0.1"}
    )
    joining = SimpleNamespace(
        address="tcp://a", local_directory=str(tmp_path), state=SimpleNamespace(nthreads=1)
    )
    with pytest.raises(ImportError, match=rf"^{engine} is .* there \(0\.1 here\)"):
        plugin.setup(joining)
    assert plugin.failure.startswith(f"{engine} is ")
    assert not list(tmp_path.iterdir())


def test_the_third_number_of_pythons_version_does_not_matter():
    assert worker.difference({"python": "3.11.4"}, {"python": "3.11.9"}) is None
    assert worker.difference({"python": "3.11.4"}, {"python": "3.12.4"}) == (
        "python is 3.12 there (3.11 here)"
    )


def test_without_dask_the_option_names_what_to_install(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyimagesearch.extraction.cluster", None)
    with pytest.raises(InputError, match=r"pip install -r requirements-cluster\.txt"):
        extract(images, "f.hdf5", cluster="tcp://127.0.0.1:9", load_network=load_slow)


def test_processors_of_several_models_are_counted():
    joined = Cluster("tcp://nowhere:1", fake_network())
    extractor = ClusterExtractor(fake_network(), None, 1, joined)
    joined.processors.update({"B": 1, "A": 2})
    assert extractor.processors == {"A": 2, "B": 1}
    del joined.processors["B"]
    assert extractor.processors == "A"


def test_a_run_may_be_resumed_on_another_processor():
    assert differences({"seed": 1, "processors": "A"}, {"seed": 1, "processors": {"B": 2}}) == []


def test_a_network_for_ncnn_travels_until_it_has_computed():
    network = load_tiny()
    arrived = pickle.loads(pickle.dumps(network))
    batch = np.random.default_rng(1).normal(size=(3, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(arrived(batch), network(batch))
    assert arrived.description == network.description
    with pytest.raises(TypeError, match="keeps no arrays"):
        pickle.dumps(network)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_network_for_keras_arrives_with_its_weights_and_batches():
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="last")])
    description = Description(
        "small", "last", "none", (8, 8), "none", (6, 6, 4), Weights("random", "0" * 64)
    )
    network = KerasNetwork(model, description, 2, "a test")
    network.batch_size = 5  # as on an accelerator
    arrived = pickle.loads(pickle.dumps(network))
    batch = np.random.default_rng(1).normal(size=(5, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(arrived(batch), network(batch))
    assert (arrived.batch_size, arrived.description) == (5, description)


@pytest.mark.slow
@pytest.mark.keras_hub
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_workers_compute_the_rows_of_a_preset(images, tmp_path):
    choice = NetworkChoice(str(save_preset(tmp_path / "preset", "dinov2")))
    extract(images, "here.hdf5", choice=choice)
    (tmp_path / "cluster").mkdir()
    with Processes(tmp_path / "cluster") as processes:
        processes.add_worker(hidden=("imutils", "progressbar"))
        extract(images, "there.hdf5", choice=choice, cluster=processes.address)
    with h5py.File("here.hdf5") as here, h5py.File("there.hdf5") as there:
        np.testing.assert_array_equal(here["features"], there["features"])


def test_help_warns_of_unprotected_schedulers(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "anyone who reaches an unprotected scheduler can run code on its workers" in printed
