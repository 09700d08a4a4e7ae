"""Rows that are copied from earlier files: which, how many, and that the bytes are the same."""

import contextlib
import dataclasses
import json
import shutil

import h5py
import numpy as np
import pytest
from conftest import fake_network, load_fake
from draw import draw_images
from PIL import Image
from test_extract_folders import provenance, run, stop_after

from pyimagesearch.io import RunRecord, reusablerows
from pyimagesearch.utils import InputError


@pytest.fixture
def grown(image_folder, tmp_path, monkeypatch):
    """Extract 15 images, add 4 of them in a new class, and return the file of the 15."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    run(image_folder, tmp_path / "old.hdf5")
    draw_images(image_folder, ["owls"], 4, seed=1)
    return tmp_path / "old.hdf5"


def counting(computed, **options):
    """Return a loader of a network that takes note of the images that it computes."""

    def load(*_):
        network = fake_network(**options)
        compute = network.compute

        def note(batch):
            computed.extend(image.tobytes() for image in batch)
            return compute(batch)

        network.compute = note
        return network

    return load


def with_neighbours(*_):
    """Load a network that computes two images at a time, and mixes them."""
    network = fake_network(independent=False)
    compute = network.compute

    def mixed(batch):
        rows = compute(batch)
        return rows + rows.sum(axis=0) / 8 + np.arange(len(rows), dtype=np.float32)[:, None]

    network.compute = mixed
    return network


def test_only_new_images_are_computed_and_the_bytes_are_the_same(image_folder, tmp_path, grown):
    whole, new = tmp_path / "whole.hdf5", tmp_path / "new.hdf5"
    run(image_folder, whole)
    computed = []
    printed = run(image_folder, new, reuse=[str(grown)], load_network=counting(computed))
    assert len(computed) == 4
    assert new.read_bytes() == whole.read_bytes()
    assert f"[INFO] reuse: 15 of 19 rows copied from '{grown}'\n" in printed


def test_rows_come_from_several_files_whatever_their_order_labels_and_names(
    image_folder, tmp_path, grown
):
    for name in ("cats", "owls"):
        shutil.copytree(image_folder / name, tmp_path / "some" / name)
    run(tmp_path / "some", tmp_path / "owls.hdf5", labels_from="name")
    (image_folder / "cats").rename(image_folder / "felines")
    for i, path in enumerate(sorted((image_folder / "dogs").iterdir())):
        path.rename(path.with_stem(f"renamed {i}"))
    shutil.copy(image_folder / "dogs" / "renamed 0.jpg", image_folder / "dogs" / "again.jpg")
    whole, new = tmp_path / "whole.hdf5", tmp_path / "new.hdf5"
    run(image_folder, whole, seed=3)
    computed = []
    reuse = [str(tmp_path / "owls.hdf5"), str(grown)]
    printed = run(image_folder, new, seed=3, reuse=reuse, load_network=counting(computed))
    assert not computed
    assert new.read_bytes() == whole.read_bytes()
    assert f"reuse: 20 of 20 rows copied from '{reuse[0]}', '{reuse[1]}'\n" in printed


def test_of_files_that_have_the_same_rows_the_first_is_read(image_folder, tmp_path, grown):
    other = tmp_path / "other.hdf5"
    shutil.copy(grown, other)
    with_rows(lambda rows: rows + 1)(other)
    for reuse in ([grown, other], [other, grown]):
        new = tmp_path / f"{reuse[0].stem}-first.hdf5"
        run(image_folder, new, reuse=list(map(str, reuse)))
        with h5py.File(new) as db, h5py.File(reuse[0]) as first:
            row = provenance(new)["digests"].index(provenance(grown)["digests"][0])
            assert np.array_equal(db["features"][row], first["features"][0])


@pytest.mark.parametrize("n_batches", [0, 3])
@pytest.mark.parametrize("again", [True, False], ids=["with it again", "without"])
def test_a_run_that_was_stopped_is_resumed_with_and_without_the_earlier_file(
    image_folder, tmp_path, grown, n_batches, again
):
    draw_images(image_folder, ["yaks"], 6, seed=2)
    whole, new = tmp_path / "whole.hdf5", tmp_path / "new.hdf5"
    run(image_folder, whole)
    reuse, stopping = [str(grown)], stop_after(n_batches)
    with pytest.raises(InputError, match="stopped here"):
        run(image_folder, new, reuse=reuse, load_network=stopping, buffer_size=1)
    printed = run(image_folder, new, reuse=reuse if again else [])
    assert ("resuming at " in printed) == bool(n_batches)
    assert new.read_bytes() == whole.read_bytes()


def test_rows_that_depend_on_their_batch_are_copied_with_all_of_it(
    image_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    old, new, whole = (tmp_path / f"{name}.hdf5" for name in ("old", "new", "whole"))
    run(image_folder, old, load_network=with_neighbours)
    lines = [
        f"{p.relative_to(image_folder)},my {p.parent.name}" for p in image_folder.rglob("*.jpg")
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    labels = str(tmp_path / "labels.csv")
    run(image_folder, whole, labels=labels, load_network=with_neighbours)
    printed = run(image_folder, new, labels=labels, load_network=with_neighbours, reuse=[str(old)])
    assert "reuse: 15 of 15 rows copied" in printed
    assert "note: fake computes 2 images at a time, which may change a row's last digits" in printed
    assert new.read_bytes() == whole.read_bytes()

    draw_images(image_folder, ["owls"], 4, seed=1)
    grown, computed = tmp_path / "grown.hdf5", tmp_path / "computed.hdf5"
    run(image_folder, computed, load_network=with_neighbours)
    run(image_folder, grown, load_network=with_neighbours, reuse=[str(old)])
    assert grown.read_bytes() == computed.read_bytes()


def other(**changed):
    def load(*_):
        network = fake_network()
        description = {k: v for k, v in changed.items() if hasattr(network.description, k)}
        network.description = dataclasses.replace(network.description, **description)
        for name in changed.keys() - description.keys():
            setattr(network, name, changed[name])
        return network

    return load


@pytest.mark.parametrize(
    ("load", "differs"),
    [
        (other(layer="first", engine="another"), "layer (last recorded, first now), engine (fake "),
        (other(pooling="avg"), "pooling (none recorded, avg now): use the recorded settings, or"),
        (other(batch_size=4, independent=False), "batch_size (2 recorded, 4 now)"),
    ],
)
def test_other_settings_are_refused_with_all_that_differ(
    image_folder, tmp_path, grown, load, differs
):
    with pytest.raises(InputError) as refused:
        run(image_folder, tmp_path / "new.hdf5", reuse=[str(grown)], load_network=load)
    assert f"cannot reuse rows of '{grown}', which differs in {differs}" in str(refused.value)
    assert not list(tmp_path.glob("new.hdf5*"))


def test_the_size_of_a_batch_means_nothing_where_rows_are_independent(
    image_folder, tmp_path, grown
):
    printed = run(
        image_folder, tmp_path / "new.hdf5", reuse=[str(grown)], load_network=other(batch_size=4)
    )
    assert "reuse: 15 of 19 rows" in printed


def test_another_decoding_is_refused(image_folder, tmp_path, grown):
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    Image.fromarray(values).save(image_folder / "owls" / "float.tif")
    with pytest.raises(InputError, match=r"differs in decoding float_range \(nothing recorded, "):
        run(image_folder, tmp_path / "new.hdf5", reuse=[str(grown)])


def rewrite(path, rows=None, **changed):
    """Write a file of features again, with other rows or another record."""
    with h5py.File(path, "r+") as db:
        recorded = json.loads(db["features"].attrs["provenance"]) | changed
        rows = db["features"][:] if rows is None else rows
        del db["features"]
        db["features"] = rows
        recorded = {key: value for key, value in recorded.items() if value is not None}
        db["features"].attrs["provenance"] = json.dumps(recorded)


def with_rows(change):
    def damage(path):
        with h5py.File(path) as db:
            rows = db["features"][:]
        rewrite(path, change(rows))

    return damage


def without_record(path):
    with h5py.File(path, "r+") as db:
        del db["features"].attrs["provenance"]


WRONG_FILES = [
    pytest.param(lambda path: path.unlink(), "no file '{}': expected one made by", id="missing"),
    pytest.param(lambda path: path.write_text("rows"), "'{}' is not an HDF5 file", id="text"),
    pytest.param(
        lambda path: path.write_bytes(path.read_bytes()[:-99]), "'{}' is truncated", id="cut"
    ),
    pytest.param(without_record, "'{}' does not record the digests of its 15 images", id="foreign"),
    pytest.param(
        lambda path: rewrite(path, digests=["a"]), "'{}' does not record the dig", id="few digests"
    ),
    pytest.param(
        lambda path: rewrite(path, decoding=None),
        "'{}', which differs in decoding (nothing recorded",
        id="1.0.0",
    ),
    pytest.param(
        with_rows(lambda rows: rows.astype(float)), "'{}' has features of dtype float64", id="dtype"
    ),
    pytest.param(
        with_rows(lambda rows: rows * np.nan), "of '{}' has features that are NaN", id="NaN"
    ),
]


@pytest.mark.parametrize(("damage", "message"), WRONG_FILES)
def test_a_file_that_is_of_no_use_is_refused(image_folder, tmp_path, grown, damage, message):
    damage(grown)
    with pytest.raises(InputError) as refused:
        run(image_folder, tmp_path / "new.hdf5", reuse=[str(grown)])
    assert message.format(grown) in str(refused.value)


def test_the_file_to_make_and_an_unfinished_one_are_refused(image_folder, tmp_path, grown):
    new = tmp_path / "new.hdf5"
    with pytest.raises(InputError, match="', the output file: expected an earlier one"):
        run(image_folder, new, reuse=[str(new)])
    (tmp_path / "link.hdf5").symlink_to(new)
    with pytest.raises(InputError, match="', the output file: expected an earlier one"):
        run(image_folder, new, reuse=[str(tmp_path / "link.hdf5")])
    grown.rename(f"{grown}.partial")
    with pytest.raises(InputError, match="is not finished"):
        run(image_folder, new, reuse=[str(grown)])
    with contextlib.suppress(FileNotFoundError):
        grown.unlink()


def test_a_file_that_changes_before_its_rows_are_read_is_refused(
    image_folder, tmp_path, grown, monkeypatch
):
    real = reusablerows.ReusableRows.find

    def then_change(*arguments):
        found = real(*arguments)
        digests = provenance(grown)["digests"]
        rewrite(grown, digests=digests[::-1])
        return found

    monkeypatch.setattr(reusablerows.ReusableRows, "find", then_change)
    with pytest.raises(InputError, match="has changed since it was checked: run again"):
        run(image_folder, tmp_path / "new.hdf5", reuse=[str(grown)])


def test_other_versions_and_processors_are_warned_of(image_folder, tmp_path, grown, capsys):
    versions = provenance(grown)["versions"]
    rewrite(grown, versions=versions | {"h5py": "1"})
    run(image_folder, tmp_path / "one.hdf5", reuse=[str(grown)])
    assert "[WARNING]" not in capsys.readouterr().err
    rewrite(grown, versions=versions | {"pillow": "9.0"}, processors="i386")
    run(image_folder, tmp_path / "two.hdf5", reuse=[str(grown)], load_network=load_fake)
    err = capsys.readouterr().err
    assert (
        f"'{grown}' was made with another pillow (9.0 recorded, {versions['pillow']} now), " in err
    )
    assert "processor (i386 recorded, " in err


def test_weights_are_the_same_whatever_their_file_is_called(tmp_path):
    record = RunRecord(weights={"name": "a.h5", "sha256": "ab"})
    renamed = RunRecord(weights={"name": "b.h5", "sha256": "ab"})
    rows = reusablerows.ReusableRows([], tmp_path)
    rows._records = {tmp_path: record}
    rows.require_same(renamed, independent=True)
    with pytest.raises(InputError, match=r"differs in weights sha256 \(ab recorded, cd now\)"):
        rows.require_same(RunRecord(weights={"name": "a.h5", "sha256": "cd"}), independent=True)
