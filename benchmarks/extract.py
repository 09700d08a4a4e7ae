"""Measure the extraction beside the chapter's loop, and beside other engines.

    python benchmarks/extract.py animals/images
    python benchmarks/extract.py animals/images --peers

Each way runs in a process of its own, with random weights, on the same
images. Start-up is everything until the first batch is done; the rate is
that of the images after it. Memory is the largest sum of what the process
and its children hold, with what they share counted once. With --peers the
network alone is timed on other backends and engines too, as far as they are
installed, on a batch of images in memory.
"""

import argparse
import importlib.util
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from memorywatch import run_watched

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

BATCH = 32


def run_chapter(dataset: str, output: str) -> dict[str, float]:
    """Extract as the chapter does: one thread, batches of 32, ``predict``."""
    started = time.perf_counter()
    import h5py
    import keras
    from imutils import paths
    from keras.applications.imagenet_utils import preprocess_input

    from pyimagesearch.nn.kerasmodel import zoo_model
    from pyimagesearch.nn.zoo import ZOO

    images = sorted(paths.list_images(dataset))
    model, _ = zoo_model(ZOO["VGG16"], (224, 224), "random")
    first = None
    with h5py.File(output, "w") as db:
        features = db.create_dataset("features", (len(images), 512 * 7 * 7), dtype="float")
        for i in range(0, len(images), BATCH):
            batch = []
            for path in images[i : i + BATCH]:
                image = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
                batch.append(preprocess_input(np.expand_dims(image, axis=0)))
            rows = model.predict(np.vstack(batch), batch_size=BATCH, verbose=0)
            features[i : i + BATCH] = rows.reshape((rows.shape[0], 512 * 7 * 7))
            first = first or (time.perf_counter() - started, len(rows))
    return rate(first, time.perf_counter() - started, len(images))


def run_ours(dataset: str, output: str, engine: str) -> dict[str, float]:
    """Extract with this project's script, and time its parts."""
    started = time.perf_counter()
    import extract_features
    from pyimagesearch.extraction.localextractor import LocalExtractor
    from pyimagesearch.io import partialfile
    from pyimagesearch.nn import NetworkChoice
    from pyimagesearch.utils.arguments import available_cores

    jobs, done, synced = available_cores(), [], [0.0]
    real_features, real_sync = LocalExtractor.features, partialfile.sync

    def timed_features(*arguments):
        for rows in real_features(*arguments):
            done.append((time.perf_counter() - started, len(rows)))
            yield rows

    def timed_sync(db) -> None:
        before = time.perf_counter()
        real_sync(db)
        synced[0] += time.perf_counter() - before

    LocalExtractor.features, partialfile.sync = timed_features, timed_sync
    story = []

    def note(record: logging.LogRecord) -> bool:
        story.append((time.perf_counter() - started, record.getMessage()))
        return True

    extract_features.logger.setLevel(logging.INFO)
    extract_features.logger.addFilter(note)
    choice = NetworkChoice(weights="random")
    extract_features.extract(dataset, output, choice=choice, engine=engine, jobs=jobs)
    ended = time.perf_counter() - started
    n_images = sum(n for _, n in done)
    at = {line.split()[0].rstrip(":"): when for when, line in story}
    return rate(done[0], ended, n_images) | {
        "network_s": at["engine"] - at["loading"],
        "syncing_s": synced[0],
    }


def run_alone(dataset: str, engine: str) -> dict[str, float]:
    """Time an engine on images in memory, and their loading alone."""
    from pyimagesearch.extraction import open_extractor
    from pyimagesearch.nn import NetworkChoice, load_network
    from pyimagesearch.preprocessing import list_labelled_images, load_image
    from pyimagesearch.utils.arguments import available_cores

    jobs = available_cores()
    network = load_network(NetworkChoice(weights="random"), engine, BATCH, jobs)
    images = list_labelled_images(dataset)
    paths = [images.absolute_path(i) for i in range(min(len(images), 64))]
    started = time.perf_counter()
    pixels = [load_image(path) for path in paths]
    loading_s = (time.perf_counter() - started) / len(paths)
    in_memory = SimpleNamespace(pixels=lambda row, size: pixels[row], unreadable={})
    with open_extractor(network, jobs=jobs) as extractor:

        def all_of_them() -> None:
            for _ in extractor.features(in_memory, range(len(pixels))):
                pass

        return {
            "alone_images_per_s": len(pixels) / median_time(all_of_them),
            "loading_ms": 1000 * loading_s,
        }


def rate(first: tuple[float, int], ended: float, n_images: int) -> dict[str, float]:
    """Return start-up and the rate after the first batch."""
    startup_s, n_first = first
    return {
        "startup_s": startup_s,
        "images_per_s": (n_images - n_first) / (ended - startup_s),
        "n_images": n_images,
    }


def median_time(function: Callable[[], object], repeats: int = 3) -> float:
    """Return the median of a few calls' seconds, after one to warm up."""
    function()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def run_keras_peer(backend: str, batch_size: int) -> dict[str, float]:
    """Time Keras on another backend, images in memory."""
    os.environ["KERAS_BACKEND"] = backend
    from pyimagesearch.nn.kerasmodel import zoo_model
    from pyimagesearch.nn.zoo import ZOO

    model, _ = zoo_model(ZOO["VGG16"], (224, 224), "random")
    batch = random_images(BATCH)
    pieces = [batch[i : i + batch_size] for i in range(0, BATCH, batch_size)]
    seconds = median_time(lambda: [np.asarray(model.predict_on_batch(piece)) for piece in pieces])
    return {"images_per_s": BATCH / seconds}


def run_torch_peer() -> dict[str, float]:
    """Time plain PyTorch, channels last."""
    import torch

    layers = []
    for width in VGG16_WIDTHS:
        if width is None:
            layers.append(torch.nn.MaxPool2d(2))
        else:
            layers += [torch.nn.LazyConv2d(width, 3, padding=1), torch.nn.ReLU(inplace=True)]
    batch = torch.from_numpy(random_images(BATCH).transpose(0, 3, 1, 2).copy())
    batch = batch.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        net = torch.nn.Sequential(*layers).eval()
        net(batch[:1])  # gives the lazy layers their shapes
        net = net.to(memory_format=torch.channels_last)
        return {"images_per_s": BATCH / median_time(lambda: net(batch))}


VGG16_WIDTHS = (64, 64, None, 128, 128, None, *[256] * 3, None, *[512] * 3, None, *[512] * 3, None)


def run_openvino_peer() -> dict[str, float]:
    """Time OpenVINO with its latency hint, on the network as Keras exports it."""
    import openvino

    from pyimagesearch.nn.kerasmodel import zoo_model
    from pyimagesearch.nn.zoo import ZOO

    model, _ = zoo_model(ZOO["VGG16"], (224, 224), "random")
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        compiled = openvino.compile_model(
            openvino.convert_model(folder), "CPU", {"PERFORMANCE_HINT": "LATENCY"}
        )
    batch = random_images(4)
    return {"images_per_s": 4 / median_time(lambda: compiled(batch))}


def random_images(n_images: int) -> np.ndarray:
    """Return preprocessed noise: (n_images, 224, 224, 3) float32."""
    return np.random.default_rng(0).normal(0, 60, (n_images, 224, 224, 3)).astype(np.float32)


WAYS = {
    "chapter": run_chapter,
    "auto": lambda dataset, output: run_ours(dataset, output, "auto"),
    "keras": lambda dataset, output: run_ours(dataset, output, "keras"),
}
PEERS = {
    "Keras on tensorflow, batches of 32": ("tensorflow", lambda: run_keras_peer("tensorflow", 32)),
    "Keras on tensorflow, batches of 4": ("tensorflow", lambda: run_keras_peer("tensorflow", 4)),
    "Keras on torch, batches of 4": ("torch", lambda: run_keras_peer("torch", 4)),
    "Keras on jax, batches of 4": ("jax", lambda: run_keras_peer("jax", 4)),
    "Keras on openvino, batches of 4": ("openvino", lambda: run_keras_peer("openvino", 4)),
    "PyTorch, channels last": ("torch", run_torch_peer),
    "OpenVINO, latency hint": ("openvino", run_openvino_peer),
}


def measure(*arguments: str) -> dict[str, float]:
    """Run one way in a process of its own, and watch the memory of its tree."""
    out, peak_bytes = run_watched([sys.executable, __file__, *arguments])
    return json.loads(out.splitlines()[-1]) | {"peak_mb": peak_bytes / 1e6}


def print_ways(results: dict[str, dict[str, float]]) -> None:
    """Print the table of whole runs."""
    chapter = results["chapter"]
    print(
        f"{'way':10} {'images/s':>9} {'ratio':>6} {'peak MB':>8} {'ratio':>6} {'start-up s':>11}",
        end="",
    )
    print(f" {'alone':>6} {'of it':>6} {'network s':>9} {'sync s':>7} {'load ms':>8}")
    for way, found in results.items():
        faster = found["images_per_s"] / chapter["images_per_s"]
        smaller = found["peak_mb"] / chapter["peak_mb"]
        line = (
            f"{way:10} {found['images_per_s']:9.2f} {faster:6.2f} {found['peak_mb']:8.0f} "
            f"{smaller:6.2f} {found['startup_s']:11.1f}"
        )
        if "alone_images_per_s" in found:
            share = found["images_per_s"] / found["alone_images_per_s"]
            line += (
                f" {found['alone_images_per_s']:6.2f} {share:6.1%} "
                f"{found['network_s']:9.2f} {found['syncing_s']:7.3f} "
                f"{found['loading_ms']:8.2f}"
            )
        print(line, flush=True)


def print_peers() -> None:
    """Print the rates of the network alone on other engines."""
    print(f"\n{'network alone, images in memory':38} {'images/s':>9}")
    for name, (package, _) in PEERS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{name:38} {'absent':>9}")
        else:
            found = measure("--peer", name)
            print(f"{name:38} {found['images_per_s']:9.2f}", flush=True)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", nargs="?", metavar="DIR", help="folder of class folders")
    parser.add_argument("--peers", action="store_true", help="time other engines, too")
    parser.add_argument("--way", choices=WAYS, help="run this way only, in this process")
    parser.add_argument("--alone", choices=WAYS, help="time this engine only, in this process")
    parser.add_argument("--peer", choices=PEERS, help="time this engine only, in this process")
    return parser


def main() -> None:
    """Run all ways, one after the other, or one of them."""
    arguments = build_parser().parse_args()
    if arguments.peer:
        print(json.dumps(PEERS[arguments.peer][1]()))
        return
    if arguments.dataset is None:
        raise SystemExit("give a folder of images: python benchmarks/extract.py DIR")
    dataset = str(Path(arguments.dataset).resolve())
    if arguments.alone:
        print(json.dumps(run_alone(dataset, arguments.alone)))
        return
    if arguments.way:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(WAYS[arguments.way](dataset, f"{folder}/features.hdf5")))
        return
    results = {way: measure(dataset, "--way", way) for way in WAYS}
    for way in ("auto", "keras"):
        alone = measure(dataset, "--alone", way)
        results[way] |= {key: alone[key] for key in ("alone_images_per_s", "loading_ms")}
    print_ways(results)
    if arguments.peers:
        print_peers()


if __name__ == "__main__":
    main()
