"""The memory a search is said to need, beside what one takes."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pyimagesearch.linear import memory
from pyimagesearch.linear.memory import available_bytes, required_bytes

ROOT = Path(__file__).parent.parent
SEARCH = """
    import sys
    import threading
    import time
    from pathlib import Path
    import numpy as np
    from sklearn.model_selection import StratifiedKFold
    from pyimagesearch.linear import grid_search

    def anonymous():
        fields = dict(line.split(":") for line in Path("/proc/self/status").open())
        return int(fields["RssAnon"].split()[0]) * 1024

    def watch():
        while True:
            peak[0] = max(peak[0], anonymous())
            time.sleep(0.005)

    n_rows, n_features, n_classes = map(int, sys.argv[2:])
    random = np.random.default_rng(0)
    labels = np.arange(n_rows) % n_classes
    features = np.lib.format.open_memmap(sys.argv[1], "w+", "f4", (n_rows, n_features))
    for start in range(0, n_rows, 1000):
        random.standard_normal(out=features[start : start + 1000], dtype="f4")
    features += 0.3 * random.standard_normal((n_classes, n_features), dtype="f4")[labels]
    peak = [0]
    threading.Thread(target=watch, daemon=True).start()
    folds = StratifiedKFold(3).split(labels, labels)
    grid_search(features, labels, [1.0], folds, n_jobs=2)
    print(peak[0])
"""


@pytest.mark.parametrize(
    ("shape", "by_rows"),
    [
        pytest.param((3000, 4000, 4), True, id="products"),
        pytest.param((40000, 1000, 3), False, id="many rows"),
        pytest.param((6000, 2000, 60), False, id="many classes"),
    ],
)
def test_a_search_takes_about_as_much_as_estimated(tmp_path, shape, by_rows):
    program = textwrap.dedent(SEARCH)
    command = [sys.executable, "-c", program, tmp_path / "features.npy", *map(str, shape)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    taken = int(done.stdout)
    assert 0.75 * taken <= required_bytes(*shape, 2, by_rows) <= 1.25 * taken


def test_more_cores_are_never_estimated_to_need_less():
    for by_rows in (True, False):
        sizes = [required_bytes(6507, 25088, 101, jobs, by_rows) for jobs in (1, 2, 4)]
        assert sizes[0] < sizes[1] <= sizes[2]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Write the files of a machine with 5,000 kB left, and return the folder of its groups."""
    for name in ("MEMINFO", "OWN_GROUPS", "GROUPS"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    (tmp_path / "MEMINFO").write_text("MemTotal:  9000 kB\nMemAvailable:  5000 kB\nHugePages: 0\n")
    return tmp_path / "GROUPS"


def test_the_memory_of_an_unknown_machine_is_unknown(tmp_path, monkeypatch):
    for name in ("MEMINFO", "OWN_GROUPS", "GROUPS"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert available_bytes() is None


SECOND = {"own": "0::/a/b\n", "limit": "memory.max", "used": "memory.current", "root": ""}
FIRST = {
    "own": "4:cpu,memory:/a/b\n0::/\n",
    "limit": "memory.limit_in_bytes",
    "used": "memory.usage_in_bytes",
    "root": "memory",
}


@pytest.mark.parametrize("version", [FIRST, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("group", ["a/b", "a", "."])
@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param("max", 5000 * 1024, id="no limit"),
        pytest.param("3000000", 1500000, id="a limit below what is left"),
        pytest.param("1000", 0, id="a limit that is exceeded"),
        pytest.param("900000000", 5000 * 1024, id="a limit above what is left"),
    ],
)
def test_the_limit_of_a_group_counts_without_what_is_cached(
    machine, version, group, limit, expected
):
    (machine.parent / "OWN_GROUPS").write_text(version["own"])
    folder = machine / version["root"] / group
    folder.mkdir(parents=True)
    (folder / version["limit"]).write_text(f"{limit}\n")
    (folder / version["used"]).write_text("2000000\n")
    (folder / "memory.stat").write_text("anon 9\ninactive_file 400000\nactive_file 100000\n")
    assert available_bytes() == expected


def test_the_group_of_another_controller_does_not_count(machine):
    (machine.parent / "OWN_GROUPS").write_text("3:cpuset:/a\n")
    for folder in (machine / "a", machine / "memory" / "a"):
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text("1\n")
        (folder / "memory.current").write_text("0\n")
    assert available_bytes() == 5000 * 1024
