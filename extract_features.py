"""Turn a folder of labelled pictures into an HDF5 file of features.

    python extract_features.py --dataset animals/images --output animals/hdf5/features.hdf5

Every picture goes through VGG16, trained on ImageNet and cut after its last
pooling layer: 7 x 7 x 512 = 25,088 numbers a picture. A run that was stopped
or killed goes on where it was when the same command is given again.
"""

from pyimagesearch.utils.stopping import run, stop_at_once, stop_requests

if __name__ == "__main__":
    stop_at_once()  # on Ctrl-C, while the imports below take their second

import argparse
import importlib.metadata
import math
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pyimagesearch.io import HDF5DatasetWriter, check_new_output, check_not_busy
from pyimagesearch.nn import ENGINES, Network, start_loading
from pyimagesearch.nn.streaming import stream_features
from pyimagesearch.preprocessing import CheckedImages, check_images, list_labelled_images
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import jobs, positive_int, seed
from pyimagesearch.utils.files import make_parents
from pyimagesearch.utils.progress import progress_bar

PACKAGES = ("h5py", "keras", "ncnn", "numpy", "pillow", "tensorflow")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-d",
        "--dataset",
        required=True,
        metavar="DIR",
        help="folder of pictures, one folder per class: DIR/cats/1.jpg, DIR/dogs/2.jpg",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="HDF5 file to make; must not exist"
    )
    parser.add_argument(
        "-b",
        "--batch_size",
        "--batch-size",
        type=positive_int,
        default=32,
        metavar="N",
        help="pictures at a time on an accelerator; a processor takes fewer (default: %(default)s)",
    )
    parser.add_argument(
        "-s",
        "--buffer_size",
        "--buffer-size",
        type=positive_int,
        default=1000,
        metavar="ROWS",
        help="rows kept in memory before they are written, 100 kB each (default: %(default)s)",
    )
    parser.add_argument(
        "-w",
        "--weights",
        default="imagenet",
        metavar="{imagenet,random,FILE}",
        help="weights of VGG16: imagenet is downloaded once, random is for trying things out, "
        "FILE is a .h5, .weights.h5 or .keras file (default: %(default)s)",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what computes the network: auto is keras on an accelerator and ncnn on a "
        "processor (default: %(default)s)",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=jobs,
        default="-1",
        metavar="JOBS",
        help="threads that load pictures, and that compute on a processor; -1 for all cores "
        "this process may use (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=42,
        metavar="N",
        help="seed of the shuffle: the same folder and seed give the same order of rows "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out pictures that cannot be read, instead of stopping before the work starts",
    )
    return parser


@dataclass(frozen=True)
class Extraction:
    """What one run has done.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the finished file.
    n_computed : int
        How many of the rows this run has computed; the others were there.
    elapsed_s : float
        Seconds from the first picture in to the last row on the disk.
    """

    shape: tuple[int, int]
    n_computed: int
    elapsed_s: float


def extract(
    dataset: str,
    output: str,
    *,
    batch_size: int = 32,
    buffer_size: int = 1000,
    weights: str = "imagenet",
    engine: str = "auto",
    jobs: int = 1,
    seed: int = 42,
    skip_bad: bool = False,
    start_loading: Callable[..., Callable[[], Network]] = start_loading,
    say: Callable[[str], None] = lambda line: None,
) -> Extraction:
    """Extract the features of a folder of pictures into an HDF5 file.

    Parameters
    ----------
    dataset, output : str
        Folder of class folders, and the file to make. The output's missing
        parent folders are created.
    batch_size, buffer_size, weights, engine, jobs, seed, skip_bad
        As on the command line.
    start_loading : callable
        Loads the network, see `pyimagesearch.nn.start_loading`.
    say : callable
        Called with each line of the story.

    Returns
    -------
    Extraction
        The shape of the file, and the time it took.

    Raises
    ------
    InputError
        If an input is wrong. What has been computed until then is kept in
        ``<output>.partial``.
    """
    output = Path(output)
    images = list_labelled_images(dataset, seed)
    make_parents(output)
    check_new_output(output)
    check_not_busy(output)
    finish_loading = start_loading(weights, engine, batch_size, jobs)

    with ThreadPoolExecutor(jobs) as pool:
        say(f"checking {len(images):,} images of {len(images.label_names)} classes...")
        checked = check(images, pool, jobs, skip_bad)
        images = checked.images

        say("loading network...")
        network = finish_loading()
        threads = "1 thread" if jobs == 1 else f"{jobs} threads"
        say(f"engine: {network.engine}, {threads} ({network.why})")

        n_features = math.prod(network.description.feature_shape)
        writer = HDF5DatasetWriter(
            (len(images), n_features),
            output,
            dataKey="features",
            bufSize=buffer_size,
            provenance=provenance(checked, network, seed),
            resume=True,
        )
        with writer:
            writer.storeClassLabels(images.label_names)
            n_before = writer.idx
            if n_before:
                say(f"resuming at {n_before:,} of {len(images):,}")
            started = time.perf_counter()
            write_features(writer, checked, network, pool, jobs)
        elapsed_s = time.perf_counter() - started
    return Extraction((len(images), n_features), len(images) - n_before, elapsed_s)


def check(images, pool: Executor, jobs: int, skip_bad: bool) -> CheckedImages:
    """Decode every picture before hours are spent, and name all that fail."""
    with progress_bar("Checking Images", len(images)) as bar:
        checked = check_images(images, pool, 4 * jobs, bar.increment)
    for path, reason in sorted(checked.bad.items()):
        kind = "WARNING] left out" if skip_bad else "ERROR] cannot read"
        print(f"[{kind} '{path}': {reason}", file=sys.stderr)
    if checked.bad and not skip_bad:
        raise InputError(
            f"{len(checked.bad)} of {len(images):,} pictures cannot be read: "
            "mend or remove them, or leave them out with --skip-bad"
        )
    if not len(checked.images):
        raise InputError(f"none of the {len(images):,} pictures can be read")
    return checked


def provenance(checked: CheckedImages, network: Network, seed: int) -> dict[str, object]:
    """Say where the rows come from; a run resumes only if it is the same."""
    description = asdict(network.description)
    return {
        "dataset": str(checked.images.root),
        "network": description.pop("name"),
        **description,
        "engine": network.engine,
        "batch_size": network.batch_size,
        "seed": seed,
        "created": creation_date().isoformat(timespec="seconds"),
        "versions": versions(),
        "image_bytes": sum(stamp.n_bytes for stamp in checked.stamps.values()),
        "skipped": checked.bad,
        "paths": checked.images.paths,
    }


def creation_date() -> datetime:
    """Return now, or the date that the environment asks for, so that files repeat byte by byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"SOURCE_DATE_EPOCH is '{epoch}': expected seconds since 1970; correct or unset it"
        ) from error


def versions() -> dict[str, str]:
    """Return the versions of what has a part in the features."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def write_features(
    writer: HDF5DatasetWriter,
    checked: CheckedImages,
    network: Network,
    pool: Executor,
    jobs: int,
) -> None:
    """Stream the pictures that are not in the file yet through the network."""
    images = checked.images
    # Batches are those of a run without a break, or the last digit might differ.
    row = writer.idx - writer.idx % network.batch_size
    load = partial(checked.load, size=network.description.input_size)
    batches = stream_features(network, load, range(row, len(images)), pool, jobs)
    with (
        stop_requests() as stop_if_asked,
        progress_bar("Extracting Features", len(images), done=writer.idx) as bar,
    ):
        for features in batches:
            new = slice(writer.idx + len(writer.buffer["data"]) - row, None)
            labels = images.labels[row : row + len(features)]
            writer.add(features[new], labels[new])
            row += len(features)
            bar.update(row)
            stop_if_asked()


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    arguments = vars(build_parser().parse_args(argv))

    def story() -> None:
        if arguments["weights"] == "random":
            print("[WARNING] random weights: the features are untrained", file=sys.stderr)
        done = extract(**arguments, say=lambda line: print(f"[INFO] {line}", flush=True))
        rate = done.n_computed / done.elapsed_s
        print(
            f"[INFO] {done.n_computed:,} images in {done.elapsed_s:.1f} s ({rate:.1f} images/s)\n"
            f"[INFO] {arguments['output']}: {done.shape[0]:,} x {done.shape[1]:,} features"
        )

    return run(story)


if __name__ == "__main__":
    raise SystemExit(main())
