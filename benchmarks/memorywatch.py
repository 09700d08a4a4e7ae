"""Watch the memory of a process and its children, without slowing them."""

import subprocess
import threading
import time
from pathlib import Path

SAMPLE_EVERY_S = 0.05
SAMPLE_PAUSES = 20  # a look at 2 GB takes 18 ms of a core, and holds up who allocates meanwhile


def run_watched(command: list[str]) -> tuple[str, int]:
    """Run a command; return what it printed and its peak memory in bytes, or end if it fails."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peaks = [0]
    watcher = threading.Thread(target=watch, args=(process, peaks))
    watcher.start()
    out, complaints = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{complaints}")
    return out, peaks[0]


def watch(process: subprocess.Popen, peaks: list[int], kinds: tuple[str, ...] = ("Pss",)) -> None:
    """Keep the largest memory of a process and its children, of some kinds that Linux counts."""
    while process.poll() is None:
        started = time.perf_counter()
        peaks[0] = max(peaks[0], sum(held_bytes(pid, kinds) for pid in family(process.pid)))
        took_s = time.perf_counter() - started
        time.sleep(max(SAMPLE_EVERY_S, SAMPLE_PAUSES * took_s))


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def held_bytes(pid: int, kinds: tuple[str, ...]) -> int:
    """Return a process's memory, with its part of what it shares."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in lines[1:])
    return sum(1024 * int(fields[kind].split()[0]) for kind in kinds)
