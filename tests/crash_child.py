"""Start children that are killed, from a process that has imported all they need.

A child is a fork of that process, since importing takes longer than most of
them live. It is not a fork of pytest's own process, which may have threads.
"""

import functools
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
from conftest import fake_network

import extract_features
from pyimagesearch.io import HDF5DatasetWriter, hdf5datasetwriter, partialfile
from pyimagesearch.utils import files
from pyimagesearch.utils.script import script

ROOT = Path(__file__).parents[1]
WATCHED = tuple(module.__file__ for module in (files, hdf5datasetwriter, partialfile))

ROWS = np.random.default_rng(0).standard_normal((12, 40)).astype(np.float32)
LABELS = np.arange(len(ROWS)) % 3
NAMES = ["cats", "dogs", "pandas"]

# All runs are of one date, or their files would differ in it.
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    "SOURCE_DATE_EPOCH": "1500000000",
}


def write_rows(
    output: str | Path,
    *,
    rows: np.ndarray = ROWS,
    labels: np.ndarray = LABELS,
    buffer_size: int = 3,
    names_at: int = 0,
    promise: Callable[[int], object] = lambda n_rows: None,
) -> None:
    """Write rows two by two; resume them after an interruption.

    Parameters
    ----------
    output : str or Path
        The file to make.
    rows, labels : ndarray
        What to write.
    buffer_size : int
        As of the writer.
    names_at : int
        Before which row the names of the classes are stored.
    promise : callable
        Called with the number of rows that the writer says are safe.
    """
    writer = HDF5DatasetWriter(
        rows.shape,
        output,
        dataKey="features",
        bufSize=buffer_size,
        dtype=rows.dtype,
        provenance={"seed": 42, "paths": [f"{row}.jpg" for row in range(len(rows))]},
        resume=True,
    )
    with writer:
        for start in range(writer.idx, len(rows), 2):
            if start >= names_at:
                writer.storeClassLabels(NAMES)
            writer.add(rows[start : start + 2], labels[start : start + 2])
            promise(writer.idx)
        writer.storeClassLabels(NAMES)
        writer.flush()
        promise(writer.idx)


class Nursery:
    """A context that starts children, one at a time."""

    def __enter__(self) -> "Nursery":
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        return self

    def __exit__(self, *error) -> None:
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def start(self, task: str, log: str | Path = os.devnull, **arguments: object) -> int:
        """Start a child that does one of `TASKS`; return its process number."""
        self._child = self._ask({"task": task, "log": str(log), "arguments": arguments})
        return self._child

    def wait(self) -> int:
        """Return the exit code of the child, or minus the signal that killed it."""
        return self._ask(self._child)

    def _ask(self, request: object) -> int:
        self._server.stdin.write(json.dumps(request, default=str) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def run(self, task: str, log: str | Path = os.devnull, **arguments: object) -> int:
        """Start a child, and wait for it."""
        self.start(task, log, **arguments)
        return self.wait()


def serve() -> None:
    """Start the children, or wait for them, as it is asked for on stdin."""
    for request in map(json.loads, sys.stdin):
        if isinstance(request, int):
            answer = os.waitstatus_to_exitcode(os.waitpid(request, 0)[1])
        else:
            answer = os.fork()
            if not answer:
                become(**request)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def become(task: str, log: str, arguments: dict[str, object]) -> None:
    """Do the task, with stdout and stderr in a file, and end the process."""
    code = 99
    try:
        with Path(log).open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = script(TASKS[task])(**arguments)
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def write(
    output: str,
    *,
    signal_at_line: tuple[int, int] | None = None,
    n_rows: int = len(ROWS),
    **options: object,
) -> None:
    """Write rows; send oneself a signal before the line of that number.

    What counts are the lines that write and move files. A process that is
    killed leaves the system's cache as it is, so that nothing need be synced.
    """
    if signal_at_line:
        os.fsync = lambda descriptor: None
        trace_lines(*signal_at_line)
    write_rows(output, rows=ROWS[:n_rows], labels=LABELS[:n_rows], **options)
    sys.settrace(None)


def write_to_a_full_disk(output: str, n_bytes: int, from_row: int | None = None) -> None:
    """Write rows while files cannot become larger, or cannot from some row on.

    In the latter case their space cannot be reserved, either.
    """

    def limit(n_safe: int) -> None:
        if n_safe >= from_row:
            resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

    if from_row is None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
        write_rows(output)
    else:
        partialfile.fallocate = lambda *_: False
        write_rows(output, promise=limit)


def extract(
    argv: list[str],
    *,
    flush_seconds: float | None = None,
    n_bytes: int | None = None,
    n_bytes_when_computing: int | None = None,
    computed: str | None = None,
    prepared: str | None = None,
    **network: object,
) -> None:
    """Run the script with a fake network.

    Parameters
    ----------
    argv : list of str
        The command line.
    flush_seconds : float
        How long rows may wait.
    n_bytes, n_bytes_when_computing : int
        How large files may be, from the start or from the first image on.
    computed : str
        A file that grows by one byte per image that has been computed.
    prepared : str
        A file that is there once pixels have been preprocessed.
    **network
        Options of the fake network.
    """
    if flush_seconds is not None:
        hdf5datasetwriter.FLUSH_SECONDS = flush_seconds
    if n_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    if n_bytes_when_computing is not None:
        partialfile.fallocate = lambda *_: False

    def preprocess(pixels: np.ndarray) -> np.ndarray:
        if n_bytes_when_computing is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes_when_computing,) * 2)
        if prepared:
            Path(prepared).touch()
        return pixels

    def load_network(*_):
        loaded = fake_network(**network)
        loaded.preprocess = preprocess
        if computed:
            compute = loaded.compute

            def count(batch: np.ndarray) -> np.ndarray:
                rows = compute(batch)
                with Path(computed).open("ab") as file:
                    file.write(b"." * len(batch))
                return rows

            loaded.compute = count
        return loaded

    extract_features.extract = functools.partial(
        extract_features.extract, load_network=load_network
    )
    raise SystemExit(extract_features.main(argv))


def trace_lines(number: int, signal_number: int) -> None:
    """Send oneself a signal before that many lines of `WATCHED` have run."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object):
        nonlocal count
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            count += 1
            if count == number:
                sys.settrace(None)
                os.kill(os.getpid(), signal_number)
        return trace

    sys.settrace(trace)


TASKS = {"write": write, "write to a full disk": write_to_a_full_disk, "extract": extract}

if __name__ == "__main__":
    serve()
