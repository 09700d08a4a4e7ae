import contextlib
import errno
import hashlib
import io
import os
import random
import re
import signal
import time
import warnings
from functools import cache
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import h5py
import numpy as np
import pytest
from crash_child import LABELS, ROWS, Nursery, write_rows
from crash_replay import Recorder, State, crashes

from pyimagesearch.io import HDF5DatasetWriter, partialfile
from pyimagesearch.utils import InputError

KEYS = {"features", "label_names", "labels"}

# Rows of an odd number of bytes would put a label across two sectors of the disk,
# and rows of 80 kB are written past HDF5's sieve, which holds 64 kB.
RNG = np.random.default_rng(1)
ODD = {
    "rows": RNG.integers(0, 255, (70, 13)).astype(np.uint8),
    "labels": np.arange(70) % 3,
    "buffer_size": 35,
}
WIDE = {"rows": RNG.standard_normal((4, 20_000)).astype(np.float32), "labels": np.arange(4) % 3}
RUNS = {
    "names before the rows": {},
    "names amid the rows": {"names_at": 6},
    "names after the rows": {"names_at": len(ROWS)},
    "rows of an odd number of bytes": ODD,
    "wide rows": WIDE,
}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "features.hdf5"


@cache
def replayed(run: str) -> tuple[list[State], bytes]:
    """Return the states that a crash of a run may leave, and the file without one."""
    with TemporaryDirectory() as folder:
        output = Path(folder, "features.hdf5")
        with Recorder(Path(folder)) as recorder:
            write_rows(output, promise=recorder.promise, **RUNS[run])
        states = {fingerprint(state): state for state in crashes(recorder.log)}
        return list(states.values()), output.read_bytes()


def fingerprint(state: State) -> tuple:
    digests = ((name, hashlib.sha256(data).digest()) for name, data in state.files.items())
    return state.promised, *sorted(digests)


def n_right_rows(file, rows: np.ndarray, labels: np.ndarray) -> int:
    """Count the rows that a file reports, all of which must be right."""
    with h5py.File(file, "r", locking=False) as db:
        assert {"features", "labels"} <= set(db) <= KEYS
        found = db["labels"][:]
        there = found >= 0
        np.testing.assert_array_equal(found[there], labels[there])
        np.testing.assert_array_equal(db["features"][:][there], rows[there])
        return int(there.sum())


@pytest.mark.parametrize("run", RUNS)
def test_after_every_crash_the_partial_opens_and_each_labelled_row_is_right(run):
    states, _ = replayed(run)
    data = {"rows": ROWS, "labels": LABELS} | RUNS[run]
    partials = [
        io.BytesIO(state.files["features.hdf5.partial"])
        for state in states
        if "features.hdf5.partial" in state.files
    ]
    assert len(partials) > 80
    counts = {n_right_rows(partial, data["rows"], data["labels"]) for partial in partials}
    assert counts >= {0, len(data["rows"])}


@pytest.mark.parametrize("run", RUNS)
def test_after_every_crash_a_file_of_the_outputs_name_is_whole(run):
    states, whole = replayed(run)
    outputs = [state.files["features.hdf5"] for state in states if "features.hdf5" in state.files]
    assert outputs
    assert set(outputs) == {whole}


@pytest.mark.parametrize("run", RUNS)
def test_after_every_crash_the_rows_that_were_reported_safe_are_there(run):
    states, _ = replayed(run)
    data = {"rows": ROWS, "labels": LABELS} | RUNS[run]
    for state in states:
        if state.promised:
            place = "features.hdf5" if "features.hdf5" in state.files else "features.hdf5.partial"
            found = n_right_rows(io.BytesIO(state.files[place]), data["rows"], data["labels"])
            assert found >= state.promised
    assert {state.promised for state in states} >= {0, len(data["rows"])}


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_after_every_crash_the_same_again_gives_the_same_bytes(run, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # no crash this time
    states, whole = replayed(run)
    output = tmp_path / "features.hdf5"
    # A left-over of a file that was not in place is emptied.
    different = {
        (frozenset(state.files), state.files.get(output.name + ".partial")): state
        for state in states
    }
    assert len(different) > 80
    for state in different.values():
        for name, contents in state.files.items():
            (tmp_path / name).write_bytes(contents)
        if output.exists():  # what carried the lock may be left, and is in nobody's way
            lock(output).unlink(missing_ok=True)
        else:
            write_rows(output, **RUNS[run])
        assert output.read_bytes() == whole
        assert list(tmp_path.iterdir()) == [output]
        output.unlink()


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as nursery:
        yield nursery


def partial(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


def lock(output: Path) -> Path:
    return output.with_name(output.name + ".partial.lock")


@pytest.mark.slow
def test_a_kill_at_any_line_leaves_what_the_same_again_completes(nursery, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    options = {"n_rows": 6, "names_at": 4}
    assert nursery.run("write", output=tmp_path / "whole.hdf5", **options) == 0
    whole = (tmp_path / "whole.hdf5").read_bytes()
    output = tmp_path / "features.hdf5"
    found = []
    for line in count(1, 5):
        kill = (line, signal.SIGKILL)
        if nursery.run("write", output=output, signal_at_line=kill, **options) == 0:
            break
        if partial(output).exists():
            found.append(n_right_rows(partial(output), ROWS[:6], LABELS[:6]))
        if not output.exists():
            write_rows(output, rows=ROWS[:6], labels=LABELS[:6], names_at=4)
        assert output.read_bytes() == whole
        output.unlink()
    assert line > 200
    assert set(found) == {0, 4, 6}


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_what_the_same_again_completes(nursery, tmp_path):
    output = tmp_path / "features.hdf5"
    assert nursery.run("write", output=output) == 0
    whole = output.read_bytes()
    rng = random.Random(0)
    latest_s = 0.1
    found = []
    while len(found) < 60 or len(set(found)) < 3:
        assert len(found) < 300
        if output.exists():
            assert output.read_bytes() == whole
            output.unlink()
        child = nursery.start("write", output=output)
        time.sleep(rng.uniform(0, latest_s))
        os.kill(child, signal.SIGKILL)
        if nursery.wait() == -signal.SIGKILL:
            there = partial(output).exists()
            found.append(n_right_rows(partial(output), ROWS, LABELS) if there else 0)
            latest_s *= 1.05  # until it is about as long as a run, which depends on the machine
        else:
            latest_s *= 0.8
    if not output.exists():
        write_rows(output)
    assert output.read_bytes() == whole


@pytest.mark.slow
def test_a_request_to_stop_at_any_line_is_one_line_that_counts_the_rows(nursery, tmp_path):
    output, log = tmp_path / "features.hdf5", tmp_path / "log"
    found, unsaid = set(), []
    for line, number in zip(count(1, 3), cycle([signal.SIGINT, signal.SIGTERM]), strict=False):
        log.unlink(missing_ok=True)
        stop = (line, number)
        code = nursery.run("write", log, output=output, signal_at_line=stop, n_rows=6, names_at=4)
        if code == 0:
            break
        assert code == 128 + number
        printed = log.read_text()
        assert printed.count("\n") == 1
        assert printed.startswith(f"[WARNING] stopped by {number.name}")
        if partial(output).exists():
            n_rows = n_right_rows(partial(output), ROWS[:6], LABELS[:6])
            found.add(n_rows)
            if "holds" not in printed:
                unsaid.append(n_rows)
            else:
                claim = f"'{partial(output)}' holds {n_rows} of 6 rows: run the same command again"
                assert claim in printed
            partial(output).unlink()
        else:
            assert "holds" not in printed
            output.unlink(missing_ok=True)
    assert line > 200
    assert found == {0, 2, 4, 6}
    # As a ``with`` is left, there is a line or two that no handler covers.
    assert sum(n_rows > 0 for n_rows in unsaid) <= 3


class Failing:
    """A context in which a function raises OSError at one of its calls.

    Parameters
    ----------
    owner, name : object, str
        Where the function is.
    at : int
        The number of the call.
    lasting : bool
        Whether the calls behind it fail, too.
    error_number : int
        As in `errno`.
    """

    def __init__(self, owner: object, name: str, at: int, lasting: bool, error_number: int):
        self.n_calls = 0
        self.failed = False
        function = getattr(owner, name)

        def call(*arguments, **options):
            self.n_calls += 1
            if self.n_calls == at or (lasting and self.n_calls > at):
                self.failed = True
                raise OSError(error_number, os.strerror(error_number))
            return function(*arguments, **options)

        self._patch = mock.patch.object(owner, name, call)

    def __enter__(self) -> "Failing":
        self._patch.start()
        return self

    def __exit__(self, *error) -> None:
        self._patch.stop()


FAULTS = [
    pytest.param(os, "fsync", id="fsync"),
    pytest.param(partialfile, "fallocate", id="fallocate"),
    pytest.param(os, "ftruncate", id="ftruncate"),
    pytest.param(os, "open", id="open"),
    pytest.param(Path, "replace", id="replace"),
    pytest.param(partialfile, "open_hdf5", id="opening HDF5"),
    pytest.param(h5py.File, "flush", id="flush"),
    pytest.param(h5py.File, "create_dataset", id="creating a dataset"),
    pytest.param(h5py.Dataset, "__setitem__", id="writing a dataset"),
]


def n_descriptors() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208


@pytest.mark.parametrize("names_at", [0, 6])
@pytest.mark.parametrize(
    ("lasting", "error_number"),
    [
        pytest.param(False, errno.EIO, id="once"),
        pytest.param(True, errno.ENOSPC, id="from then on"),
    ],
)
@pytest.mark.parametrize(("owner", "name"), FAULTS)
def test_wherever_a_call_fails_one_line_reports_it_and_the_same_command_completes(
    owner, name, lasting, error_number, names_at, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    write_rows(tmp_path / "whole.hdf5", names_at=names_at)
    whole = (tmp_path / "whole.hdf5").read_bytes()
    output = tmp_path / "features.hdf5"
    n_before = n_descriptors()
    for at in count(1):
        with Failing(owner, name, at, lasting, error_number) as failing:
            try:
                write_rows(output, names_at=names_at)
                printed = None
            except InputError as error:
                printed = "; ".join([str(error), *getattr(error, "__notes__", [])])
        if not failing.failed:
            break
        if printed is None:
            assert output.exists()  # it could do without
        else:
            assert "\n" not in printed
            assert str(output) in printed
            assert os.strerror(error_number) in printed
        assert n_descriptors() == n_before
        assert not partial(output).with_name(partial(output).name + ".new").exists()
        if partial(output).exists():
            n_rows = n_right_rows(partial(output), ROWS, LABELS)
            assert n_rows == 0 or re.search(r"holds (\d+) of 12 rows", printed)
        if not output.exists():
            write_rows(output, names_at=names_at)
        assert output.read_bytes() == whole
        output.unlink()
    assert at > 1
    assert output.read_bytes() == whole


@pytest.mark.parametrize(("owner", "name"), FAULTS)
def test_a_caller_who_continues_after_a_failure_gets_a_whole_file_or_none(
    owner, name, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    output = tmp_path / "features.hdf5"
    n_whole = 0
    for at in count(1):
        with Failing(owner, name, at, lasting=False, error_number=errno.EIO) as failing:
            go_on_regardless(output)
        if output.exists():
            n_whole += 1
            assert n_right_rows(output, ROWS, LABELS) == len(ROWS)
        elif partial(output).exists():
            n_right_rows(partial(output), ROWS, LABELS)
        for path in tmp_path.iterdir():
            path.unlink()
        if not failing.failed:
            break
    assert n_whole
    assert at > 1


def go_on_regardless(output: Path) -> None:
    """Write rows, and names after some of them, and ignore all that fails."""
    with contextlib.suppress(InputError):
        writer = HDF5DatasetWriter(ROWS.shape, output, dataKey="features", bufSize=3)
        for row in range(0, len(ROWS), 2):
            with contextlib.suppress(InputError):
                writer.add(ROWS[row : row + 2], LABELS[row : row + 2])
            if row == 4:
                with contextlib.suppress(InputError):
                    writer.storeClassLabels(["cats", "dogs", "pandas"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that rows are missing
            writer.close()


@pytest.fixture
def pipe(tmp_path_factory):
    """Return what has no size that could be limited, and a function that reads it."""
    path = tmp_path_factory.mktemp("pipe") / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, lambda: os.read(reader, 10_000).decode()
    os.close(reader)


@pytest.mark.parametrize("n_bytes", [0, 50, 5_000, 60_000])
def test_a_disk_without_room_is_one_line_and_leaves_nothing(nursery, output, pipe, n_bytes):
    log, read = pipe
    assert nursery.run("write to a full disk", log, output=output, n_bytes=n_bytes) == 1
    printed = read()
    assert printed.startswith(f"[ERROR] cannot make '{partial(output)}' (")
    assert printed.endswith("File too large; make room, or give another output\n")
    assert printed.count("\n") == 1
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize(
    "n_bytes",
    [
        pytest.param(3_000, id="within the rows"),
        pytest.param(8_100, id="within the labels"),
        pytest.param(10, id="nowhere"),
    ],
)
@pytest.mark.parametrize("from_row", [0, 4, 8])
def test_a_disk_that_fills_up_is_one_line_and_keeps_the_rows(
    nursery, output, pipe, n_bytes, from_row
):
    write_rows(output)
    whole = output.read_bytes()
    output.unlink()
    log, read = pipe
    full = {"n_bytes": n_bytes, "from_row": from_row}
    assert nursery.run("write to a full disk", log, output=output, **full) == 1
    printed = re.fullmatch(
        f"\\[ERROR\\] cannot write to '{partial(output)}': File too large; "
        f"'{partial(output)}' holds ([0-9]+) of 12 rows: run the same command again to resume\n",
        read(),
    )
    assert from_row <= int(printed[1]) <= n_right_rows(partial(output), ROWS, LABELS)
    write_rows(output)
    assert output.read_bytes() == whole


@pytest.mark.parametrize("n_columns", [1, 3, 13])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_no_label_spans_two_sectors(output, n_columns, dtype):
    with HDF5DatasetWriter((7, n_columns), output, dtype=dtype) as writer:
        writer.storeClassLabels(["cats"])
        assert writer.labels.id.get_offset() % writer.labels.dtype.itemsize == 0
        writer.add(np.zeros((7, n_columns)), [0] * 7)


def test_a_disk_that_fails_for_a_moment_loses_no_row_without_a_word(output, monkeypatch):
    """HDF5 keeps small writes, and drops them if it fails to write as it closes a dataset."""
    copy_rows, sync = HDF5DatasetWriter._copy_rows, partialfile.sync

    def copy_rows_meanwhile(writer: HDF5DatasetWriter, db: h5py.File) -> None:
        descriptor = db.id.get_vfd_handle()
        working, broken = os.dup(descriptor), os.open(os.devnull, os.O_RDONLY)
        os.dup2(broken, descriptor)

        def sync_after_all(db: h5py.File) -> None:
            os.dup2(working, descriptor)
            sync(db)

        with monkeypatch.context() as patch:
            patch.setattr(partialfile, "sync", sync_after_all)
            copy_rows(writer, db)
        os.close(working)
        os.close(broken)

    monkeypatch.setattr(HDF5DatasetWriter, "_copy_rows", copy_rows_meanwhile)
    write_rows(output, names_at=6)
    assert n_right_rows(output, ROWS, LABELS) == len(ROWS)


class Interrupting(list):
    """Labels that cannot be taken in, since the user has asked for a stop."""

    def extend(self, labels: np.ndarray) -> None:
        raise KeyboardInterrupt


def add_one_and_a_half(output: Path) -> None:
    with HDF5DatasetWriter(ROWS.shape, output, dataKey="features") as writer:
        writer.add(ROWS[:1], LABELS[:1])
        writer.buffer["labels"] = Interrupting(writer.buffer["labels"])
        writer.add(ROWS[1:4], LABELS[1:4])


def test_an_add_that_is_interrupted_halfway_adds_nothing(output):
    with pytest.raises(KeyboardInterrupt) as caught:
        add_one_and_a_half(output)
    assert "holds 1 of 12 rows" in caught.value.__notes__[0]
    assert n_right_rows(partial(output), ROWS, LABELS) == 1


DAMAGES = [
    pytest.param(b'"seed": 42', b'"seed"; 42', id="provenance"),
    pytest.param(b"cats\0", b"\xff\xff\xff\xff\0", id="names"),
    pytest.param(b"TREE", b"TREF", id="tree of names"),
    pytest.param(b"GCOL", b"GCOK", id="heap of texts"),
]


@pytest.mark.parametrize(("piece", "damage"), DAMAGES)
def test_a_damaged_partial_is_refused_in_one_line_and_left_untouched(output, piece, damage):
    def stop(n_rows: int) -> None:
        if n_rows >= 6:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_rows(output, promise=stop)
    contents = partial(output).read_bytes()
    assert piece in contents
    damaged = contents.replace(piece, damage)
    partial(output).write_bytes(damaged)
    with pytest.raises(InputError) as caught:
        write_rows(output)
    assert str(caught.value).startswith(f"cannot resume '{partial(output)}': ")
    assert str(caught.value).endswith("; delete it to start again")
    assert "\n" not in str(caught.value)
    assert partial(output).read_bytes() == damaged


def test_a_finished_file_is_not_marked_as_open(output):
    write_rows(output)
    assert output.read_bytes()[20:24] == bytes(4)  # the flags of a superblock of version 0
