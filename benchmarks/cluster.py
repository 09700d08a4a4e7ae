"""Measure the extraction on a Dask cluster beside that on this machine.

    python benchmarks/cluster.py animals/images --weights vgg16_notop.weights.h5
    python benchmarks/cluster.py animals/images --weights vgg16_notop.weights.h5 --many
    python benchmarks/cluster.py animals/images --simulate
    python benchmarks/cluster.py animals/images --kills 20

A scheduler and its workers, of one thread each, run on this machine. The
first command compares two workers with two threads, which share the same
cores with all the rest, counts what the command sends and receives, and
watches its memory; --many does so once, with ten times the images.
--simulate has a network that sleeps as long as VGG16 computes on a core, so that more workers than
cores can be tried: what is left is the work of the command and the scheduler.
--kills ends one worker after the other with SIGKILL while that network runs,
and compares the file with that of a run without a cluster.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from memorywatch import run_watched

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

ROUNDS = 3  # of local and cluster, by turns
BUFFER_ROWS = 100  # so that few images fill the writer's buffer as many do
COPIES = 10  # of each image, for the run with many
N_WORKERS = (1, 2, 4, 8, 16)
SECONDS_PER_IMAGE = 0.08  # of one core for VGG16 (ncnn, AVX2)
PAUSE_S = 0.7  # between two kills
TICKS = os.sysconf("SC_CLK_TCK")
HEADER = """\
| way | images/s | share | peak MB of the command | kB an image: sent | received |
| --- | --- | --- | --- | --- | --- |"""


class Sleeper:
    """A network of VGG16's speed and size that does not use the cores."""

    engine = "none"
    why = "a simulation"
    batch_size = 4
    concurrent = True
    independent = True

    def __init__(self, seconds: float):
        from pyimagesearch.nn import Description, Weights

        self.seconds = seconds
        weights = Weights("none", f"{seconds}")
        shape, size = (7, 7, 512), (224, 224)
        self.description = Description("sleeper", "last", "none", size, "none", shape, weights)

    def preprocess(self, pixels: np.ndarray) -> np.ndarray:
        """Leave an image as it is."""
        return pixels

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return the first numbers of each image, late."""
        time.sleep(self.seconds * len(batch))
        return batch.reshape(len(batch), -1)[:, : self.description.n_features].astype("f4")


class Dask:
    """A scheduler and its workers, which end with the block."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.workers: list[subprocess.Popen] = []

    def __enter__(self) -> "Dask":
        self.file = self.folder / f"scheduler{time.monotonic_ns()}.json"
        options = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", self.file)
        self.scheduler = self._start("scheduler", *options)
        while not self.file.exists():
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def add_workers(self, n: int) -> None:
        """Start workers of one thread; the command waits for the first one only."""
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")
        options += ("--local-directory", self.folder)
        self.workers += [self._start("worker", self.address, *options) for _ in range(n)]

    def wait_for_workers(self) -> None:
        """Wait until all have joined."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers))

    def _start(self, kind: str, *arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, arguments)]
        # Away from the project's folder, since workers have no copy of it.
        return subprocess.Popen(
            [*command, "--no-dashboard"],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def core_seconds(process: subprocess.Popen | int) -> float:
    """Return how long a process has computed until now."""
    pid = process if isinstance(process, int) else process.pid
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS  # user and system


def run_one(dataset: str, output: str, address: str | None, weights: str | None) -> dict:
    """Extract once; return the rate after the first batch, and what went over the wire."""
    import extract_features
    from pyimagesearch.nn import NetworkChoice, load_network
    from pyimagesearch.utils.arguments import available_cores

    done, sent, received = [], [0], [0]
    if address:
        count_bytes(sent, received)
    at_first = {}
    real_add = extract_features.HDF5DatasetWriter.add
    real_enter = extract_features.HDF5DatasetWriter.__enter__

    def enter(writer):  # the last step before the images go
        at_first.update(sent=sent[0], received=received[0])
        return real_enter(writer)

    def add(writer, rows, labels) -> None:
        if not done:
            at_first["cores"] = core_seconds(os.getpid())
        done.append((time.perf_counter(), len(rows)))
        real_add(writer, rows, labels)

    def load(*arguments):
        return Sleeper(SECONDS_PER_IMAGE) if weights is None else load_network(*arguments)

    extract_features.HDF5DatasetWriter.add = add
    extract_features.HDF5DatasetWriter.__enter__ = enter
    choice = NetworkChoice(weights=weights or "random")
    jobs = available_cores()
    extract_features.extract(
        dataset,
        output,
        choice=choice,
        buffer_size=BUFFER_ROWS,
        jobs=jobs,
        cluster=address,
        load_network=load,
    )
    n_all = sum(n for _, n in done)
    n_images = n_all - done[0][1]
    return {
        "rate": n_images / (time.perf_counter() - done[0][0]),
        "sent": (sent[0] - at_first["sent"]) / n_all,
        "received": (received[0] - at_first["received"]) / n_all,
        "sent_before": at_first["sent"],
        "core_ms": 1000 * (core_seconds(os.getpid()) - at_first["cores"]) / n_images,
        "n_images": n_images,
    }


def count_bytes(sent: list[int], received: list[int]) -> None:
    """Count what Dask sends and receives in this process."""
    from distributed.comm import tcp

    real_write, real_from_frames = tcp.TCP.write, tcp.from_frames

    async def write(comm, *arguments, **options) -> int:
        n_bytes = await real_write(comm, *arguments, **options)
        sent[0] += n_bytes
        return n_bytes

    async def from_frames(frames, *arguments, **options):
        received[0] += sum(memoryview(frame).nbytes for frame in frames)
        return await real_from_frames(frames, *arguments, **options)

    tcp.TCP.write, tcp.from_frames = write, from_frames


def measure(dataset: Path, folder: Path, address: str | None, weights: str | None) -> dict:
    """Run once in a process of its own, and watch its memory."""
    output = folder / f"{time.monotonic_ns()}.hdf5"
    options = [f"--measure-in={output}", f"--cluster={address or ''}"]
    options += [f"--weights={weights}"] if weights else []
    out, peak = run_watched([sys.executable, __file__, str(dataset), *options])
    output.unlink()
    return json.loads(out.splitlines()[-1]) | {"peak_mb": peak / 1e6}


def compare(dataset: Path, folder: Path, weights: str) -> None:
    """Print the rates here and on two workers, by turns, and what the command takes."""
    before = []
    with Dask(folder) as dask:
        dask.add_workers(2)
        dask.wait_for_workers()
        print(HEADER)
        for _ in range(ROUNDS):
            here = measure(dataset, folder, None, weights)
            there = measure(dataset, folder, dask.address, weights)
            print(f"| here | {here['rate']:.2f} | | {here['peak_mb']:.0f} | | |")
            print(cluster_row("two workers", there, f"{there['rate'] / here['rate']:.0%}"))
            before.append(f"{there['sent_before'] / 1e6:.1f}")
    print(f"MB sent before the first image, run by run: {', '.join(before)}")


def run_many(dataset: Path, folder: Path, weights: str) -> None:
    """Print the memory of a run with many images on two workers."""
    with Dask(folder) as dask:
        dask.add_workers(2)
        dask.wait_for_workers()
        found = measure(copies(dataset, folder), folder, dask.address, weights)
    print(HEADER)
    print(cluster_row(f"two workers, {COPIES} times the images", found, ""))


def cluster_row(way: str, figures: dict, share: str) -> str:
    """Return a line of the table."""
    return (
        f"| {way} | {figures['rate']:.2f} | {share} "
        f"| {figures['peak_mb']:.0f} | {figures['sent'] / 1e3:.1f} "
        f"| {figures['received'] / 1e3:.1f} |"
    )


def simulate(dataset: Path, folder: Path) -> None:
    """Print how the rate grows with the number of workers, and who is busy."""
    from pyimagesearch.utils.arguments import available_cores

    many = copies(dataset, folder)
    print("| workers | images/s | of the ideal | ms of a core an image: command | scheduler | MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    here = measure(dataset, folder, None, None)
    ideal = available_cores() / SECONDS_PER_IMAGE
    print(f"| here | {here['rate']:.1f} | {here['rate'] / ideal:.0%} | {here['core_ms']:.2f} | | |")
    for n in N_WORKERS:
        with Dask(folder) as dask:
            dask.add_workers(n)
            dask.wait_for_workers()
            before = core_seconds(dask.scheduler)
            found = measure(many if n > 2 else dataset, folder, dask.address, None)
            scheduler_ms = 1000 * (core_seconds(dask.scheduler) - before) / found["n_images"]
        ideal = n / SECONDS_PER_IMAGE
        print(
            f"| {n} | {found['rate']:.1f} | {found['rate'] / ideal:.0%} "
            f"| {found['core_ms']:.2f} | {scheduler_ms:.2f} | {found['peak_mb']:.0f} |",
            flush=True,
        )


def kill(dataset: Path, folder: Path, n_kills: int) -> None:
    """End workers during a run, and compare the file with that of a run without any."""
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    many = copies(dataset, folder)
    local, output = folder / "local.hdf5", folder / "killed.hdf5"
    run_one(str(many), str(local), None, None)
    killed = [0]
    with Dask(folder) as dask:
        dask.add_workers(4)
        dask.wait_for_workers()
        with killing(dask, n_kills, killed):
            run_one(str(many), str(output), dask.address, None)
    same = local.read_bytes() == output.read_bytes()
    print(f"{killed[0]} workers killed; the files are {'the same' if same else 'DIFFERENT'}")


@contextlib.contextmanager
def killing(dask: Dask, n_kills: int, killed: list[int]) -> Iterator[None]:
    """End a worker now and then, start another, and count."""
    over = threading.Event()

    def go_on() -> None:
        chosen = random.Random(0)
        while killed[0] < n_kills and not over.wait(PAUSE_S):
            worker = dask.workers.pop(chosen.randrange(len(dask.workers)))
            worker.kill()
            worker.wait()
            killed[0] += 1
            dask.add_workers(1)

    killer = threading.Thread(target=go_on)
    killer.start()
    yield
    over.set()
    killer.join()


def copies(dataset: Path, folder: Path) -> Path:
    """Return a folder with many images, each several times."""
    many = folder / "many"
    if not many.exists():
        for path in sorted(path for path in dataset.glob("*/*") if path.is_file()):
            for i in range(COPIES):
                copy = many / path.parent.name / f"{i}_{path.name}"
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    return many


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument("--weights", metavar="FILE", help="VGG16's (default: random ones)")
    parser.add_argument("--many", action="store_true", help="ten times the images, once")
    parser.add_argument("--simulate", action="store_true", help="up to 16 workers that sleep")
    parser.add_argument("--kills", type=int, metavar="N", help="how many workers to kill")
    parser.add_argument("--measure-in", help=argparse.SUPPRESS)
    parser.add_argument("--cluster", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure_in:
        found = run_one(str(asked.dataset), asked.measure_in, asked.cluster or None, asked.weights)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as temporary:
        if asked.simulate:
            simulate(asked.dataset.absolute(), Path(temporary))
        elif asked.kills:
            kill(asked.dataset.absolute(), Path(temporary), asked.kills)
        elif asked.many:
            run_many(asked.dataset.absolute(), Path(temporary), asked.weights or "random")
        else:
            compare(asked.dataset.absolute(), Path(temporary), asked.weights or "random")


if __name__ == "__main__":
    main()
