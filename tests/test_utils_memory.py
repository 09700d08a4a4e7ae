"""The memory that is available, in machines and control groups."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pyimagesearch.utils import memory
from pyimagesearch.utils.memory import available_bytes

ROOT = Path(__file__).parents[1]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Write the files of a machine with 5,000 kB available, and return the folder of its groups."""
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone keeps what was freed")
def test_large_blocks_go_back_to_the_system_at_once():
    program = (
        "import sys\n"
        "from contextlib import nullcontext\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from pyimagesearch.utils.memory import large_blocks_returned\n"
        "with large_blocks_returned() if sys.argv[1] == 'returned' else nullcontext():\n"
        "    np.ones(2**21)  # frees 16 MB: from now on glibc keeps blocks of that size\n"
        "    blocks = [np.ones(2**20) for _ in range(20)]\n"
        "    last = np.ones(2**16)\n"
        "    del blocks\n"
        "    pages = int(Path('/proc/self/statm').read_text().split()[1])\n"
        "print(pages * 4096)\n"
    )
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", program, way], cwd=ROOT))
        for way in ("kept", "returned")
    )
    assert kept - returned > 100e6
