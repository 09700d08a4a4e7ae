import ctypes
import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyimagesearch.io import (
    HDF5DatasetWriter,
    check_room,
    hdf5datasetwriter,
    partialfile,
    read_unfinished,
)
from pyimagesearch.utils import InputError, files

ROWS = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "features.hdf5"


def partial(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


def write(output: Path, n_rows: int = 10, **options) -> HDF5DatasetWriter:
    """Open a writer of ten rows and add the first of them."""
    writer = HDF5DatasetWriter((10, 4), output, dataKey="features", **options)
    writer.add(ROWS[:n_rows], LABELS[:n_rows])
    return writer


def leave_unfinished(output: Path) -> None:
    """Leave a ``.partial`` with the first four of ten rows."""
    with pytest.warns(UserWarning, match="4 of 10"):
        write(output, 4).close()


def test_the_calls_of_the_chapter_work_as_they_stand(output):
    dataset = HDF5DatasetWriter((10, 4), str(output), dataKey="features", bufSize=3)
    dataset.storeClassLabels(np.array(["cats", "dogs", "panda"]))
    for i in range(0, 10, 4):
        dataset.add(ROWS[i : i + 4], list(LABELS[i : i + 4]))
    dataset.close()
    db = h5py.File(output, "r")
    assert list(db.keys()) == ["features", "label_names", "labels"]
    np.testing.assert_array_equal(db["features"][:], ROWS)
    np.testing.assert_array_equal(db["labels"][:], LABELS)
    assert [name.decode() for name in db["label_names"]] == ["cats", "dogs", "panda"]
    db.close()


def test_positional_arguments_come_in_the_order_of_the_chapter(output):
    writer = HDF5DatasetWriter((10, 4), output, "rows", 7)
    assert (writer.data.name, writer.bufSize) == ("/rows", 7)
    with pytest.warns(UserWarning, match="0 of 10 rows"):
        writer.close()


def test_the_public_attributes_are_those_of_the_chapter(output):
    with write(output) as writer:
        assert isinstance(writer.db, h5py.File)
        assert writer.data == writer.db["features"]
        assert writer.labels == writer.db["labels"]
        assert (writer.bufSize, writer.idx) == (1000, 0)
        assert (len(writer.buffer["data"]), len(writer.buffer["labels"])) == (10, 10)


@pytest.mark.parametrize(
    ("dims", "dtype"),
    [
        pytest.param((6, 32, 32, 3), "uint8", id="raw images"),
        pytest.param((7, 784), "float32", id="flattened"),
        pytest.param((5,), "float64", id="one number per row"),
        pytest.param((4, 3), np.int16, id="int16"),
    ],
)
def test_rows_of_any_shape_and_dtype_come_back_exactly(output, dims, dtype):
    rows = np.random.default_rng(1).integers(0, 255, dims).astype(dtype)
    with HDF5DatasetWriter(dims, output, bufSize=2, dtype=dtype) as writer:
        for row in rows:
            writer.add(row[None], [3])
    with h5py.File(output) as db:
        assert db["images"].dtype == np.dtype(dtype)
        assert db["labels"].dtype == np.int64
        np.testing.assert_array_equal(db["images"][:], rows)


def test_the_default_dtype_is_float32(output):
    write(output).close()
    with h5py.File(output) as db:
        assert db["features"].dtype == np.float32


def test_label_names_may_be_in_any_script(output):
    names = ["chats", "犬", "панда"]
    with write(output) as writer:
        writer.storeClassLabels(names)
    with h5py.File(output) as db:
        assert list(db["label_names"].asstr()[:]) == names


@pytest.mark.parametrize("n_before", [0, 4, 10])
def test_label_names_may_be_stored_at_any_time(output, n_before):
    with HDF5DatasetWriter((10, 4), output, "features", bufSize=3) as writer:
        writer.add(ROWS[:n_before], LABELS[:n_before])
        writer.storeClassLabels(["a", "b", "c"])
        writer.add(ROWS[n_before:], LABELS[n_before:])
    with h5py.File(output) as db:
        np.testing.assert_array_equal(db["features"][:], ROWS)
        np.testing.assert_array_equal(db["labels"][:], LABELS)
        assert list(db["label_names"].asstr()[:]) == ["a", "b", "c"]


def test_the_same_label_names_may_be_stored_twice_but_not_others(output):
    with write(output) as writer:
        writer.storeClassLabels(["a", "b"])
        writer.storeClassLabels(["a", "b"])
        with pytest.raises(InputError, match="'a', 'b' recorded, 'a', 'c' given"):
            writer.storeClassLabels(["a", "c"])


def test_add_flushes_when_the_buffer_is_full(output):
    with HDF5DatasetWriter((10, 4), output, bufSize=4) as writer:
        writer.add(ROWS[:3], LABELS[:3])
        assert writer.idx == 0
        writer.add(ROWS[3:5], LABELS[3:5])
        assert writer.idx == 5
        assert writer.buffer == {"data": [], "labels": []}
        writer.add(ROWS[5:], LABELS[5:])


def test_add_flushes_rows_that_have_waited_long_enough(output, monkeypatch):
    with HDF5DatasetWriter((10, 4), output) as writer:
        writer.add(ROWS[:3], LABELS[:3])
        assert writer.idx == 0
        monkeypatch.setattr(hdf5datasetwriter, "FLUSH_SECONDS", 0.0)
        writer.add(ROWS[3:], LABELS[3:])
        assert writer.idx == 10


def test_rows_are_copied_so_that_the_caller_may_use_its_array_again(output):
    rows = ROWS.copy()
    with HDF5DatasetWriter((10, 4), output) as writer:
        writer.add(rows, LABELS)
        rows[:] = 0
    with h5py.File(output) as db:
        np.testing.assert_array_equal(db["images"][:], ROWS)


def test_large_rows_are_written_in_blocks(output, monkeypatch):
    monkeypatch.setattr(hdf5datasetwriter, "BLOCK_BYTES", 3 * ROWS[0].nbytes)
    with write(output, 10) as writer:
        writer.flush()
        writer.storeClassLabels(["a", "b", "c"])  # copies in blocks, too
    with h5py.File(output) as db:
        np.testing.assert_array_equal(db["features"][:], ROWS)
        np.testing.assert_array_equal(db["labels"][:], LABELS)


def test_an_empty_flush_and_a_second_close_are_harmless(output):
    writer = write(output)
    writer.flush()
    writer.flush()
    writer.close()
    writer.close()
    assert writer.idx == 10


def test_repr_shows_the_state(output):
    writer = write(output, 4)
    assert repr(writer) == f"<HDF5DatasetWriter '{output}': 0 of 10 rows, 4 buffered>"
    writer.add(ROWS[4:], LABELS[4:])
    writer.close()
    assert repr(writer) == f"<HDF5DatasetWriter '{output}': 10 of 10 rows, closed>"


def test_an_existing_output_is_refused_and_left_untouched(output):
    output.write_bytes(b"precious")
    with pytest.raises(InputError, match="already exists"):
        HDF5DatasetWriter((10, 4), output)
    assert output.read_bytes() == b"precious"
    assert list(output.parent.iterdir()) == [output]


def test_an_output_that_appears_meanwhile_is_left_untouched(output):
    writer = write(output)
    output.write_bytes(b"precious")
    with pytest.raises(InputError, match="appeared in the meantime"):
        writer.close()
    assert output.read_bytes() == b"precious"
    with h5py.File(partial(output)) as db:
        np.testing.assert_array_equal(db["features"][:], ROWS)


BAD_ADDS = [
    pytest.param(ROWS[:3], [0, 1], "3 rows, 2 labels", id="unequal lengths"),
    pytest.param(np.zeros((11, 4)), [0] * 11, "cannot add 11 rows", id="too many rows"),
    pytest.param(np.zeros((2, 5)), [0, 1], "expected (n, 4)", id="wrong row shape"),
    pytest.param(np.zeros(4), [0] * 4, "expected (n, 4)", id="one row without its axis"),
    pytest.param([[1, 2, 3, 4], [1]], [0, 1], "differ in shape", id="ragged rows"),
    pytest.param([["a"] * 4], [0], "expected numbers", id="text rows"),
    pytest.param([[1e300] * 4], [0], "float32 cannot", id="too large for float32"),
    pytest.param(ROWS[:1], [-1], "below 0", id="negative label"),
    pytest.param(ROWS[:1], [0.5], "as integers", id="fractional label"),
    pytest.param(ROWS[:1], ["cats"], "as integers", id="label name as a label"),
    pytest.param(ROWS[:1], [[0]], "one dimension", id="labels of two dimensions"),
    pytest.param(ROWS[:2], [[0], [1, 2]], "labels differ in length", id="ragged labels"),
    pytest.param(ROWS[:1], [np.nan], "as integers", id="label that is not a number"),
    pytest.param(ROWS[:1], [np.inf], "as integers", id="infinite label"),
    pytest.param(ROWS[:1], [2**63], "as integers", id="label beyond int64"),
    pytest.param(ROWS[:1], [None], "as integers", id="no label"),
    pytest.param(ROWS[:1], 0, "one dimension", id="label of no dimension"),
    pytest.param(1.5, [0], "rows have shape (): expected (n, 4)", id="row of no dimension"),
    pytest.param(None, [0], "rows have shape (): expected (n, 4)", id="nothing as a row"),
    pytest.param([[10**30] * 4], [0], "expected numbers", id="beyond every number type"),
]


@pytest.mark.parametrize(("rows", "labels", "message"), BAD_ADDS)
def test_what_does_not_fit_is_refused_before_it_is_buffered(output, rows, labels, message):
    with HDF5DatasetWriter((10, 4), output) as writer:
        with pytest.raises(InputError) as caught:
            writer.add(rows, labels)
        assert message in str(caught.value)
        assert writer.buffer == {"data": [], "labels": []}
        writer.add(ROWS, LABELS)


@pytest.mark.parametrize("row", [1.5, np.float32(1.5), None, "a"])
def test_a_row_of_no_dimension_is_refused_where_rows_have_none(output, row):
    with HDF5DatasetWriter((2,), output) as writer:
        with pytest.raises(InputError, match=r"rows have shape \(\): expected \(n\)"):
            writer.add(row, [0])
        writer.add([1.5, 2.5], [0, 1])


def test_fractions_are_not_cut_off_to_fit_an_integer_dtype(output):
    with HDF5DatasetWriter((1, 2), output, dtype="uint8") as writer:
        for rows in ([[0.5, 1.0]], [[256, 0]], [[-1, 0]], [[np.nan, 0]]):
            with pytest.raises(InputError, match="uint8 cannot"):
                writer.add(rows, [0])
        writer.add([[255.0, 0.0]], [0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"dims": (0, 4)}, "dims is (0, 4)", id="no rows"),
        pytest.param({"dims": ()}, "dims is ()", id="no dimension"),
        pytest.param({"dims": (2.5, 4)}, "dims is (2.5, 4)", id="fraction"),
        pytest.param({"bufSize": 0}, "bufSize is 0", id="no buffer"),
        pytest.param({"dataKey": "labels"}, "dataKey is 'labels'", id="taken name"),
        pytest.param({"dataKey": "a/b"}, "dataKey is 'a/b'", id="nested name"),
        pytest.param({"dtype": "U5"}, "dtype is 'U5': expected a number type", id="text dtype"),
        *[
            pytest.param({"dtype": dtype}, "expected a number type", id=str(dtype))
            for dtype in ("flaot32", "f4,", ",", "3f4", "M8[s]", object, {"names": 1}, [("a", 1)])
        ],
        *[
            pytest.param({"dims": dims}, f"dims is {dims!r}: ", id=str(dims))
            for dims in (7, None, "10", (10, "4"), (10, None), (10, -4), {}, (1,) * 33, (10**30, 4))
        ],
        *[
            pytest.param({"bufSize": size}, f"bufSize is {size!r}: ", id=f"buffer of {size!r}")
            for size in ("7", None, 2.5, -1, [1], np.float32(3))
        ],
        *[
            pytest.param({"dataKey": key}, f"dataKey is {key!r}: ", id=f"key {key!r}")
            for key in ("", ".", "a\0b", None, 5, b"a", "\udce9", ["a"])
        ],
        pytest.param({"outputPath": None}, "outputPath is None", id="no output"),
        pytest.param({"outputPath": 5}, "outputPath is 5", id="number as output"),
        pytest.param({"outputPath": "a\0b"}, "outputPath is 'a\\x00b'", id="NUL in output"),
        pytest.param({"outputPath": "\ud800"}, "outputPath is '\\ud800'", id="no file's name"),
        pytest.param({"provenance": {"a": {1}}}, "cannot be written as JSON", id="set"),
        pytest.param({"provenance": ["a"]}, "expected a mapping", id="list as provenance"),
    ],
)
def test_wrong_arguments_are_refused_before_a_file_is_made(output, arguments, message):
    with pytest.raises(InputError) as caught:
        HDF5DatasetWriter(**{"dims": (10, 4), "outputPath": output} | arguments)
    assert message in str(caught.value)
    assert list(output.parent.iterdir()) == []


def test_adding_after_close_is_refused(output):
    writer = write(output)
    writer.close()
    with pytest.raises(InputError, match="closed"):
        writer.add(ROWS, LABELS)


def test_close_with_rows_missing_keeps_the_partial_and_reports_how_many(output):
    writer = write(output, 4)
    with pytest.warns(UserWarning, match=r"features.hdf5.partial' holds 4 of 10 rows"):
        writer.close()
    assert list(output.parent.iterdir()) == [partial(output)]
    with h5py.File(partial(output)) as db:
        np.testing.assert_array_equal(db["labels"][:], [*LABELS[:4], *[-1] * 6])
        np.testing.assert_array_equal(db["features"][:4], ROWS[:4])


def test_a_with_left_by_an_exception_keeps_the_partial_and_reports_it(output):
    with pytest.raises(ZeroDivisionError) as caught, write(output):
        raise ZeroDivisionError
    assert "holds 10 of 10 rows" in caught.value.__notes__[0]
    assert list(output.parent.iterdir()) == [partial(output)]


def test_resume_continues_at_the_first_unwritten_row(output):
    leave_unfinished(output)
    with HDF5DatasetWriter((10, 4), output, "features", resume=True) as writer:
        assert writer.idx == 4
        writer.add(ROWS[4:], LABELS[4:])
    with h5py.File(output) as db:
        np.testing.assert_array_equal(db["features"][:], ROWS)
        np.testing.assert_array_equal(db["labels"][:], LABELS)


def test_without_resume_a_partial_is_refused_and_left_untouched(output):
    leave_unfinished(output)
    before = partial(output).read_bytes()
    with pytest.raises(InputError, match="resume=True"):
        HDF5DatasetWriter((10, 4), output, "features")
    assert partial(output).read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"dims": (11, 4)}, "dims ((10, 4) recorded, (11, 4) now)", id="dims"),
        pytest.param({"dtype": "float64"}, "dtype (float32 recorded, float64 now)", id="dtype"),
        pytest.param({"dataKey": "images"}, "not an unfinished file of 'images'", id="dataKey"),
        pytest.param({"provenance": {"seed": 2}}, "seed (1 recorded, 2 now)", id="seed"),
        pytest.param({"provenance": None}, "seed (1 recorded, nothing now)", id="nothing"),
    ],
)
def test_resuming_with_other_settings_is_refused_and_names_them(output, changed, message):
    same = {"dims": (10, 4), "dataKey": "features", "provenance": {"seed": 1, "created": "then"}}
    with pytest.warns(UserWarning, match="of 10 rows"):
        HDF5DatasetWriter(outputPath=output, **same).close()
    with pytest.raises(InputError) as caught:
        HDF5DatasetWriter(outputPath=output, resume=True, **same | changed)
    assert message in str(caught.value)
    again = same | {"provenance": {"seed": 1, "created": "now"}}
    with HDF5DatasetWriter(outputPath=output, resume=True, **again) as writer:
        writer.add(ROWS, LABELS)
        assert writer.data.attrs["provenance"] == '{"seed": 1, "created": "then"}'


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not HDF5 at all" * 100, id="text"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + bytes(100), id="only a signature"),
    ],
)
def test_a_foreign_partial_is_refused_in_one_line_and_left_untouched(output, contents):
    partial(output).write_bytes(contents)
    with pytest.raises(InputError, match="delete it to start again") as caught:
        HDF5DatasetWriter((10, 4), output, resume=True)
    assert "\n" not in str(caught.value)
    assert partial(output).read_bytes() == contents


def test_a_truncated_partial_is_refused(output):
    leave_unfinished(output)
    os.truncate(partial(output), 1000)
    with pytest.raises(InputError, match="cannot resume"):
        HDF5DatasetWriter((10, 4), output, "features", resume=True)


def test_a_chunked_partial_is_refused_since_it_is_not_crash_safe(output):
    with h5py.File(partial(output), "w") as db:
        db.create_dataset("features", (10, 4), "f4", chunks=(2, 4))
        db.create_dataset("labels", data=np.full(10, -1))
    with pytest.raises(InputError, match="not an unfinished file"):
        HDF5DatasetWriter((10, 4), output, "features", resume=True)


def test_a_second_writer_of_one_output_is_refused(output):
    with write(output) as writer:
        with pytest.raises(InputError, match="being written by another run"):
            HDF5DatasetWriter((10, 4), output, "features", resume=True)
        writer.storeClassLabels(["a", "b", "c"])
        with pytest.raises(InputError, match="being written by another run"):
            HDF5DatasetWriter((10, 4), output, "features", resume=True)


def test_of_two_processes_that_start_at_once_one_writes_and_one_is_refused(output):
    program = (
        "import sys\n"
        "from pyimagesearch.io import HDF5DatasetWriter\n"
        "from pyimagesearch.utils import InputError\n"
        "try:\n"
        "    writer = HDF5DatasetWriter((10, 4), sys.argv[1], resume=True)\n"
        "except InputError as error:\n"
        "    raise SystemExit(str(error))\n"
        "sys.stdin.readline()\n"  # until the other has been refused
        "writer.add([[1, 2, 3, 4]] * 10, [0] * 10)\n"
        "writer.close()\n"
    )
    root = Path(__file__).parents[1]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(output)],
            cwd=root,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    while all(run.poll() is None for run in runs):
        time.sleep(0.01)
    printed = [run.communicate(b"\n")[1].decode() for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 1]
    assert any("another run" in words for words in printed)
    assert output.exists()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        HDF5DatasetWriter((10, 4), tmp_path / "missing" / "features.hdf5")


def test_a_leftover_of_a_killed_creation_does_no_harm(output):
    left_over = partial(output).with_name(partial(output).name + ".new")
    left_over.write_bytes(b"half a header")
    write(output).close()
    assert list(output.parent.iterdir()) == [output]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(
    sizes=st.lists(st.integers(0, 4), max_size=8),
    buf_size=st.integers(1, 12),
    flushes=st.sets(st.integers(0, 8)),
    names_at=st.integers(0, 8),
    reopen_at=st.integers(0, 8),
)
def test_any_sequence_of_calls_gives_the_same_file(
    tmp_path_factory, sizes, buf_size, flushes, names_at, reopen_at
):
    folder = tmp_path_factory.mktemp("sequence")
    reference = folder / "reference.hdf5"
    with write(reference) as writer:
        writer.storeClassLabels(["a", "b", "c"])

    output = folder / "features.hdf5"
    options = {"dims": (10, 4), "outputPath": output, "dataKey": "features", "bufSize": buf_size}
    writer = HDF5DatasetWriter(**options)
    done = 0
    for step, size in enumerate([*sizes, *[0] * (9 - len(sizes))]):
        if step == names_at:
            writer.storeClassLabels(["a", "b", "c"])
        size = min(size, 10 - done)
        writer.add(ROWS[done : done + size], LABELS[done : done + size])
        done += size
        if step in flushes:
            writer.flush()
        if step == reopen_at and done < 10:
            with pytest.warns(UserWarning, match="of 10 rows"):
                writer.close()
            writer = HDF5DatasetWriter(**options, resume=True)
    writer.add(ROWS[done:], LABELS[done:])
    writer.close()
    assert output.read_bytes() == reference.read_bytes()


def test_space_is_reserved_by_the_kernel_or_not_at_all(output, monkeypatch):
    def emulated(*_):
        raise AssertionError("glibc writes to every block where the file system cannot")

    asked = []
    monkeypatch.setattr(os, "posix_fallocate", emulated, raising=False)
    monkeypatch.setattr(partialfile, "fallocate", lambda _, n_bytes: asked.append(n_bytes))
    with pytest.warns(UserWarning, match="0 of 1,000 rows"):
        HDF5DatasetWriter((1000, 100), output).close()
    assert asked
    assert asked[0] >= 1000 * 100 * 4


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_the_kernel_cannot_reserve_the_free_space_is_looked_at(output, monkeypatch, number):
    class WithoutFallocate:
        def __init__(self, *_, **__):
            self.fallocate = self

        def __call__(self, *_):
            return -1

    monkeypatch.setattr(ctypes, "CDLL", WithoutFallocate)
    monkeypatch.setattr(ctypes, "get_errno", lambda: number)
    free = shutil.disk_usage("/")._replace(free=400_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(InputError, match="No space left on device; make room"):
        HDF5DatasetWriter((1000, 100), output)
    with pytest.raises(InputError, match="No space left on device; make room"):
        check_room(output, 400_001)
    check_room(output, 400_000)
    assert not list(output.parent.iterdir())


def test_an_unfinished_file_shows_how_many_rows_are_done(output):
    assert read_unfinished(output, "features") is None
    writer = write(output, 3, provenance={"seed": 42})
    with pytest.raises(InputError, match="being written by another run"):
        read_unfinished(output, "features")
    with pytest.warns(UserWarning, match="3 of 10 rows"):
        writer.close()
    found = read_unfinished(output, "features")
    assert (found.path, found.n_rows, found.provenance["seed"]) == (partial(output), 3, 42)
    found.require_same({"seed": 42, "dims": "(10, 4)"})
    with pytest.raises(InputError, match=r"differs in seed \(42 recorded, 7 now\): use the"):
        found.require_same({"seed": 7})
    with pytest.raises(InputError, match="not an unfinished file of 'images'"):
        read_unfinished(output, "images")


def test_a_disk_that_fails_is_named_without_advice_to_delete_the_file(output, monkeypatch):
    with pytest.warns(UserWarning, match="0 of 10 rows"):
        HDF5DatasetWriter((10, 4), output).close()

    def fail(*_, **__):
        raise OSError(f"Unable to open file (file read failed: errno = {errno.EIO}, ...)")

    monkeypatch.setattr(partialfile, "open_hdf5", fail)
    with pytest.raises(InputError, match=r"cannot resume .*: Input/output error; check"):
        HDF5DatasetWriter((10, 4), output, resume=True)


def refusing_locks(number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_written_without(output, monkeypatch, number):
    monkeypatch.setattr(partialfile, "lock_descriptor", refusing_locks(number))
    with HDF5DatasetWriter((10, 4), output) as writer:
        writer.add(ROWS, LABELS)
    assert output.exists()


def test_a_lock_that_fails_otherwise_is_named(output, monkeypatch):
    monkeypatch.setattr(partialfile, "lock_descriptor", refusing_locks(errno.EIO))
    with pytest.raises(InputError, match=r"^cannot open '.*' for writing: Input/output error$"):
        HDF5DatasetWriter((10, 4), output)


@pytest.mark.parametrize("names", ["cats", b"cats"])
def test_a_single_name_is_not_taken_for_its_letters(tmp_path, names):
    with HDF5DatasetWriter((1, 1), tmp_path / "f.hdf5") as writer:
        with pytest.raises(InputError, match="expected several names"):
            writer.storeClassLabels(names)
        writer.add([[0]], [0])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (7, "classLabels is 7: expected several names"),
        (None, "classLabels is None: expected several names"),
        ([b"caf\xe9"], "class label b'caf\\xe9' is not valid UTF-8"),
        (["cats", "dogs", "cats"], "class label 'cats' appears more than once"),
        (["cats", b"cats"], "class label 'cats' appears more than once"),
    ],
)
def test_names_that_cannot_be_those_of_classes_are_refused(output, names, message):
    with HDF5DatasetWriter((1, 1), output) as writer:
        with pytest.raises(InputError) as caught:
            writer.storeClassLabels(names)
        assert message in str(caught.value)
        writer.add([[0]], [0])


def test_a_relative_output_stays_where_it_was_when_the_current_folder_changes(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with HDF5DatasetWriter((1, 1), "f.hdf5") as writer:
        assert writer.outputPath == Path("f.hdf5")
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        writer.storeClassLabels(["cats"])
        writer.add([[0]], [0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.hdf5", "other"]


def test_names_known_at_first_are_in_the_file_that_is_made_once(output, monkeypatch):
    with write(output) as writer:
        writer.storeClassLabels(["a", "b", "c"])
    late = output.read_bytes()
    output.unlink()
    made = []
    real = files.move_into_place
    monkeypatch.setattr(files, "move_into_place", lambda *paths: made.append(real(*paths)))
    with write(output, classLabels=["a", "b", "c"]):
        assert len(made) == 1
    assert output.read_bytes() == late


def test_a_run_with_other_names_is_not_resumed_and_leaves_the_file_to_others(output):
    with pytest.warns(UserWarning, match="holds 4 of 10 rows"):
        write(output, 4, classLabels=["a", "b", "c"]).close()
    with pytest.raises(InputError, match="has other class labels: 'a', 'b', 'c' recorded, 'a' g"):
        write(output, 4, classLabels=["a"], resume=True)
    with HDF5DatasetWriter((10, 4), output, dataKey="features", resume=True) as writer:
        writer.add(ROWS[4:], LABELS[4:])
    with h5py.File(output) as db:
        assert list(db["label_names"].asstr()) == ["a", "b", "c"]


def test_names_are_added_to_a_run_that_has_none_when_it_is_resumed(output):
    leave_unfinished(output)
    names = ["a", "b", "c"]
    with HDF5DatasetWriter(
        (10, 4), output, dataKey="features", classLabels=names, resume=True
    ) as writer:
        assert writer.idx == 4
        writer.add(ROWS[4:], LABELS[4:])
    with h5py.File(output) as db:
        assert list(db["label_names"].asstr()) == names
        np.testing.assert_array_equal(db["features"][:], ROWS)


def test_wrong_names_are_refused_before_anything_is_made(output):
    with pytest.raises(InputError):
        write(output, classLabels=["a", "a"])
    assert not list(output.parent.iterdir())
