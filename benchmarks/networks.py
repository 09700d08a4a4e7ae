"""Measure networks on this machine, and check them against Keras.

    python benchmarks/networks.py
    python benchmarks/networks.py VGG16 ResNet50
    python benchmarks/networks.py --check
    python benchmarks/networks.py random_dinov2_small ./dinov2_small

Each network of keras.applications is computed by Keras and by the engine that a processor
gets, each in a process of its own, with random weights from a file, which take the time of
trained ones, on crops of scikit-learn's two sample photographs in the network's own size. The
table has the numbers per image before and after pooling, and of both engines: images per
second of the network alone, medians of turns; the seconds from the start of Python to the
first features, with the network's layers known from an earlier run; the peak memory of all
that; and how far the features are from those that Keras computes in double precision with its
own ``preprocess_input``: the length of the difference, relative to that of the features, as
the geometric mean of four images. An engine that is more than twice as far as Keras fails.

A preset of KerasHub that takes images alone, given as a folder or by its name, brings its
weights, and all of its tokens are compared. Keras is then KerasHub's own converter and
``predict``, with the batch that is best here. random_dinov2_small is made here, with the
sizes of dinov2_small and random weights.

With --check it has the distances only, which need no quiet machine. With
--references the features in double precision are kept for further runs.
"""

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from memorywatch import run_watched, watch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import presets  # noqa: E402

from pyimagesearch.nn import NetworkChoice, list_layers  # noqa: E402
from pyimagesearch.nn.zoo import ZOO, find  # noqa: E402
from pyimagesearch.nn.zoo.vgg import VGG  # noqa: E402

ENGINES = ("keras", "auto")
N_CHECKED = 4
N_TURNS = 3
TURN_S = 2  # how long a turn takes about: of fewer images where a network is slow
MOST = 256  # images of a turn
SLOW_S = 15  # two turns are enough of a network of which the fewest images take longer
MOST_TIMES_KERAS = 2
AS_GOOD_AS_EQUAL = 2e-7  # of float32: where both are that near, no ratio counts
HEAD_OF_ENGINE = "images/s | start-up s | peak MB | from float64"
HEADS = {
    False: (
        f"| network | size | numbers per image | pooled | Keras: {HEAD_OF_ENGINE} | engine "
        f"| {HEAD_OF_ENGINE} | times Keras |"
    ),
    True: "| network | Keras from float64 | engine | from float64 |",
}


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


def serve(name: str, engine: str, folder: str, weights: str) -> None:
    """Be the process of an engine: compute as the script does, as often as a line asks for."""
    import extract_features  # all that the script imports
    from pyimagesearch.extraction import open_extractor
    from pyimagesearch.utils.arguments import available_cores

    jobs = available_cores()
    is_preset = presets.is_preset(name)
    choice = NetworkChoice(name, pooling="none", weights=None if is_preset else weights)
    network = extract_features.load_network(choice, engine, jobs=jobs)
    pixels = np.load(f"{folder}/photographs.npy")
    in_memory = SimpleNamespace(pixels=lambda row, size: pixels[row % len(pixels)], unreadable={})
    with open_extractor(network, jobs=jobs) as extractor:
        features = np.concatenate(list(extractor.features(in_memory, range(N_CHECKED))))
        np.save(f"{folder}/{engine}.npy", features)
        shape = network.description.feature_shape
        at_once = network.batch_size * (jobs if network.concurrent else 1)
        say({"engine": network.engine, "shape": shape, "at_once": at_once, "at": time.time()})

        def compute(n_images: int) -> None:
            for _ in extractor.features(in_memory, range(n_images)):
                pass

        answer(compute)


def serve_keras_hub(name: str, folder: str) -> None:
    """Be the process of KerasHub by hand."""
    pixels = np.load(f"{folder}/photographs.npy")
    features = presets.by_hand(Path(name), "float32")
    np.save(f"{folder}/keras.npy", features(pixels[:N_CHECKED], N_CHECKED))
    at = time.time()
    batch_size = presets.best_batch_size(features, pixels)
    say({"engine": f"KerasHub, {batch_size} at a time", "at_once": batch_size, "at": at})
    answer(lambda n_images: features(pixels[np.arange(n_images) % len(pixels)], batch_size))


def answer(compute: Callable[[int], object]) -> None:
    """Compute as many images as each line asks for, and say how long that took."""
    for line in sys.stdin:
        started = time.perf_counter()
        compute(int(line))
        say({"elapsed_s": time.perf_counter() - started})


def say(found: dict[str, object]) -> None:
    """Send a result to the process that asked."""
    print(json.dumps(found), flush=True)


def save_reference(name: str, folder: str, weights: str) -> None:
    """Save random weights, or take a preset's, and save the features in double precision."""
    from pyimagesearch.nn.backend import import_keras
    from pyimagesearch.nn.kerasmodel import fill_with_random

    pixels = np.load(f"{folder}/photographs.npy")[:N_CHECKED]
    if presets.is_preset(name):
        np.save(f"{folder}/float64.npy", presets.by_hand(Path(name), "float64")(pixels, 1))
        return
    keras = import_keras(jobs=2)
    constructor = getattr(keras.applications, name)
    preprocess_input = sys.modules[constructor.__module__].preprocess_input
    headless = {"include_top": False, "weights": None, "input_shape": pixels.shape[1:]}
    model = constructor(**headless)
    fill_with_random(model)
    normalize_as_if_trained(model, preprocess_input(pixels.astype(np.float32)))
    model.save_weights(weights)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    plain = keras.layers.Conv2D.convolution_op

    def convolution_op(layer, inputs, kernel):
        if layer.groups == 1:
            return plain(layer, inputs, kernel)
        # Of ConvNeXt: the same sums, which take a hundred times as long in groups (keras 3.15).
        depthwise = keras.ops.transpose(kernel, (0, 1, 3, 2))
        return keras.ops.depthwise_conv(inputs, depthwise, layer.strides, layer.padding)

    keras.layers.Conv2D.convolution_op = convolution_op
    model = constructor(**headless)
    model.load_weights(weights)
    prepared = preprocess_input(pixels.astype(np.float64))
    features = model.predict(prepared, batch_size=1, verbose=0)
    np.save(f"{folder}/float64.npy", features.reshape(len(pixels), -1))


def normalize_as_if_trained(model, prepared: np.ndarray) -> None:
    """Give each batch normalisation the means and variances that it finds in some images.

    With those of its start, 0 and 1, numbers grow from layer to layer, and deep networks are
    chaotic: features in single precision then have little to do with those in double. In double
    precision, half of the last digit of 80 x 80 pixels moves those of EfficientNetV2B2 and
    EfficientNetV2M by 4e-4 and 7e-2 of the largest; so normalised, by 4e-6 and 3e-6.

    The blocks of ConvNeXt, which start at 0 times what they compute, are not scaled.
    """
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        elif isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif type(layer).__name__ == "LayerScale":
            layer.gamma.assign(np.ones(layer.gamma.shape, np.float32))
    model(prepared, training=True)


class Engine:
    """A process that computes a network with an engine, and is asked by turns.

    Attributes
    ----------
    facts : dict
        What it reported about itself with the first features.
    start_s : float
        Seconds until then.
    """

    def __init__(self, name: str, engine: str, folder: str, weights: Path):
        command = [sys.executable, __file__, name, "--serve-in", folder, "--engine", engine]
        command += ["--weights", str(weights)]
        started_at = time.time()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._peaks = [0]
        self._watcher = threading.Thread(target=watch, args=(self._process, self._peaks))
        self._watcher.start()
        self.facts = self._answer()
        self.start_s = self.facts["at"] - started_at
        self.features = np.load(f"{folder}/{engine}.npy")

    def seconds(self, n_images: int) -> float:
        """Return how long it takes for some images."""
        self._process.stdin.write(f"{n_images}\n")
        self._process.stdin.flush()
        return self._answer()["elapsed_s"]

    def end(self) -> int:
        """End it; return the peak of its memory in bytes."""
        self._process.stdin.close()
        self._process.wait()
        self._watcher.join()
        return self._peaks[0]

    def _answer(self) -> dict[str, object]:
        for line in self._process.stdout:  # Keras may print, too
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{' '.join(self._process.args)} failed")


@contextmanager
def engines(name: str, folder: str, weights: Path) -> Iterator[tuple[Engine, Engine]]:
    """Start both engines one after the other, and end them whatever happens."""
    with ExitStack() as stack:
        started = []
        for engine in ENGINES:
            started.append(Engine(name, engine, folder, weights))
            stack.callback(started[-1].end)
        yield tuple(started)


def rates(by_turns: list[Engine]) -> list[float]:
    """Return the images per second of some engines, which have their turns."""
    counts, seconds = [], []
    for engine in by_turns:
        at_once = engine.facts["at_once"]
        trial_s = engine.seconds(at_once)
        counts.append(at_once * min(max(int(TURN_S / trial_s), 1), MOST // at_once))
        seconds.append([trial_s] if counts[-1] == at_once else [])
    n_turns = 2 if max(sum(taken) for taken in seconds) > SLOW_S else N_TURNS
    while min(len(taken) for taken in seconds) < n_turns:
        for engine, n_images, taken in zip(by_turns, counts, seconds, strict=True):
            taken.append(engine.seconds(n_images))
    return [n / statistics.median(taken) for n, taken in zip(counts, seconds, strict=True)]


def distance(features: np.ndarray, exact: np.ndarray) -> float:
    """Return the lengths of differences, relative to the correct features: their geometric mean."""
    lengths = np.linalg.norm(features - exact, axis=1) / np.linalg.norm(exact, axis=1)
    return float(np.exp(np.log(np.maximum(lengths, np.finfo(np.float64).tiny)).mean()))


def reference(name: str, folder: str, kept_in: str) -> tuple[np.ndarray, Path]:
    """Return the features in double precision and the file of the weights, kept or made now."""
    features = Path(kept_in, f"{Path(name).name}.float64.npy")
    weights = Path(kept_in, f"{Path(name).name}.weights.h5")
    if presets.is_preset(name) or not (features.exists() and weights.exists()):
        command = [sys.executable, __file__, name, "--reference-in", folder]
        run_watched([*command, "--weights", str(weights)])
        shutil.move(f"{folder}/float64.npy", features)
    return np.load(features), weights


def line_of(name: str, folder: str, kept_in: str | None, only_check: bool) -> bool:
    """Print a line of the table; return whether the engine is near enough to Keras."""
    if is_preset := presets.is_preset(name):
        preset = presets.folder_of(name, folder).absolute()
        name, size = str(preset), presets.size_of(preset)
    else:
        size = ZOO[name].size
    np.save(f"{folder}/photographs.npy", photographs(N_CHECKED, size))
    exact, weights = reference(name, folder, kept_in or folder)
    if not is_preset and name not in VGG:
        list_layers(NetworkChoice(name))  # has them kept
    with engines(name, folder, weights) as (keras, own):
        facts = own.facts
        images_per_s = [0.0, 0.0] if only_check else rates([keras, own])
        distances = [distance(engine.features, exact) for engine in (keras, own)]
        peaks = [engine.end() for engine in (keras, own)]
    if kept_in is None:
        weights.unlink(missing_ok=True)
    name = Path(name).name
    if only_check:
        print(
            f"| {name} | {distances[0]:.1e} | {facts['engine']} | {distances[1]:.1e} |", flush=True
        )
    else:
        *_, channels = facts["shape"]
        plain = f"{' x '.join(f'{n:,}' for n in facts['shape'])} = {math.prod(facts['shape']):,}"
        cells = [
            f"{rate:.1f} | {engine.start_s:.1f} | {peak / 1e6:,.0f} | {far:.1e}"
            for rate, engine, peak, far in zip(
                images_per_s, (keras, own), peaks, distances, strict=True
            )
        ]
        times = images_per_s[1] / images_per_s[0]
        print(
            f"| {name} | {size} | {plain} | {channels:,} | {cells[0]} | {facts['engine']} "
            f"| {cells[1]} | {times:.2f} |",
            flush=True,
        )
    return distances[1] <= max(MOST_TIMES_KERAS * distances[0], AS_GOOD_AS_EQUAL)  # NaN is not


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="NAME",
        help="networks of keras.applications (default: all), or presets of KerasHub",
    )
    parser.add_argument("--check", action="store_true", help="the distances only")
    parser.add_argument(
        "--references",
        metavar="DIR",
        help="folder that keeps features in double precision, and weights",
    )
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    parser.add_argument("--serve-in", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--reference-in", metavar="DIR", help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Print a table, a network a line; or be the process of one network."""
    arguments = build_parser().parse_args()
    names = [
        name if presets.is_preset(name) else find(name).name for name in arguments.networks
    ] or list(ZOO)
    if arguments.serve_in and arguments.engine == "keras" and presets.is_preset(names[0]):
        serve_keras_hub(names[0], arguments.serve_in)
        return 0
    if arguments.serve_in:
        serve(names[0], arguments.engine, arguments.serve_in, arguments.weights)
        return 0
    if arguments.reference_in:
        save_reference(names[0], arguments.reference_in, arguments.weights)
        return 0
    head = HEADS[arguments.check]
    print(head, "\n|", " --- |" * (head.count("|") - 1), sep="")
    with tempfile.TemporaryDirectory() as folder:
        too_far = [
            name
            for name in names
            if not line_of(name, folder, arguments.references, arguments.check)
        ]
    if too_far:
        print(f"more than {MOST_TIMES_KERAS} times as far: {', '.join(too_far)}", file=sys.stderr)
    return bool(too_far)


if __name__ == "__main__":
    raise SystemExit(main())
