import functools
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import CLASSES, fake_network, load_fake
from crash_child import ENVIRONMENT, Nursery
from draw import draw_images

import extract_features
from pyimagesearch.nn import Weights
from pyimagesearch.utils import InputError

N = 60  # images of the runs that are killed
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "images"
    draw_images(folder, CLASSES, N // len(CLASSES))
    return folder


@pytest.fixture(scope="module")
def digest(nursery, images, tmp_path_factory) -> str:
    """Return the SHA-256 of the file that a run without a break makes."""
    output = tmp_path_factory.mktemp("whole") / "features.hdf5"
    assert nursery.run("extract", argv=command(images, output)) == 0
    return sha256(output)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "features.hdf5"


def command(images: Path, output: Path, **options: object) -> list[str]:
    flags = {"--buffer-size": 5, "--jobs": 2} | options
    paths = ["--dataset", str(images), "--output", str(output)]
    return [*paths, *(str(part) for flag in flags.items() for part in flag)]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def partial(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


def n_rows(output: Path) -> int:
    """Count the rows of a ``.partial``, also while it is being written."""
    try:
        with h5py.File(partial(output), "r", locking=False) as db:
            return int((db["labels"][:] >= 0).sum())
    except FileNotFoundError:
        return 0


def has_rows(output: Path) -> bool:
    try:
        return n_rows(output) > 0
    except OSError:  # it is just being moved into place
        return False


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_is_completed_to_the_same_bytes(nursery, images, digest, output):
    argv = command(images, output)
    rng = random.Random(0)
    latest_s = 0.4
    found = []
    while len(found) < 30 or sum(0 < n < N for n in found) < 10:
        assert len(found) < 200
        if output.exists():
            assert sha256(output) == digest
            output.unlink()
        child = nursery.start("extract", argv=argv, delay_s=0.004)
        time.sleep(rng.uniform(0, latest_s))
        os.kill(child, signal.SIGKILL)
        if nursery.wait() == -signal.SIGKILL:
            found.append(n_rows(output))
            latest_s *= 1.05  # until it is about as long as a run, which depends on the machine
        else:
            latest_s *= 0.8
    if not output.exists():
        assert nursery.run("extract", argv=argv) == 0
    assert sha256(output) == digest
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.slow
def test_a_kill_costs_little_work_however_large_the_buffer(nursery, images, output, tmp_path):
    computed = tmp_path / "computed"
    computed.touch()
    options = {"flush_seconds": 0.1, "computed": computed, "delay_s": 0.02}
    argv = command(images, output, **{"--buffer-size": 10_000, "--jobs": 1})
    child = nursery.start("extract", argv=argv, **options)
    wait_until(lambda: computed.stat().st_size >= 40)
    os.kill(child, signal.SIGKILL)
    assert nursery.wait() == -signal.SIGKILL
    # 5 images in a tenth of a second, a batch of 2, and 4 that are computed ahead.
    assert n_rows(output) >= computed.stat().st_size - 20


def test_too_little_room_for_the_file_is_reported_before_the_work_starts(
    nursery, images, output, tmp_path
):
    log = tmp_path / "log"
    argv = command(images, output)
    assert nursery.run("extract", log, argv=argv, n_bytes=60_000) == 1
    *_, printed = log.read_text().splitlines()
    assert printed.startswith(f"[ERROR] cannot make '{partial(output)}' (")
    assert printed.endswith("File too large; make room, or give another output")
    assert list(output.parent.iterdir()) == [log]


def test_a_disk_that_fills_up_keeps_what_has_been_computed(
    nursery, images, digest, output, tmp_path
):
    log = tmp_path / "log"
    argv = command(images, output)
    assert nursery.run("extract", log, argv=argv, n_bytes_when_computing=4_000) == 1
    *_, printed = log.read_text().splitlines()
    assert printed == (
        f"[ERROR] cannot write to '{partial(output)}': File too large; '{partial(output)}' "
        f"holds {n_rows(output)} of {N} rows: run the same command again to resume"
    )
    assert nursery.run("extract", argv=argv) == 0
    assert sha256(output) == digest


class Run:
    """A process of its own that extracts features, with pipes for what it prints.

    Parameters
    ----------
    argv : list of str
        The command line.
    **options
        As of `crash_child.extract`.
    """

    def __init__(self, argv: list[str], **options: object):
        call = f"import crash_child; crash_child.extract({argv!r}, **{options!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", call],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for_line(self, words: str) -> None:
        while words not in self.process.stdout.readline():
            assert self.process.poll() is None

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out, err


@pytest.mark.slow
@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_keeps_the_rows_and_reports_how_to_resume(
    nursery, images, digest, output, tmp_path, number, concurrent
):
    argv = command(images, output)
    with Run(argv, delay_s=0.03, concurrent=concurrent) as run:
        wait_until(lambda: has_rows(output))
        run.process.send_signal(number)
        code, _, printed = run.end()
    n_kept = n_rows(output)
    assert 0 < n_kept < N
    assert code == 128 + number
    assert printed == (
        f"[WARNING] stopped by {number.name}; '{partial(output)}' "
        f"holds {n_kept} of {N} rows: run the same command again to resume\n"
    )
    log = tmp_path / "log"
    assert nursery.run("extract", log, argv=argv, concurrent=concurrent) == 0
    assert f"\n[INFO] resuming at {n_kept} of {N}\n" in log.read_text()
    assert sha256(output) == digest


@pytest.mark.slow
def test_a_run_that_copies_rows_is_stopped_and_killed_and_resumed(
    nursery, images, digest, output, tmp_path
):
    some = tmp_path / "some"
    some.mkdir()
    for name in CLASSES[:2]:
        (some / name).symlink_to(images / name)
    old = tmp_path / "old.hdf5"
    assert nursery.run("extract", argv=command(some, old)) == 0
    argv = [*command(images, output), "--reuse", str(old)]
    with Run(argv, delay_s=0.1) as run:
        wait_until(lambda: has_rows(output))
        run.process.send_signal(signal.SIGINT)
        assert run.end()[0] == 130
    n_kept = n_rows(output)
    assert 0 < n_kept < N
    child = nursery.start("extract", argv=argv, delay_s=0.1)
    wait_until(lambda: n_rows(output) > n_kept or output.exists())
    os.kill(child, signal.SIGKILL)
    nursery.wait()
    assert n_kept < n_rows(output) < N
    assert nursery.run("extract", argv=argv) == 0
    assert sha256(output) == digest


@pytest.mark.slow
def test_a_second_request_to_stop_does_not_wait(images, output, tmp_path):
    argv = command(images, output)
    prepared = tmp_path / "prepared"
    with Run(argv, delay_s=10.0, concurrent=False, prepared=str(prepared)) as run:
        wait_until(prepared.exists)  # the first batch, which takes 20 seconds
        time.sleep(0.1)
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert run.process.poll() is None
        started = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        code, _, printed = run.end()
    assert time.monotonic() - started < 10
    assert code == 130
    assert printed == (
        f"[WARNING] stopped by SIGINT; '{partial(output)}' holds 0 of {N} rows: "
        "run the same command again to resume\n"
    )


@pytest.mark.slow
def test_a_request_to_stop_while_images_are_checked_is_one_line(images, tmp_path, output):
    many = tmp_path / "many"
    for copy in range(25):
        for path in images.glob("*/*.jpg"):
            (many / path.parent.name).mkdir(parents=True, exist_ok=True)
            os.link(path, many / path.parent.name / f"{copy}_{path.name}")
    with Run(command(many, output)) as run:
        run.wait_for_line("checking 1,500 images")
        run.process.send_signal(signal.SIGINT)
        code, printed, complaints = run.end()
    assert "loading" not in printed
    assert (code, complaints) == (130, "[WARNING] stopped by SIGINT\n")
    assert not partial(output).exists()


class BrokenOffError(Exception):
    """What breaks a run off."""


def breaking_network(n_batches: int, act: Callable[[], None], **options: object):
    """Return a fake network that acts before it computes a batch, once."""
    network = fake_network(**options)
    compute = network.compute
    n_computed = 0

    def compute_some(batch: np.ndarray) -> np.ndarray:
        nonlocal n_computed
        n_computed += 1
        if n_computed == n_batches + 1:
            act()
        return compute(batch)

    network.compute = compute_some
    return network


def break_off() -> None:
    raise BrokenOffError


def extract(images: Path, output: Path, network=None, **options: object):
    """Extract features with a fake network, in this process."""
    load = load_fake if network is None else lambda *_: network
    return extract_features.extract(
        str(images), str(output), load_network=load, **{"buffer_size": 3} | options
    )


@pytest.fixture
def unfinished(image_folder, output, monkeypatch) -> Path:
    """Leave a ``.partial`` with the first 6 of 15 rows; return the images."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    with pytest.raises(BrokenOffError) as caught:
        extract(image_folder, output, breaking_network(3, break_off))
    assert caught.value.__notes__ == [
        f"'{partial(output)}' holds 6 of 15 rows: run the same command again to resume"
    ]
    return image_folder


def described(**changes: object):
    """Return a fake network whose description is another."""
    network = fake_network()
    network.description = replace(network.description, **changes)
    return network


def add_image(images: Path) -> None:
    shutil.copy(images / "cats" / "cats_000.jpg", images / "cats" / "new.jpg")


def remove_image(images: Path) -> None:
    (images / "cats" / "cats_000.jpg").unlink()


def rename_image(images: Path) -> None:
    (images / "cats" / "cats_000.jpg").rename(images / "cats" / "new.jpg")


def rename_class(images: Path) -> None:
    (images / "cats").rename(images / "koalas")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(add_image, "paths (1 new, such as 'cats/new.jpg')", id="added"),
        pytest.param(remove_image, "paths (1 gone, such as 'cats/cats_000.jpg')", id="removed"),
        pytest.param(
            rename_image,
            "paths (1 gone, such as 'cats/cats_000.jpg', 1 new, such as 'cats/new.jpg')",
            id="renamed",
        ),
        pytest.param(rename_class, "paths (5 gone, such as 'cats/", id="class renamed"),
    ],
)
def test_other_images_are_refused_and_named(unfinished, output, change, named):
    before = partial(output).read_bytes()
    change(unfinished)
    with pytest.raises(InputError) as caught:
        extract(unfinished, output)
    assert named in str(caught.value)
    assert "use the recorded settings, or delete the file to start again" in str(caught.value)
    assert partial(output).read_bytes() == before
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param({"seed": 43}, "seed (42 recorded, 43 now)", id="seed"),
        pytest.param(
            {"network": described(weights=Weights("none", "1" * 64))},
            f"weights sha256 ({'0' * 64} recorded, {'1' * 64} now)",
            id="contents of the weights",
        ),
        pytest.param(
            {"network": described(weights=Weights("other", "0" * 64))},
            "weights name (none recorded, other now)",
            id="name of the weights",
        ),
        pytest.param(
            {"network": described(layer="first")}, "layer (last recorded, first now)", id="layer"
        ),
        pytest.param(
            {"network": described(preprocessing="some")},
            "preprocessing (none recorded, some now)",
            id="preprocessing",
        ),
        pytest.param(
            {"network": described(feature_shape=(3, 4))},
            "feature_shape ([2, 3, 4] recorded, [3, 4] now)",
            id="number of features",
        ),
        pytest.param(
            {"network": fake_network(batch_size=3)},
            "batch_size (2 recorded, 3 now)",
            id="batch size",
        ),
    ],
)
def test_other_settings_are_refused_and_named(unfinished, output, options, named):
    before = partial(output).read_bytes()
    with pytest.raises(InputError) as caught:
        extract(unfinished, output, **options)
    assert named in str(caught.value)
    assert partial(output).read_bytes() == before
    assert not output.exists()


def test_the_order_of_the_rows_is_that_of_the_seed_also_after_a_refusal(unfinished, output):
    with pytest.raises(InputError, match=r"differs in seed \(42 recorded, 7 now\): "):
        extract(unfinished, output, seed=7)
    done = extract(unfinished, output)
    assert (done.shape, done.n_computed) == ((15, 24), 9)


def test_a_run_that_resumes_keeps_the_date_of_the_first(unfinished, output, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    extract(unfinished, output)
    assert provenance(output)["created"] == "2017-07-14T02:40:00+00:00"


@pytest.mark.parametrize(("asked", "taken"), [("auto", "fake"), ("keras", "keras")])
def test_a_run_resumes_with_the_engine_that_began_it_unless_another_is_asked_for(
    unfinished, output, asked, taken
):
    engines = []

    def load(choice, engine, *_):
        engines.append(engine)
        return fake_network()

    extract_features.extract(unfinished, output, engine=asked, load_network=load)
    assert engines == [taken]


def provenance(path: Path) -> dict:
    with h5py.File(path) as db:
        return json.loads(db["features"].attrs["provenance"])


@pytest.mark.parametrize("n_kept", [0, 1, 5, 14, 15])
def test_a_run_resumes_at_any_row_also_within_a_batch(image_folder, output, n_kept, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    extract(image_folder, output)
    whole = output.read_bytes()
    output.rename(partial(output))
    with h5py.File(partial(output), "r+") as db:
        db["labels"][n_kept:] = -1
        db["features"][n_kept:] = 0
    assert extract(image_folder, output).n_computed == 15 - n_kept
    assert output.read_bytes() == whole


@pytest.mark.parametrize("n_kept", [1, 4, 7, 14])
def test_a_run_resumes_with_the_batches_of_one_without_a_break(image_folder, output, n_kept):
    def load(*_):
        """Return a network whose last digits depend on the batch, as those of real ones do."""
        network = fake_network(batch_size=4, concurrent=False)
        compute = network.compute
        network.compute = lambda batch: compute(batch) + np.float32(batch.mean())
        return network

    extract(image_folder, output, load())
    with h5py.File(output) as db:
        whole = db["features"][:]
    output.rename(partial(output))
    with h5py.File(partial(output), "r+") as db:
        db["labels"][n_kept:] = -1
        db["features"][n_kept:] = 0
    assert extract(image_folder, output, load()).n_computed == 15 - n_kept
    with h5py.File(output) as db:
        np.testing.assert_array_equal(db["features"][:], whole)


@pytest.mark.slow
def test_a_second_run_on_one_output_is_refused_and_the_first_continues(
    nursery, images, digest, output
):
    nursery.start("extract", argv=command(images, output), delay_s=0.03)
    wait_until(lambda: has_rows(output))
    with pytest.raises(InputError) as caught:
        extract(images, output)
    assert str(caught.value) == (
        f"'{partial(output)}' is being written by another run: wait for it, or give another output"
    )
    assert nursery.wait() == 0
    assert sha256(output) == digest


def alter(path: Path) -> None:
    path.write_bytes(next(other for other in path.parent.iterdir() if other != path).read_bytes())


def touch(path: Path) -> None:
    os.utime(path, (0, 0))


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(alter, "has changed since it was checked", id="altered"),
        pytest.param(touch, "has changed since it was checked", id="written again"),
        pytest.param(cut_short, "cannot be read: image file is truncated", id="cut short"),
        pytest.param(Path.unlink, "cannot be read: no such file or directory", id="deleted"),
    ],
)
@pytest.mark.parametrize("concurrent", [True, False])
def test_an_image_that_changes_after_the_check_stops_the_run_and_costs_no_row(
    image_folder, output, tmp_path, change, why, concurrent, monkeypatch
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    whole = tmp_path / "whole.hdf5"
    extract(image_folder, whole)
    last = image_folder / provenance(whole)["paths"][-1]
    contents = last.read_bytes()
    changing = breaking_network(1, lambda: change(last), concurrent=concurrent)
    with pytest.raises(InputError) as caught:
        extract(image_folder, output, changing)
    assert f"'{last}' {why}" in str(caught.value)
    assert caught.value.__notes__ == [
        f"'{partial(output)}' holds 14 of 15 rows: run the same command again to resume"
    ]
    last.write_bytes(contents)
    assert extract(image_folder, output).n_computed == 1
    assert output.read_bytes() == whole.read_bytes()


@pytest.fixture
def fake_main(monkeypatch) -> Callable[[list[str]], int]:
    """Return the script's main function, with a fake network."""
    fake = functools.partial(extract_features.extract, load_network=load_fake)
    monkeypatch.setattr(extract_features, "extract", fake)
    return extract_features.main


@pytest.fixture
def two_bad_images(image_folder: Path) -> Path:
    cut_short(image_folder / "dogs" / "dogs_001.jpg")
    (image_folder / "cats" / "cats_003.jpg").write_text("<html>not found</html>")
    return image_folder


def test_all_bad_images_are_named_before_anything_is_written(
    two_bad_images, output, fake_main, capsys
):
    assert fake_main(command(two_bad_images, output)) == 1
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith("[ERROR] cannot read 'cats/cats_003.jpg': not a supported image")
    assert second.startswith("[ERROR] cannot read 'dogs/dogs_001.jpg': image file is truncated")
    assert last.startswith("[ERROR] 2 of 15 images cannot be read:")
    assert "--skip-bad" in last
    assert list(output.parent.iterdir()) == [two_bad_images]


def test_bad_images_are_skipped_where_that_is_asked_for(two_bad_images, output, fake_main, capsys):
    assert fake_main([*command(two_bad_images, output), "--skip-bad"]) == 0
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("[WARNING] skipped 'cats/cats_003.jpg': not a supported image")
    assert second.startswith("[WARNING] skipped 'dogs/dogs_001.jpg': image file is truncated")
    recorded = provenance(output)
    good = {str(path.relative_to(two_bad_images)) for path in two_bad_images.glob("*/*")}
    good -= {"cats/cats_003.jpg", "dogs/dogs_001.jpg"}
    assert set(recorded["paths"]) == good
    assert sorted(recorded["skipped"]) == ["cats/cats_003.jpg", "dogs/dogs_001.jpg"]
    with h5py.File(output) as db:
        assert db["features"].shape == (13, 24)
        names = db["label_names"].asstr()[:]
        assert [names[label] for label in db["labels"]] == [
            path.split("/")[0] for path in recorded["paths"]
        ]


def test_bad_images_are_skipped_again_when_the_run_is_resumed(two_bad_images, output):
    with pytest.raises(BrokenOffError):
        extract(two_bad_images, output, breaking_network(3, break_off), skip_bad=True)
    assert extract(two_bad_images, output, skip_bad=True).n_computed == 7


def test_an_image_that_has_been_repaired_is_no_longer_the_same_run(two_bad_images, output):
    with pytest.raises(BrokenOffError):
        extract(two_bad_images, output, breaking_network(3, break_off), skip_bad=True)
    shutil.copy(two_bad_images / "dogs" / "dogs_000.jpg", two_bad_images / "dogs" / "dogs_001.jpg")
    with pytest.raises(InputError, match=r"paths \(1 new, such as 'dogs/dogs_001.jpg'\)"):
        extract(two_bad_images, output, skip_bad=True)
