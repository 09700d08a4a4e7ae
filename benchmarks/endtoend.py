"""Measure how much of an extraction is decoding and the network, and what is left.

    python benchmarks/endtoend.py animals/images --copies 10 --network own.keras --preprocessing tf
    python benchmarks/endtoend.py animals/images --copies 10 --network MobileNetV2

Runs extract_features.py on the images, each linked to under so many names,
with pooling, and with random weights if the network is one of
keras.applications. Then each part is timed by itself, on all cores: decoding
for the check, decoding for the network, and the network on images in memory.
The share is what these parts would take, one after the other, of what the
script takes from its start to its end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pyimagesearch.extraction import open_extractor  # noqa: E402
from pyimagesearch.nn import NetworkChoice, load_network  # noqa: E402
from pyimagesearch.preprocessing import list_labelled_images, load_image  # noqa: E402
from pyimagesearch.preprocessing.imageloader import inspect_image  # noqa: E402
from pyimagesearch.utils.arguments import available_cores  # noqa: E402

N_TIMED = 256  # images of which each part is timed


def link(dataset: Path, copies: int, folder: Path) -> None:
    """Link to each image of a folder of classes under several names."""
    for path in sorted(dataset.glob("*/*")):
        (folder / path.parent.name).mkdir(exist_ok=True)
        for i in range(copies):
            Path(folder, path.parent.name, f"{i}_{path.name}").symlink_to(path)


def network_options(choice: NetworkChoice) -> list[str]:
    """Return a choice as it is given to the script."""
    options = ["--network", choice.network, "--pooling", choice.pooling]
    if choice.file is None:
        return [*options, "--weights", choice.weights]
    return [*options, "--preprocessing", choice.preprocessing]


def run_script(images: Path, output: Path, choice: NetworkChoice) -> tuple[float, float, str]:
    """Run the script; return its seconds, its seconds of a core, and the last of its lines."""
    command = [sys.executable, ROOT / "extract_features.py", "--dataset", images]
    command += ["--output", output, *network_options(choice)]
    before, started = os.times(), time.perf_counter()
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    elapsed_s, after = time.perf_counter() - started, os.times()
    cpu_s = after.children_user + after.children_system
    return elapsed_s, cpu_s - before.children_user - before.children_system, out.splitlines()[-2]


def seconds_each(function: Callable, items: Iterable, jobs: int) -> float:
    """Return the seconds per item on all cores, the second time."""
    items = list(items)
    with ThreadPoolExecutor(jobs) as executor:
        for _ in range(2):
            started = time.perf_counter()
            list(executor.map(function, items))
            elapsed_s = time.perf_counter() - started
    return elapsed_s / len(items)


def network_seconds_each(choice: NetworkChoice, paths: list[Path], jobs: int) -> float:
    """Return the network's seconds per image on all cores, with its preprocessing."""
    network = load_network(choice, jobs=jobs)
    pixels = [load_image(path, network.description.size) for path in paths]
    in_memory = SimpleNamespace(pixels=lambda row, size: pixels[row], unreadable={})
    with open_extractor(network, jobs=jobs) as extractor:
        for _ in range(2):
            started = time.perf_counter()
            for _ in extractor.features(in_memory, range(len(pixels))):
                pass
            elapsed_s = time.perf_counter() - started
    return elapsed_s / len(pixels)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, metavar="DIR", help="folder of class folders")
    parser.add_argument("--copies", type=int, default=1, metavar="N", help="names of each image")
    parser.add_argument("--network", default="MobileNetV2", metavar="NAME")
    parser.add_argument("--preprocessing", help="of a network in a file")
    return parser


def main() -> None:
    """Print what the script takes, what its parts take, and the share."""
    arguments = build_parser().parse_args()
    jobs, network = available_cores(), arguments.network
    weights = None if network.endswith(".keras") else "random"
    choice = NetworkChoice(
        network, pooling="avg", preprocessing=arguments.preprocessing, weights=weights
    )
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images")
        images.mkdir()
        link(arguments.dataset.resolve(), arguments.copies, images)
        elapsed_s, cpu_s, last = run_script(images, Path(folder, "features.hdf5"), choice)
        labelled = list_labelled_images(images)
        n = len(labelled)
        paths = [labelled.absolute_path(i) for i in range(min(n, N_TIMED))]
        parts = {
            "decoding for the check": seconds_each(inspect_image, paths, jobs),
            "decoding for the network": seconds_each(
                lambda path: load_image(path, choice.size or (224, 224)), paths, jobs
            ),
            "network": network_seconds_each(choice, paths, jobs),
        }
    print(last)
    print(f"script: {elapsed_s:.1f} s for {n:,} images, {n / elapsed_s:.1f} images/s,", end=" ")
    print(f"{1000 * cpu_s / n:.2f} ms of a core per image")
    for part, each_s in parts.items():
        print(f"{part}: {n * each_s:.1f} s, {1000 * jobs * each_s:.2f} ms of a core per image")
    print(f"share: {n * sum(parts.values()) / elapsed_s:.0%}")


if __name__ == "__main__":
    main()
