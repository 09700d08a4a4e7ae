"""Measure the networks of keras.applications on this machine, or check them against Keras.

    python benchmarks/networks.py
    python benchmarks/networks.py VGG16 ResNet50
    python benchmarks/networks.py --check

Each network has random weights, which take the time of trained ones, runs in a
process of its own, and sees crops of scikit-learn's two sample photographs. The
table has the numbers per picture before and after pooling, pictures per second,
the seconds from the start of Python to the first features, and the peak memory.
With --check it has instead the difference between our features and those of an
independent Keras ``predict`` with Keras's own ``preprocess_input``, relative to
the largest feature; one above 1e-5 fails.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from memorywatch import run_watched

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pyimagesearch.nn.zoo import ZOO, find  # noqa: E402

N_IMAGES, N_CHECKED, N_REPEATS = 32, 4, 3
MOST_DIFFERENCE = 1e-5


def photographs(n_images: int, size: int) -> np.ndarray:
    """Return square crops of a temple and of a flower, by turns: uint8 (n, size, size, 3)."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    temple_and_flower = load_sample_images().images  # (427, 640, 3) each
    crops = []
    for i in range(n_images):
        left = 213 * i // n_images
        crop = Image.fromarray(temple_and_flower[i % 2][:, left : left + 427])
        crops.append(np.asarray(crop.resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(crops)


def measure(name: str, pixels: np.ndarray) -> dict[str, object]:
    """Time a network as the extraction uses it, without the files."""
    from pyimagesearch.extraction import open_extractor
    from pyimagesearch.nn import NetworkChoice, load_network
    from pyimagesearch.utils.arguments import available_cores

    jobs = available_cores()
    network = load_network(NetworkChoice(name, weights="random"), jobs=jobs)
    in_memory = SimpleNamespace(pixels=lambda row, size: pixels[row], unreadable={})
    with open_extractor(network, jobs=jobs) as extractor:

        def extract(n_images: int) -> float:
            started = time.perf_counter()
            for _ in extractor.features(in_memory, range(n_images)):
                pass
            return time.perf_counter() - started

        extract(network.batch_size)
        first_at = time.time()
        elapsed_s = statistics.median(extract(len(pixels)) for _ in range(N_REPEATS))
    return {
        "engine": network.engine,
        "shape": network.description.feature_shape,
        "first_at": first_at,
        "images_per_s": len(pixels) / elapsed_s,
    }


def check(name: str, pixels: np.ndarray) -> dict[str, object]:
    """Compare the features with what Keras gives when it is used by hand."""
    from pyimagesearch.nn import NetworkChoice, load_network
    from pyimagesearch.nn.backend import import_keras
    from pyimagesearch.nn.kerasmodel import fill_with_random

    network = load_network(NetworkChoice(name, weights="random"), batch_size=len(pixels))
    features = network(network.preprocess(pixels))

    keras = import_keras(jobs=1)
    constructor = getattr(keras.applications, name)
    module = sys.modules[constructor.__module__]
    model = constructor(include_top=False, weights=None, input_shape=pixels.shape[1:])
    fill_with_random(model)
    prepared = module.preprocess_input(pixels.astype(np.float32))
    expected = model.predict(prepared, verbose=0).reshape(len(pixels), -1)
    return {
        "engine": network.engine,
        "difference": float(np.abs(features - expected).max() / np.abs(expected).max()),
        "largest": float(np.abs(expected).max()),
        "zeros": float(np.mean(expected == 0)),
    }


def run_one(name: str, way: str, folder: str) -> dict[str, object]:
    """Run a function of this file on a network in a process of its own."""
    n_images = N_CHECKED if way == "check" else N_IMAGES
    np.save(f"{folder}/photographs.npy", photographs(n_images, ZOO[name].size))
    started_at = time.time()
    said, peak_bytes = run_watched([sys.executable, __file__, name, f"--{way}-in", folder])
    return json.loads(said.splitlines()[-1]) | {"started_at": started_at, "peak": peak_bytes}


def print_measured(name: str, found: dict[str, object]) -> None:
    """Print a line of the table of speeds."""
    rows, columns, channels = found["shape"]
    plain = f"{rows} x {columns} x {channels:,} = {rows * columns * channels:,}"
    print(
        f"| {name} | {ZOO[name].size} | {plain} | {channels:,} | {found['engine']} "
        f"| {found['images_per_s']:.1f} | {found['first_at'] - found['started_at']:.1f} "
        f"| {found['peak'] / 1e6:,.0f} |",
        flush=True,
    )


def print_checked(name: str, found: dict[str, object]) -> None:
    """Print a line of the table of differences."""
    print(
        f"| {name} | {found['engine']} | {found['difference']:.1e} | {found['largest']:.1e} "
        f"| {found['zeros']:.0%} |",
        flush=True,
    )


HEADS = {
    "measure": (
        "| network | size | numbers per picture | pooled | engine | images/s | start-up s "
        "| peak MB |"
    ),
    "check": "| network | engine | relative difference | largest feature | zeros |",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks", nargs="*", metavar="NAME", help="networks of keras.applications (default: all)"
    )
    parser.add_argument("--check", action="store_true", help="compare features instead of times")
    parser.add_argument("--measure-in", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--check-in", metavar="DIR", help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Print a table, a network a line; or be the process of one network."""
    arguments = build_parser().parse_args()
    names = [find(name).name for name in arguments.networks] or list(ZOO)
    for function, folder in ((measure, arguments.measure_in), (check, arguments.check_in)):
        if folder:
            print(json.dumps(function(names[0], np.load(f"{folder}/photographs.npy"))))
            return 0
    way = "check" if arguments.check else "measure"
    print(HEADS[way], "\n|", " --- |" * (HEADS[way].count("|") - 1), sep="")
    too_far = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            found = run_one(name, way, folder)
            (print_checked if arguments.check else print_measured)(name, found)
            if not found.get("difference", 0) <= MOST_DIFFERENCE:  # NaN is too far, too
                too_far.append(name)
    if too_far:
        print(f"more than {MOST_DIFFERENCE:.0e} apart: {', '.join(too_far)}", file=sys.stderr)
    return bool(too_far)


if __name__ == "__main__":
    raise SystemExit(main())
