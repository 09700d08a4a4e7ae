"""Check that the networks of keras.applications, cut anywhere, become whole models.

    python benchmarks/wholemodels.py
    python benchmarks/wholemodels.py VGG16 ResNet50 --fraction 0.5 --pooling none

Each network has random weights, with the statistics of the images where it normalises, and
is cut after another part of its layers, pooled or not by turns; a classifier of random
numbers stands behind it. It is written for Keras
and for phones. The table has the largest difference of a probability between the
classifier, computed in double precision, and each file in a fresh process, and that of
the features which the engine of classify_images.py computes from the file for Keras,
relative to the largest; then the sizes of the files, and the seconds for both.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from networks import normalize_as_if_trained, photographs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pyimagesearch.nn import (  # noqa: E402
    PREPROCESSINGS,
    Description,
    Network,
    NetworkChoice,
    WholeClassifier,
    list_layers,
    load_network,
    load_whole_network,
    read_whole,
    write_whole,
)
from pyimagesearch.nn.zoo import ZOO, build, find  # noqa: E402

SIZE, N_IMAGES, N_CLASSES = 80, 8, 3  # Xception and the Inceptions take no fewer than 75 pixels
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
POOLINGS = ("none", "avg", "max")  # a whole model has no cls token to take
# Half of the last digit of the pixels moves those of EfficientNetB7 by 1.4e-4, in double precision.
FARTHEST_FEATURES = 1e-3
HEAD = (
    "| network | layer | pooling | features | .keras | .tflite | engine | features differ "
    "| .keras MB | .tflite MB | seconds |"
)


def cut(name: str, fraction: float) -> str:
    """Return the layer that ends a part of a network, and gives rows and columns."""
    shapes = list_layers(NetworkChoice(name, size=(SIZE, SIZE), weights="random"))
    names = [layer for layer, shape in shapes.items() if len(shape) == 3]
    return names[max(1, round(fraction * len(names))) - 1]


def save_random_weights(name: str, pixels: np.ndarray, path: Path) -> None:
    """Save weights that are random, but keep numbers of the size that training gives them."""
    from pyimagesearch.nn.backend import import_keras
    from pyimagesearch.nn.kerasmodel import fill_with_random

    import_keras(jobs=2)
    network = find(name)
    model = build(network, pixels.shape[1:3])
    fill_with_random(model)
    prepared = PREPROCESSINGS[network.preprocessing](pixels)
    normalize_as_if_trained(model, prepared.astype(np.float32))
    model.save_weights(path)


def check(name: str, layer: str, pooling: str) -> dict[str, object]:
    """Write a network as whole models, and compare what they compute."""
    pixels = photographs(N_IMAGES, SIZE)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, f"{name}.weights.h5")
        save_random_weights(name, pixels, weights)
        choice = NetworkChoice(name, layer, pooling, size=(SIZE, SIZE), weights=str(weights))
        network = load_network(choice, engine="keras", batch_size=N_IMAGES)
    rows = features(network, pixels)
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(rows.shape[1], N_CLASSES))
    kernel /= np.abs(rows @ kernel).max()  # no score is beyond -1 to 1
    bias = rng.normal(size=N_CLASSES)

    def predict(rows: np.ndarray) -> np.ndarray:
        powers = np.exp(rows.astype(np.float64) @ kernel + bias)
        return powers / powers.sum(axis=1, keepdims=True)

    head = kernel.astype(np.float32), bias.astype(np.float32)
    classifier = WholeClassifier(*head, list("abc"), network.description.to_json(), [])
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"whole{suffix}") for suffix in (".keras", ".tflite")]
        started = time.perf_counter()
        differences = write_whole(files, network, classifier, predict, pixels)
        elapsed_s = time.perf_counter() - started
        whole = read_whole(files[0])
        description = Description.from_json(whole.extraction)
        again = load_whole_network(files[0], description, whole.output_layer)
        own = features(again, pixels)
        return {
            "shape": network.description.feature_shape,
            "differences": list(differences.values()),
            "engine": again.engine,
            "features": float(np.abs(own - rows).max() / np.abs(rows).max()),
            "megabytes": [file.stat().st_size / 1e6 for file in files],
            "elapsed_s": elapsed_s,
        }


def features(network: Network, pixels: np.ndarray) -> np.ndarray:
    """Compute the features of images, in batches of the network's own size."""
    starts = range(0, len(pixels), network.batch_size)
    prepared = network.preprocess(pixels)
    return np.concatenate([network(prepared[i : i + network.batch_size]) for i in starts])


def in_its_own_process(name: str, layer: str, pooling: str) -> dict[str, object]:
    """Run `check` in a fresh process: Keras keeps the networks that it has built."""
    command = [sys.executable, __file__, name, "--layer", layer, "--pooling", pooling]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"failure": lines[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def line(name: str, layer: str, pooling: str, found: dict[str, object]) -> str:
    """Return a line of the table."""
    if "failure" in found:
        return f"| {name} | {layer} | {pooling} | {found['failure']} |"
    keras, phone = found["differences"]
    megabytes = " | ".join(f"{size:.1f}" for size in found["megabytes"])
    shape = " x ".join(map(str, found["shape"]))
    return (
        f"| {name} | {layer} | {pooling} | {shape} | {keras:.0e} | {phone:.0e} "
        f"| {found['engine']} | {found['features']:.0e} | {megabytes} | {found['elapsed_s']:.0f} |"
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks", nargs="*", metavar="NAME", help="networks of keras.applications (default: all)"
    )
    parser.add_argument(
        "--fraction",
        type=float,
        metavar="X",
        help="cut each after this part of its layers (default: by turns)",
    )
    parser.add_argument("--pooling", choices=POOLINGS, help="of each network (default: by turns)")
    parser.add_argument("--layer", metavar="NAME", help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Print a table, a network a line; or be the process of one network."""
    arguments = build_parser().parse_args()
    names = [find(name).name for name in arguments.networks] or list(ZOO)
    if arguments.layer:
        print(json.dumps(check(names[0], arguments.layer, arguments.pooling)))
        return 0
    print(HEAD, "\n|", " --- |" * (HEAD.count("|") - 1), sep="")
    failed = []
    for name in names:
        turn = list(ZOO).index(name)
        layer = cut(name, arguments.fraction or FRACTIONS[turn % len(FRACTIONS)])
        pooling = arguments.pooling or POOLINGS[turn % len(POOLINGS)]
        found = in_its_own_process(name, layer, pooling)
        print(line(name, layer, pooling, found), flush=True)
        if "failure" in found or not found["features"] <= FARTHEST_FEATURES:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
