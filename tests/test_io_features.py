import errno
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pyimagesearch.io import HDF5DatasetWriter, RunRecord, features, open_features
from pyimagesearch.utils import InputError

ROWS = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
NAMES = ["cats", "dogs", "панда"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "features.hdf5"
    provenance = {"seed": 42, "paths": ["a", "b"]}
    with HDF5DatasetWriter((10, 4), path, "features", provenance=provenance) as writer:
        writer.storeClassLabels(NAMES)
        writer.add(ROWS, LABELS)
    return path


def replace(path: Path, key: str, **dataset) -> None:
    """Put another dataset in the place of one; without arguments, put nothing."""
    with h5py.File(path, "r+") as db:
        del db[key]
        if dataset:
            db.create_dataset(key, **dataset)


def test_the_writers_rows_are_mapped_where_they_lie(path):
    with open_features(path) as file:
        mapped = file.mapped(2, 9)
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
        np.testing.assert_array_equal(mapped, ROWS[2:9])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"data": ROWS, "chunks": (2, 4)}, id="chunked"),
        pytest.param({"data": ROWS.astype(np.float64)}, id="float64"),
        pytest.param({"data": ROWS.astype(">f4")}, id="big-endian"),
    ],
)
def test_rows_that_cannot_be_mapped_are_read(path, options):
    replace(path, "features", **options)
    with open_features(path) as file:
        rows = file.mapped(2, 9)
    assert (type(rows), rows.dtype) == (np.ndarray, np.dtype(np.float32))
    np.testing.assert_array_equal(rows, ROWS[2:9])


def test_what_was_written_is_read(path):
    with open_features(path) as file:
        assert file.shape == (10, 4)
        assert file.label_names == NAMES
        assert file.labels.dtype == np.int64
        np.testing.assert_array_equal(file.labels, LABELS)
        assert file.record == RunRecord(seed=42, paths=["a", "b"])
        rows = file.read(2, 7)
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, ROWS[2:7])


def test_blocks_cover_the_rows_once_and_in_order(path, monkeypatch):
    monkeypatch.setattr(features, "BLOCK_BYTES", 3 * ROWS[0].nbytes)
    with open_features(path) as file:
        blocks = list(file.blocks(1, 9))
    assert [(block.start, block.stop) for block, _ in blocks] == [(1, 4), (4, 7), (7, 9)]
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in blocks]), ROWS[1:9])


def test_the_float64_file_of_the_chapter_is_read_as_float32(path):
    replace(path, "features", data=ROWS.astype(np.float64))
    replace(path, "labels", data=LABELS.astype(np.int32))
    with open_features(path) as file:
        rows = file.read(0, 10)
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, ROWS)
        assert file.record == RunRecord()


BAD_FILES = [
    pytest.param("features", {}, "has no 'features' dataset: it holds 'label_names'", id="none"),
    pytest.param("labels", {}, "has no 'labels' dataset", id="no labels"),
    pytest.param("label_names", {}, "has no 'label_names' dataset", id="no names"),
    pytest.param("features", {"data": np.zeros(10)}, "expected numbers, (rows, columns)", id="1-D"),
    pytest.param("features", {"shape": (0, 4)}, "expected numbers", id="no rows"),
    pytest.param("labels", {"data": LABELS[:9]}, "10 rows of features but 9 labels", id="short"),
    pytest.param("labels", {"data": LABELS - 1}, "4 labels such as -1", id="unwritten rows"),
    pytest.param("labels", {"data": LABELS + 1}, "3 labels such as 3", id="label without a name"),
    pytest.param(
        "labels", {"data": LABELS[:, None]}, "expected integers, (rows,)", id="2-D labels"
    ),
    pytest.param("label_names", {"data": [1, 2, 3]}, "expected names", id="numbers as names"),
]


@pytest.mark.parametrize(("key", "dataset", "message"), BAD_FILES)
def test_a_dataset_that_does_not_fit_is_named(path, key, dataset, message):
    replace(path, key, **dataset)
    with pytest.raises(InputError) as caught, open_features(path):
        pass
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with (
        pytest.raises(InputError, match="no file"),
        open_features(tmp_path / "gone.hdf5"),
    ):
        pass


def test_an_unfinished_file_is_distinguished_from_a_missing_one(path):
    path.rename(path.with_name(path.name + ".partial"))
    with pytest.raises(InputError, match="not finished"), open_features(path):
        pass


def test_a_folder_is_not_a_file_of_features(tmp_path):
    with pytest.raises(InputError, match="is a folder"), open_features(tmp_path):
        pass


def test_a_text_file_is_not_a_file_of_features(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not HDF5")
    with pytest.raises(InputError, match="not an HDF5 file"), open_features(path):
        pass


def test_a_truncated_file_is_distinguished_from_another_kind(path):
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="truncated"), open_features(path):
        pass


def record(path: Path, provenance: object) -> None:
    text = provenance if isinstance(provenance, str) else json.dumps(provenance)
    with h5py.File(path, "r+") as db:
        db["features"].attrs["provenance"] = text


@pytest.mark.parametrize("text", ["{", "[1, 2]", "[[1, 2]]", "7", "[" * 100_000])
def test_provenance_that_is_not_a_json_object_is_refused(path, text):
    record(path, text)
    with pytest.raises(InputError, match="not a JSON object"), open_features(path):
        pass


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"dataset": 5}, "with 'dataset' of 5: expected a string"),
        ({"dataset": ["a"]}, "with 'dataset' of [\"a\"]: expected a string"),
        ({"weights_file": True}, "with 'weights_file' of true: expected a string"),
        ({"created": 5.5}, "with 'created' of 5.5: expected a string"),
        ({"paths": "cats/1.jpg"}, "with 'paths' of \"cats/1.jpg\": expected a list of strings"),
        ({"paths": [1, None]}, "with 'paths' of [1, null]: expected a list of strings"),
    ],
)
def test_a_recorded_value_of_another_type_is_named(path, provenance, message):
    record(path, provenance)
    with pytest.raises(InputError) as caught, open_features(path):
        pass
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_images_that_rows_come_from_are_those_recorded(path):
    record(path, {"dataset": "animals", "paths": ["cats/1.jpg", "dogs/2.jpg"]})
    with open_features(path) as file:
        assert file.record.image_paths == [Path("animals/cats/1.jpg"), Path("animals/dogs/2.jpg")]


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"dataset": None, "paths": ["a"]},
        {"dataset": "animals", "paths": None, "digests": None, "weights_file": None},
    ],
)
def test_where_nothing_is_recorded_there_are_no_images(path, provenance):
    record(path, provenance)
    with open_features(path) as file:
        assert file.record.image_paths == []


def test_an_unfinished_file_given_by_its_own_name_is_not_finished(path):
    partial = path.rename(path.with_name(path.name + ".partial"))
    with pytest.raises(InputError, match=r"partial' is not finished"), open_features(partial):
        pass


def test_names_of_a_fixed_length_are_utf_8(path):
    replace(path, "label_names", data=np.array([name.encode() for name in NAMES]))
    with open_features(path) as file:
        assert file.label_names == NAMES


def test_names_that_are_not_utf_8_are_refused(path):
    replace(path, "label_names", data=np.array([b"cats", b"dogs", "féline".encode("latin-1")]))
    with pytest.raises(InputError, match="not UTF-8"), open_features(path):
        pass


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        pytest.param(h5py.ref_dtype, None, id="references"),
        pytest.param(h5py.vlen_dtype("u1"), [list(name.encode()) for name in NAMES], id="bytes"),
        pytest.param(h5py.vlen_dtype("f4"), [[1], [2], [3]], id="numbers"),
    ],
)
def test_names_that_are_not_stored_as_text_are_refused(path, dtype, values):
    replace(path, "label_names", shape=(3,), dtype=dtype)
    with h5py.File(path, "r+") as db:
        for i in range(3):
            db["label_names"][i] = db["labels"].ref if values is None else values[i]
    with pytest.raises(InputError, match="not stored as text"), open_features(path):
        pass


def test_equal_names_are_refused_with_their_labels(path):
    replace(path, "label_names", data=["cats", "dogs", "cats"])
    with (
        pytest.raises(InputError, match="has 'cats' 2 times in 'label_names', as labels 0, 2"),
        open_features(path),
    ):
        pass


def test_a_name_for_each_row_is_distinguished_from_names_of_classes(path):
    replace(path, "label_names", data=[NAMES[label] for label in LABELS])
    with (
        pytest.raises(InputError, match="10 'label_names', one per row, of which 3 differ"),
        open_features(path),
    ):
        pass


def test_a_dataset_that_is_damaged_is_named(path):
    for key, value in (("features", ROWS), ("labels", LABELS)):
        replace(path, key, data=value, chunks=True, fletcher32=True)
        with h5py.File(path) as db:
            place = db[key].id.get_chunk_info(0).byte_offset
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"damage")
        with pytest.raises(InputError, match=r"^cannot read ") as caught, open_features(path) as db:
            db.read(0, 10)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("signature", "n_zeros"),
    [(b"HEAP", 4), (b"SNOD", 4), (b"TREE", 4), (b"labels\0", 7)],
    ids=["names of the datasets", "their places", "their order", "one name"],
)
def test_a_file_that_is_damaged_gives_one_line(path, signature, n_zeros):
    contents = path.read_bytes()
    assert signature in contents
    path.write_bytes(contents.replace(signature, b"\0" * n_zeros, 1))
    with pytest.raises(InputError) as caught, open_features(path):
        pass
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_that_no_label_and_no_float32_can_be_warn_of_nothing(path):
    replace(path, "features", data=np.full((10, 4), 1e300))
    with open_features(path) as file:
        assert np.isinf(file.read(0, 10)).all()
    replace(path, "labels", data=np.full(10, np.nan))
    with pytest.raises(InputError, match="10 labels such as nan"), open_features(path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_is_read_without(path, monkeypatch, number):
    real = h5py.File

    def without_locks(name, mode, locking=None):
        if locking is not False:
            raise OSError(f"Unable to open file (unable to lock file, errno = {number}, ...)")
        return real(name, mode, locking=locking)

    monkeypatch.setattr(h5py, "File", without_locks)
    with open_features(path) as features:
        assert features.shape[0] > 0


def test_a_disk_that_fails_is_not_taken_for_another_kind_of_file(path, monkeypatch):
    def fail(*_):
        raise OSError(f"Unable to open file (file read failed: errno = {errno.EIO}, ...)")

    monkeypatch.setattr(h5py, "File", fail)
    with (
        pytest.raises(InputError, match=r"^cannot open '.*': Input/output error$"),
        open_features(path),
    ):
        pass
