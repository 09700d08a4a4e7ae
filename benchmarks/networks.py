"""Measure the networks of keras.applications on this machine, or check them against Keras.

    python benchmarks/networks.py
    python benchmarks/networks.py VGG16 ResNet50
    python benchmarks/networks.py --check

Each network is computed by Keras and by the engine that a processor gets, by
turns, in processes of their own, with random weights, which take the time of
trained ones, on crops of scikit-learn's two sample photographs. The table has
the numbers per picture before and after pooling, and of both engines pictures
per second, the seconds from the start of Python to the first features, and the
peak memory; its layers are known from an earlier run.

With --check it has instead how far the features of both are from those that
Keras computes in double precision with its own ``preprocess_input``: the length
of the difference, relative to that of the features. An engine that is more than
twice as far as Keras fails.
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

from pyimagesearch.nn import NetworkChoice, list_layers  # noqa: E402
from pyimagesearch.nn.zoo import ZOO, find  # noqa: E402
from pyimagesearch.nn.zoo.vgg import VGG  # noqa: E402

N_IMAGES, N_CHECKED, N_REPEATS = 32, 2, 3
MOST_TIMES_KERAS = 2
AS_GOOD_AS_EQUAL = 2e-7  # of float32: where both are that near, no ratio counts


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


def measure(name: str, engine: str, pixels: np.ndarray) -> dict[str, object]:
    """Time a network as the extraction uses it, without the files."""
    from pyimagesearch.extraction import open_extractor
    from pyimagesearch.nn import NetworkChoice, load_network
    from pyimagesearch.utils.arguments import available_cores

    jobs = available_cores()
    network = load_network(NetworkChoice(name, weights="random"), engine, jobs=jobs)
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


def check(name: str, engine: str, pixels: np.ndarray) -> dict[str, object]:
    """Save the features, or with the engine ``float64`` those of Keras in double precision."""
    from pyimagesearch.nn import NetworkChoice, load_network
    from pyimagesearch.nn.backend import import_keras
    from pyimagesearch.nn.kerasmodel import fill_with_random

    if engine != "float64":
        network = load_network(NetworkChoice(name, weights="random"), engine, len(pixels))
        return {"engine": network.engine, "features": network(network.preprocess(pixels)).tolist()}
    keras = import_keras(jobs=2)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    constructor = getattr(keras.applications, name)
    module = sys.modules[constructor.__module__]
    model = constructor(include_top=False, weights=None, input_shape=pixels.shape[1:])
    fill_with_random(model)
    prepared = module.preprocess_input(pixels.astype(np.float64))
    expected = model.predict(prepared, batch_size=1, verbose=0).reshape(len(pixels), -1)
    return {"engine": engine, "features": expected.tolist()}


def run_one(name: str, way: str, engine: str, folder: str) -> dict[str, object]:
    """Run a function of this file on a network in a process of its own."""
    n_images = N_CHECKED if way == "check" else N_IMAGES
    np.save(f"{folder}/photographs.npy", photographs(n_images, ZOO[name].size))
    started_at = time.time()
    command = [sys.executable, __file__, name, f"--{way}-in", folder, "--engine", engine]
    said, peak_bytes = run_watched(command)
    return json.loads(said.splitlines()[-1]) | {"started_at": started_at, "peak": peak_bytes}


def measured(name: str, folder: str) -> bool:
    """Print a line of the table of speeds."""
    if name not in VGG:
        list_layers(NetworkChoice(name))  # has them kept
    keras, own = (run_one(name, "measure", engine, folder) for engine in ("keras", "auto"))
    rows, columns, channels = own["shape"]
    plain = f"{rows} x {columns} x {channels:,} = {rows * columns * channels:,}"
    columns = [
        f"{found['images_per_s']:.1f} | {found['first_at'] - found['started_at']:.1f} "
        f"| {found['peak'] / 1e6:,.0f}"
        for found in (keras, own)
    ]
    times = own["images_per_s"] / keras["images_per_s"]
    print(
        f"| {name} | {ZOO[name].size} | {plain} | {channels:,} | {columns[0]} | {own['engine']} "
        f"| {columns[1]} | {times:.2f} |",
        flush=True,
    )
    return True


def checked(name: str, folder: str) -> bool:
    """Print a line of the table of distances; tell whether the engine is near enough."""
    engines = ("float64", "keras", "auto")
    found = {engine: run_one(name, "check", engine, folder) for engine in engines}
    exact = np.array(found["float64"]["features"])
    keras, own = (
        float(np.linalg.norm(np.array(found[engine]["features"]) - exact) / np.linalg.norm(exact))
        for engine in ("keras", "auto")
    )
    print(f"| {name} | {keras:.1e} | {found['auto']['engine']} | {own:.1e} | {own / keras:.2f} |")
    return own <= max(MOST_TIMES_KERAS * keras, AS_GOOD_AS_EQUAL)  # NaN is too far, too


HEADS = {
    "measure": (
        "| network | size | numbers per picture | pooled | Keras images/s | start-up s | peak MB "
        "| engine | images/s | start-up s | peak MB | times Keras |"
    ),
    "check": "| network | Keras from float64 | engine | from float64 | times Keras |",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks", nargs="*", metavar="NAME", help="networks of keras.applications (default: all)"
    )
    parser.add_argument("--check", action="store_true", help="distances instead of times")
    parser.add_argument("--engine", default="auto", help=argparse.SUPPRESS)
    parser.add_argument("--measure-in", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--check-in", metavar="DIR", help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Print a table, a network a line; or be the process of one network."""
    arguments = build_parser().parse_args()
    names = [find(name).name for name in arguments.networks] or list(ZOO)
    for function, folder in ((measure, arguments.measure_in), (check, arguments.check_in)):
        if folder:
            pixels = np.load(f"{folder}/photographs.npy")
            print(json.dumps(function(names[0], arguments.engine, pixels)))
            return 0
    way, line = ("check", checked) if arguments.check else ("measure", measured)
    print(HEADS[way], "\n|", " --- |" * (HEADS[way].count("|") - 1), sep="")
    with tempfile.TemporaryDirectory() as folder:
        too_far = [name for name in names if not line(name, folder)]
    if too_far:
        print(f"more than {MOST_TIMES_KERAS} times as far: {', '.join(too_far)}", file=sys.stderr)
    return bool(too_far)


if __name__ == "__main__":
    raise SystemExit(main())
