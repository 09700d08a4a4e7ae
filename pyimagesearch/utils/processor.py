"""The model of the CPU: two models may round the last digit differently."""

import platform
from pathlib import Path


def processor_model() -> str:
    """Return the model of this machine's CPU, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []  # not Linux
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
