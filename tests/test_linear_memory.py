"""The estimated memory of a search, compared with what it takes."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pyimagesearch.linear import required_bytes

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
    grid_search(features, labels, [10.0], folds, n_jobs=2)
    print(peak[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc/self/status")
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((3000, 4000, 4), id="row space"),
        pytest.param((40000, 1000, 3), id="many rows"),
        pytest.param((6000, 2000, 60), id="many classes"),
    ],
)
def test_a_search_takes_about_as_much_as_estimated(tmp_path, shape):
    program = textwrap.dedent(SEARCH)
    command = [sys.executable, "-c", program, tmp_path / "features.npy", *map(str, shape)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    taken = int(done.stdout)
    assert 0.75 * taken <= required_bytes(*shape, 2) <= 1.25 * taken


def test_more_cores_are_never_estimated_to_need_less():
    for n_features in (1280, 25088):
        sizes = [required_bytes(6507, n_features, 101, jobs) for jobs in (1, 2, 4)]
        assert sizes[0] < sizes[1] <= sizes[2]
