"""Turn a folder of labelled images into an HDF5 file of features.

    python extract_features.py --dataset animals/images --output animals/hdf5/features.hdf5

Every image goes through VGG16, trained on ImageNet and cut after its last
pooling layer: 7 x 7 x 512 = 25,088 numbers per image. Or through any other
network of keras.applications, or one of your own, cut at any layer:

    python extract_features.py -d animals/images -o features.hdf5 --network ResNet50 --pooling avg
    python extract_features.py --network ResNet50 --list-layers

A run that was stopped or killed resumes when the same command is given again.
"""

import sys
from pathlib import Path

if sys.flags.safe_path:  # python -I and -P leave the script's own folder out
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from pyimagesearch.utils.stopping import stop_at_once, stop_requests

if __name__ == "__main__":
    stop_at_once()  # on Ctrl-C, while the imports below take their second

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pyimagesearch.extraction import Extractor, ReusingExtractor, open_extractor, scheduler_address
from pyimagesearch.io import (
    HDF5DatasetWriter,
    ReusableRows,
    RunRecord,
    Unfinished,
    check_new_output,
    check_room,
    creation_date,
    read_unfinished,
)
from pyimagesearch.nn import ENGINES, Network, NetworkChoice, list_layers, load_network
from pyimagesearch.nn.commandline import add_network_options, chosen_network, layer_table
from pyimagesearch.preprocessing import (
    CheckedImages,
    EarlierRows,
    LabelledImages,
    check_images,
    list_labelled_images,
    report_classes,
    report_duplicates,
    report_unreadable,
)
from pyimagesearch.preprocessing.commandline import add_image_options
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import (
    add_computing_options,
    positive_int,
    script_parser,
    user_path,
)
from pyimagesearch.utils.files import make_parents
from pyimagesearch.utils.progress import progress_bar
from pyimagesearch.utils.script import script
from pyimagesearch.utils.versions import installed_versions
from pyimagesearch.utils.wording import counted

FLOAT_BYTES = 4  # per number of a row
PACKAGES = ("h5py", "keras", "ncnn", "numpy", "openvino", "pillow", "tensorflow")

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = script_parser(__doc__)
    add_image_options(parser)
    files = parser.add_argument_group("files")
    files.add_argument(
        "-o", "--output", type=user_path, metavar="FILE", help="HDF5 file to make; must not exist"
    )
    files.add_argument(
        "--reuse",
        type=user_path,
        action="append",
        default=[],
        metavar="FILE",
        help="copy the rows of images that are in this earlier file, made with the same settings, "
        "and compute the others; may be repeated",
    )
    files.add_argument(
        "-s",
        "--buffer_size",
        "--buffer-size",
        type=positive_int,
        default=1000,
        metavar="ROWS",
        help="rows kept in memory before they are written (default: %(default)s)",
    )
    add_network_options(parser)
    add_computing_options(parser, ENGINES)
    return parser


@dataclass(frozen=True)
class Extraction:
    """What one run has done.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the finished file.
    n_computed : int
        How many of the rows this run has computed; the others were there, or in
        earlier files.
    elapsed_s : float
        Seconds from the first image read to the last row written.
    """

    shape: tuple[int, int]
    n_computed: int
    elapsed_s: float


def extract(
    dataset: str,
    output: str,
    *,
    choice: NetworkChoice | None = None,
    batch_size: int = 32,
    buffer_size: int = 1000,
    engine: str = "auto",
    jobs: int = 1,
    seed: int = 42,
    skip_bad: bool = False,
    labels: str | None = None,
    labels_from: str = "folder",
    reuse: Sequence[str] = (),
    cluster: str | None = None,
    load_network: Callable[..., Network] = load_network,
) -> Extraction:
    """Extract the features of a folder of images into an HDF5 file.

    Parameters
    ----------
    dataset, output : str
        Folder of class folders, and the file to make. The output's missing
        parent folders are created.
    choice : NetworkChoice or None
        Which network, cut where, with which weights; None is VGG16 as in the
        chapter.
    batch_size, buffer_size, engine, jobs, seed, skip_bad, labels, labels_from, reuse, cluster
        As on the command line.
    load_network : callable
        Loads the network, see `pyimagesearch.nn.load_network`.

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
    if cluster is not None:
        scheduler_address(cluster)  # or it would be refused when the network is loaded
    output = Path(output)
    choice = choice or NetworkChoice()
    images = list_labelled_images(
        dataset, seed, table=labels, labels_from=labels_from, skip_bad=skip_bad
    )
    report_classes(images)
    make_parents(output)
    check_new_output(output)
    reusable = ReusableRows(reuse, output)
    unfinished = read_unfinished(output, "features")

    if unfinished and engine == "auto":
        engine = unfinished.record.engine or engine  # another gives other last digits
    logger.info("loading network...")
    network = load_network(choice, engine, batch_size, jobs)
    n_features = network.description.n_features
    logger.info(f"network: {network.description}")
    threads = "1 thread" if jobs == 1 else f"{jobs} threads"
    logger.info(f"engine: {network.engine}, {threads} ({network.why})")

    record = begun_record(images, network, choice, seed)
    reusable.require_same(record, network.independent)
    if unfinished:
        unfinished.require_same({"labels": None} | record.to_json())
        unfinished.require_same_images([*images.paths, *images.skipped.broken_links])
    else:
        check_room(output, len(images) * n_features * FLOAT_BYTES)

    with open_extractor(network, cluster, jobs) as extractor:
        checked = check(images, unfinished, jobs, skip_bad)
        report_duplicates(images, checked)
        images = checked.images
        record = completed_record(record, checked, extractor)
        if reuse:
            extractor = ReusingExtractor(extractor, reusable.find(record, network.independent))
        writer = HDF5DatasetWriter(
            (len(images), n_features),
            output,
            dataKey="features",
            bufSize=buffer_size,
            provenance=record.to_json(),
            classLabels=images.label_names,
            resume=True,
        )
        with writer:
            n_before = writer.idx
            if n_before:
                logger.info(f"resuming at {n_before:,} of {len(images):,}")
            started = time.perf_counter()
            write_features(writer, checked, extractor)
        elapsed_s = time.perf_counter() - started
    missing = range(n_before, len(images))
    return Extraction((len(images), n_features), extractor.n_to_compute(missing), elapsed_s)


def begun_record(
    images: LabelledImages, network: Network, choice: NetworkChoice, seed: int
) -> RunRecord:
    """Return what is known before an image is read; a run resumes only if it is the same."""
    return RunRecord(
        dataset=str(images.root),
        **network.description.to_json(),
        weights_file=choice.weights_file and str(choice.weights_file.absolute()),
        engine=network.engine,
        batch_size=network.batch_size,
        seed=seed,
        created=creation_date(),
        versions=installed_versions(PACKAGES),
        labels=images.labelling.record(images.label_of),
    )


def completed_record(record: RunRecord, checked: CheckedImages, extractor: Extractor) -> RunRecord:
    """Add which images the rows come from, the digests of these, and what computes them."""
    return replace(
        record,
        processors=extractor.processors,
        image_bytes=checked.n_bytes,
        contents_sha256=checked.contents_sha256,
        skipped=checked.bad,
        **checked.decoding.record(),
        **checked.duplicates.record(checked.images.paths),
        **checked.split_record(),
        paths=checked.images.paths,
        digests=checked.row_digests,
        fingerprints=checked.fingerprints,
    )


def check(
    images: LabelledImages, unfinished: Unfinished | None, jobs: int, skip_bad: bool
) -> CheckedImages:
    """Decode the images whose rows are missing before hours are spent, and name all that fail."""
    earlier = EarlierRows()
    if unfinished:
        paths, done = list(unfinished.record.digest_of_path), unfinished.untouched(images.root)
        earlier = EarlierRows.recorded(unfinished.provenance, paths, done)
    n_missing = len(images) - len(earlier.known)
    of_all = f" of {len(images):,}" if earlier.known else ""
    logger.info(f"checking {n_missing:,}{of_all} images of {len(images.label_names):,} classes...")
    with progress_bar("Checking Images", n_missing) as bar:
        checked = check_images(images, jobs, bar.increment, earlier)
    report_unreadable(checked, skip_bad)
    n_found = len(images) + len(images.skipped.broken_links)
    if checked.bad and not skip_bad:
        raise InputError(
            f"{len(checked.bad):,} of {n_found:,} images cannot be read: "
            "replace or remove them, or skip them with --skip-bad"
        )
    if not len(checked.images):
        raise InputError(f"no image of {n_found:,} can be read")
    if unfinished:
        unfinished.require_same_contents(checked.digests)
    return checked


def write_features(writer: HDF5DatasetWriter, checked: CheckedImages, extractor: Extractor) -> None:
    """Stream the images that are not in the file yet through the network."""
    images = checked.images
    # Batches are those of a run without a break, or the last digit might differ.
    n_known = writer.idx % extractor.network.batch_size  # rows of the first batch in the file
    row = writer.idx - n_known
    with (
        stop_requests() as stop_if_asked,
        progress_bar("Extracting Features", len(images), writer.idx, extractor.note) as bar,
    ):
        for features in extractor.features(checked, range(row, len(images))):
            labels = images.labels[row : row + len(features)]
            writer.add(features[n_known:], labels[n_known:])
            row, n_known = row + len(features), 0
            bar.update(row)
            stop_if_asked()


@script
def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = build_parser()
    arguments = vars(parser.parse_args(argv))
    missing = [f"--{key}" for key in ("dataset", "output") if arguments[key] is None]
    if missing and not arguments["list_layers"]:
        parser.error(f"expected {' and '.join(missing)}")
    choice = chosen_network(parser, arguments)
    if arguments.pop("list_layers"):
        print(layer_table(list_layers(choice, arguments["jobs"])))
        return
    if choice.weights == "random":
        logger.warning("random weights: the features are untrained")
    done = extract(**arguments, choice=choice)
    if done.n_computed:  # all rows may have been copied
        rate = done.n_computed / done.elapsed_s
        images = counted(done.n_computed, "image")
        logger.info(f"{images} in {done.elapsed_s:.1f} s ({rate:.1f} images/s)")
    logger.info(f"{arguments['output']}: {done.shape[0]:,} x {done.shape[1]:,} features")


if __name__ == "__main__":
    raise SystemExit(main())
