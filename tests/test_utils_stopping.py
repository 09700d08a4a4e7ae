"""When a script stops."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from pyimagesearch.utils.script import script
from pyimagesearch.utils.stopping import stop_at_once, stop_requests

ROOT = Path(__file__).parents[1]


def in_a_thread(function):
    """Return what a function returns in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_work_in_another_thread_is_not_held_back_by_signals():
    def work():
        with stop_requests() as stop_if_asked:
            stop_if_asked()
            return "done"

    assert in_a_thread(work) == "done"
    assert in_a_thread(lambda: script(lambda: None)()) == 0


def test_ctrl_c_is_held_back_until_the_work_asks():
    def work():
        with stop_requests() as stop_if_asked:
            os.kill(os.getpid(), signal.SIGINT)
            stop_if_asked()

    before = signal.getsignal(signal.SIGINT)
    assert script(work)() == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_the_caller_had_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:

        def work():
            with stop_requests() as stop_if_asked:
                os.kill(os.getpid(), signal.SIGINT)
                stop_if_asked()

        stop_at_once()
        assert script(work)() == 0
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_during_the_imports_of_a_script_gives_one_line():
    program = (
        "import os, runpy, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'h5py':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "sys.argv = ['extract_features.py', '--help']\n"
        "runpy.run_path('extract_features.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "[WARNING] stopped by SIGINT\n")
