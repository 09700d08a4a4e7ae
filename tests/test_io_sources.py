"""Features, labels and names that are in other files than the one that is opened."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pyimagesearch.io import open_features
from pyimagesearch.utils import InputError

ROWS = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
OTHERS = np.random.default_rng(1).standard_normal((40, 4)).astype(np.float32)
LABELS = np.arange(10) % 2
NAMES = ["cats", "панда"]
CONTENTS = {"features": ROWS, "labels": LABELS, "label_names": NAMES}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Run in a folder with a plain file, ``real.h5``, and its halves, ``part-0.h5`` and so on."""
    monkeypatch.chdir(tmp_path)
    write("real.h5")
    for i in range(2):
        half = slice(5 * i, 5 * i + 5)
        write(f"part-{i}.h5", features=ROWS[half], labels=LABELS[half])
    return tmp_path


def write(name: str, without: str | None = None, **contents) -> None:
    """Make a file of features; what is given replaces what it holds otherwise."""
    with h5py.File(name, "w") as db:
        for key, value in (CONTENTS | contents).items():
            if key == "label_names":
                db.create_dataset(key, data=value, dtype=h5py.string_dtype())
            elif key != without:
                db[key] = value


def write_around(key: str, make, name: str = "main.h5") -> None:
    """Make a file of features whose dataset `key` a function puts into it, behind other rows."""
    with h5py.File(name, "w", userblock_size=512) as db:
        db["others"] = OTHERS  # what is where real.h5 has its rows
        for other in CONTENTS.keys() - {key}:
            db[other] = h5py.ExternalLink("real.h5", other)
        make(db, key)


def linked(db, key):
    db[key] = h5py.ExternalLink("real.h5", f"/{key}")


def linked_softly(db, key):
    db["elsewhere"] = h5py.ExternalLink("real.h5", f"/{key}")
    db[key] = h5py.SoftLink("/elsewhere")


def virtual(db, key, parts=("part-0.h5", "part-1.h5"), source_key=None):
    values = np.asarray(CONTENTS[key])
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    for i, part in enumerate(parts):
        shape = (5, *values.shape[1:])
        layout[5 * i : 5 * i + 5] = h5py.VirtualSource(part, source_key or key, shape)
    db.create_virtual_dataset(key, layout)


def nested(db, key):
    with h5py.File("nested.h5", "w") as inner:
        virtual(inner, key)
    values = np.asarray(CONTENTS[key])
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource("nested.h5", key, values.shape)
    db.create_virtual_dataset(key, layout)


def numbered(db, key):
    """Take the values from part-0.h5, part-1.h5 and so on, as many as there are."""
    values = np.asarray(CONTENTS[key])
    rest, endless = values.shape[1:], h5py.h5s.UNLIMITED
    space = h5py.h5s.create_simple(values.shape, (endless, *rest))
    zeros, ones = (0,) * len(rest), (1,) * len(rest)
    space.select_hyperslab((0, *zeros), (endless, *ones), (5, *ones), (5, *rest))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    block = h5py.h5s.create_simple((5, *rest))
    plist.set_virtual(space, b"part-%b.h5", key.encode(), block)
    shape = h5py.h5s.create_simple(values.shape, (endless, *rest))
    h5py.h5d.create(db.id, key.encode(), h5py.h5t.py_create(values.dtype), shape, plist)


def of_itself(db, key):
    db["own"] = np.asarray(CONTENTS[key])
    layout = h5py.VirtualLayout(db["own"].shape, db["own"].dtype)
    layout[:] = h5py.VirtualSource(db["own"])
    db.create_virtual_dataset(key, layout)


def raw(db, key, n_bytes=h5py.h5f.UNLIMITED):
    values = np.asarray(CONTENTS[key])
    Path("raw.bin").write_bytes(b"head" + values.tobytes())
    external = [("raw.bin", 4, n_bytes)]
    db.create_dataset(key, values.shape, values.dtype, external=external)


def raw_in_two(db, key):
    values = np.asarray(CONTENTS[key])
    Path("1.bin").write_bytes(values[:5].tobytes())
    Path("2.bin").write_bytes(values[5:].tobytes())
    sizes = [("1.bin", 0, values[:5].nbytes), ("2.bin", 0, h5py.h5f.UNLIMITED)]
    db.create_dataset(key, values.shape, values.dtype, external=sizes)


ELSEWHERE = [linked, linked_softly, virtual, nested, numbered, of_itself, raw, raw_in_two]


@pytest.mark.parametrize("make", ELSEWHERE)
@pytest.mark.parametrize("key", ["features", "labels"])
def test_values_are_those_that_hdf5_reads_wherever_they_lie(key, make):
    write_around(key, make)
    with open_features("main.h5") as file:
        np.testing.assert_array_equal(file.mapped(0, 10), ROWS)
        np.testing.assert_array_equal(file.mapped(3, 7), ROWS[3:7])
        np.testing.assert_array_equal(file.read(0, 10), ROWS)
        np.testing.assert_array_equal(file.labels, LABELS)
        assert file.label_names == NAMES


@pytest.mark.parametrize("make", [linked, linked_softly])
def test_rows_of_a_linked_file_are_mapped_there(make, tmp_path):
    write_around("features", make)
    with open_features("main.h5") as file:
        assert file.is_mapped
        assert Path(file.mapped(0, 10).filename) == tmp_path / "real.h5"


@pytest.mark.parametrize("make", [virtual, nested, numbered, of_itself, raw, raw_in_two])
def test_rows_that_are_stored_in_pieces_are_read(make):
    write_around("features", make)
    with open_features("main.h5") as file:
        assert not file.is_mapped
        assert type(file.mapped(0, 10)) is np.ndarray


def test_rows_after_a_users_block_are_mapped():
    with h5py.File("block.h5", "w", userblock_size=1024) as db:
        db["others"], db["features"], db["labels"] = OTHERS, ROWS, LABELS
        db.create_dataset("label_names", data=NAMES, dtype=h5py.string_dtype())
    with open_features("block.h5") as file:
        assert file.is_mapped
        np.testing.assert_array_equal(file.mapped(0, 10), ROWS)


def test_a_float_of_four_bytes_that_is_not_numpys_is_not_mapped():
    kind = h5py.h5t.NATIVE_FLOAT.copy()
    kind.set_fields(30, 22, 8, 0, 22)  # a bit of the mantissa less, and all others one to the right
    write("odd.h5", without="features")
    with h5py.File("odd.h5", "r+") as db:
        space = h5py.h5s.create_simple(ROWS.shape)
        made = h5py.h5d.create(db.id, b"features", kind, space)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.round(ROWS * 1024).astype(np.float32))
    with open_features("odd.h5") as file:
        np.testing.assert_array_equal(file.mapped(0, 10), np.round(ROWS * 1024))


def message(name: str = "main.h5") -> str:
    with pytest.raises(InputError) as caught, open_features(name):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("key", ["features", "labels", "label_names"])
@pytest.mark.parametrize("make", [linked, linked_softly])
def test_a_broken_link_is_reported_as_one(key, make):
    write_around(key, make)
    write("real.h5", without=key)
    if key == "label_names":
        with h5py.File("real.h5", "r+") as db:
            del db[key]
    printed = message()
    assert printed.startswith(f"'main.h5' has '{key}' only as a link: ")
    assert f"real.h5' has no '/{key}' dataset: it holds " in printed
    Path("real.h5").unlink()
    assert f"no file '{Path('real.h5')}'" in message()


def test_a_file_that_is_linked_to_is_named_if_it_is_none_or_unfinished():
    write_around("features", linked)
    Path("real.h5").rename("real.h5.partial")
    assert "'real.h5' is not finished, only 'real.h5.partial' is there" in message()
    Path("real.h5").write_text("text")
    assert "'real.h5' is not an HDF5 file" in message()


def test_a_link_to_itself_is_refused():
    with h5py.File("loop.h5", "w") as db:
        db["features"] = h5py.SoftLink("/features")
    assert "cannot open 'features' of 'loop.h5'" in message("loop.h5")


def test_a_group_is_not_a_dataset():
    with h5py.File("group.h5", "w") as db:
        db.create_group("features")
    assert message("group.h5").startswith("'group.h5' has a 'features' that is not a dataset")


@pytest.mark.parametrize("key", ["features", "labels"])
@pytest.mark.parametrize("make", [virtual, nested])
def test_a_virtual_source_that_is_gone_is_named(key, make):
    write_around(key, make)
    Path("part-1.h5").unlink()
    printed = message()
    assert printed.startswith(f"'main.h5' takes '{key}' from '")
    assert "from 'part-1.h5': no file '" in printed


def test_a_virtual_source_without_the_dataset_is_named():
    write_around("features", virtual)
    write("part-1.h5", without="features")
    assert "part-1.h5' has no 'features' dataset: it holds 'label_names', 'labels'" in message()


def test_the_first_of_numbered_sources_is_named_if_it_is_gone():
    write_around("features", numbered)
    Path("part-0.h5").unlink()
    assert "takes 'features' from 'part-0.h5': no file" in message()


def test_numbered_sources_that_end_early_leave_fewer_rows_than_labels():
    write_around("features", numbered)
    Path("part-1.h5").unlink()
    assert "has 5 rows of features but 10 labels" in message()


@pytest.mark.parametrize("n_rows", [3, 4])
def test_a_virtual_source_that_has_become_shorter_is_named(n_rows):
    write_around("features", virtual)
    write("part-1.h5", features=ROWS[:n_rows])
    assert f"'features' of 'part-1.h5', whose shape is now ({n_rows}, 4)" in message()


def test_a_virtual_source_of_which_a_part_is_taken_is_to_have_that_part():
    layout = h5py.VirtualLayout(ROWS.shape, ROWS.dtype)
    layout[:] = h5py.VirtualSource("long.h5", "features", (40, 4))[20:30]
    write("main.h5", without="features")
    with h5py.File("main.h5", "r+") as db:
        db.create_virtual_dataset("features", layout)
    write("long.h5", features=OTHERS)
    with open_features("main.h5") as file:
        np.testing.assert_array_equal(file.read(0, 10), OTHERS[20:30])
    write("long.h5", features=OTHERS[:25])
    assert "'features' of 'long.h5', whose shape is now (25, 4)" in message()


def test_rows_that_no_virtual_source_gives_are_refused():
    write_around("features", lambda db, key: virtual(db, key, ["part-0.h5"]))
    assert "from other datasets, which give 20 of its 40 values" in message()


def test_virtual_datasets_that_take_from_each_other_are_refused():
    for name, other in (("a.h5", "b.h5"), ("b.h5", "a.h5")):
        write_around("features", lambda db, key, other=other: virtual(db, key, [other] * 2), name)
    assert "takes its values from itself" in message("a.h5")


def test_sources_are_looked_for_where_hdf5_looks(monkeypatch, tmp_path):
    write_around("features", virtual)
    (tmp_path / "parts").mkdir()
    Path("part-1.h5").rename("parts/part-1.h5")
    assert "part-1.h5" in message()
    monkeypatch.setenv("HDF5_VDS_PREFIX", f"{tmp_path / 'nowhere'}:{tmp_path / 'parts'}")
    with open_features("main.h5") as file:
        np.testing.assert_array_equal(file.read(0, 10), ROWS)


def test_sources_are_beside_the_file_that_names_them(monkeypatch, tmp_path):
    for make in (virtual, nested, linked):
        write_around("features", make)
        (tmp_path / "cwd").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "cwd")
        with open_features("../main.h5") as file:
            np.testing.assert_array_equal(file.mapped(0, 10), ROWS)
        monkeypatch.chdir(tmp_path)


def test_percent_signs_in_names_of_sources_are_written_twice():
    Path("part-1.h5").rename("100%b.h5")
    write_around("features", lambda db, key: virtual(db, key, ["part-0.h5", "100%%b.h5"]))
    with open_features("main.h5") as file:
        np.testing.assert_array_equal(file.read(0, 10), ROWS)


@pytest.mark.parametrize("make", [raw, raw_in_two])
def test_a_raw_file_that_is_gone_or_short_is_named(make, tmp_path):
    write_around("features", make)
    (last,) = Path().glob("[r2]*.bin")
    n_bytes = last.stat().st_size
    os.truncate(last, n_bytes - 1)
    printed = message()
    assert f"takes 'features' from '{last}', which is truncated: {n_bytes - 1} bytes" in printed
    last.unlink()
    printed = message()
    assert f"'{last}': No such file or directory; expected it in '{tmp_path}'" in printed


def compressed(db, key):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    values = CONTENTS[key] if key != "label_names" else [name.encode() for name in NAMES]
    db.create_dataset(key, data=np.asarray(values), **hdf5plugin.Zstd())


def part_compressed(db, key):
    with h5py.File("real.h5", "r+") as real:
        del real[key]
        compressed(real, key)
    layout = h5py.VirtualLayout(ROWS.shape, ROWS.dtype)
    layout[:] = h5py.VirtualSource("real.h5", key, ROWS.shape)
    db.create_virtual_dataset(key, layout)


COMPRESSED = [
    *[pytest.param(key, compressed, id=key) for key in CONTENTS],
    pytest.param("features", part_compressed, id="part"),
]


def open_elsewhere(*before: str) -> subprocess.CompletedProcess:
    """Open main.h5 in a process that has not imported hdf5plugin yet."""
    program = [
        *before,
        "import numpy as np",
        "from pyimagesearch.io import open_features",
        "with open_features('main.h5') as file:",
        "    np.savez('read.npz', file.read(0, 10), file.labels, file.label_names)",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    environment.pop("HDF5_PLUGIN_PATH", None)  # hdf5plugin sets it
    command = [sys.executable, "-c", "\n".join(program)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "make"), COMPRESSED)
def test_a_filter_that_hdf5plugin_brings_is_used(key, make):
    write_around(key, make)
    done = open_elsewhere()
    assert done.stderr == ""
    with np.load("read.npz") as read:
        for found, expected in zip(read.values(), CONTENTS.values(), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "make"), COMPRESSED)
def test_a_filter_that_is_not_there_is_named(key, make):
    write_around(key, make)
    done = open_elsewhere("import sys", "sys.modules['hdf5plugin'] = None  # as if not installed")
    (*_, line) = done.stderr.splitlines()
    assert f"has a '{key}' compressed with 'HDF5 zstd filter', a filter" in line
    assert "of HDF5 that is not installed: pip install hdf5plugin" in line


def test_what_a_missing_filter_could_not_compress_is_read(tmp_path):
    """HDF5 stores a piece uncompressed if a filter fails, and marks it."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((5, 4))
    plist.set_filter(32768, h5py.h5z.FLAG_OPTIONAL, ())  # a number that nothing has
    write("main.h5", without="features")
    with h5py.File("main.h5", "r+") as db:
        space = h5py.h5s.create_simple(ROWS.shape)
        made = h5py.h5d.create(db.id, b"features", h5py.h5t.NATIVE_FLOAT, space, plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, ROWS)
    with open_features("main.h5") as file:
        np.testing.assert_array_equal(file.mapped(0, 10), ROWS)
