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
    import numpy as np
    from sklearn.model_selection import StratifiedKFold
    from pyimagesearch.linear import grid_search
    n_rows, n_features, n_classes = map(int, sys.argv[1:])
    random = np.random.default_rng(0)
    labels = np.arange(n_rows) % n_classes
    features = random.standard_normal((n_rows, n_features), dtype=np.float32)
    features += labels[:, None]
    folds = StratifiedKFold(3).split(labels, labels)
    grid_search(features, labels, [1e-4], folds, n_jobs=2, tolerance=0.1)
    # Not ru_maxrss, which begins with what the parent process held.
    with open("/proc/self/status") as status:
        (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
    print(int(peak) * 1024)
"""


@pytest.mark.parametrize(
    "shape",
    [pytest.param((2100, 4000, 4), id="n < d"), pytest.param((30000, 300, 4), id="n >= d")],
)
def test_a_search_takes_about_as_much_as_estimated(shape):
    command = [sys.executable, "-c", textwrap.dedent(SEARCH), *map(str, shape)]
    taken = int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    assert taken <= required_bytes(*shape, n_jobs=2) <= 2 * taken


def test_the_estimate_counts_the_features_once_in_float32():
    narrow, wide = (required_bytes(100, n_features, 3, 1) for n_features in (1000, 1001))
    assert wide - narrow == 4 * 100


def test_more_jobs_are_never_estimated_to_need_less():
    one, two, four = (required_bytes(6507, 25088, 101, jobs) for jobs in (1, 2, 4))
    assert one < two <= four


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Paths of a machine that tells nothing, to be written by a test."""
    files = tmp_path / "meminfo", tmp_path / "limit", tmp_path / "used"
    monkeypatch.setattr(memory, "MEMINFO", files[0])
    monkeypatch.setattr(memory, "CGROUP_FILES", (files[1:],))
    return files


def test_the_memory_of_an_unknown_machine_is_unknown(machine):
    assert available_bytes() is None


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param("max", 5000 * 1024, id="no limit"),
        pytest.param("3000000", 1000000, id="a limit below what is left"),
        pytest.param("1000", 0, id="a limit that is exceeded"),
        pytest.param("900000000", 5000 * 1024, id="a limit above what is left"),
    ],
)
def test_the_available_memory_is_the_least_of_machine_and_group(machine, limit, expected):
    meminfo, limit_file, used_file = machine
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    limit_file.write_text(f"{limit}\n")
    used_file.write_text("2000000\n")
    assert available_bytes() == expected
