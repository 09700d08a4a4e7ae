"""Measure the search for near duplicates: planted ones, of many images, and what it costs.

    python benchmarks/duplicates.py --dataset animals/images
    python benchmarks/duplicates.py --million

The first copies a folder of images, saves some of them again (at quality 50, at half the size,
as PNG or WebP, mirrored, turned by an orientation flag), and counts what the check finds of
these and what it finds beside them. The second searches a million made-up hashes, of which
every thousandth resembles another one.
"""

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pyimagesearch.preprocessing import check_images, list_labelled_images  # noqa: E402
from pyimagesearch.preprocessing.imageloader import TURNS  # noqa: E402
from pyimagesearch.preprocessing.nearduplicates import candidates  # noqa: E402
from pyimagesearch.utils.arguments import available_cores  # noqa: E402

PLANTED = {"quality 50": 60, "half": 60, "PNG or WebP": 30, "mirrored": 30, "turned by a flag": 30}
UNDO = {6: 8, 8: 6}  # the flag whose turn undoes that of another; all others undo themselves
ORIENTATION = 0x112


def plant(original: Path, kind: str, number: int) -> Path:
    """Save an image once more in its own folder, and return where."""
    with Image.open(original) as opened:
        image = opened.convert("RGB")
    path, options = original.with_name(f"planted{number}.jpg"), {"quality": 90}
    if kind == "quality 50":
        options["quality"] = 50
    elif kind == "half":
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR)
    elif kind == "PNG or WebP":
        path, options = path.with_suffix((".png", ".webp")[number % 2]), {}
    elif kind == "mirrored":
        image = ImageOps.mirror(image)
    else:
        flag = 2 + number % 7
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = flag
        image = image.transpose(TURNS[UNDO.get(flag, flag)])
    image.save(path, **options)
    return path


def find_planted(dataset: Path) -> None:
    """Print how many of each kind are found, and what else is."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "images")
        shutil.copytree(dataset, folder)
        originals = [folder / path for path in list_labelled_images(folder).paths]
        random.Random(0).shuffle(originals)
        kinds = [kind for kind, n in PLANTED.items() for _ in range(n)]
        pair_of = {}
        for number, (original, kind) in enumerate(zip(originals, kinds, strict=False)):
            pair = original, plant(original, kind, number)
            pair_of[frozenset(path.relative_to(folder).as_posix() for path in pair)] = kind
        images = list_labelled_images(folder)
        started, cpu = time.perf_counter(), time.process_time()
        checked = check_images(images, available_cores(), lambda: None)
        took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    found = {frozenset(pair[:2]): pair[2] for pair in checked.duplicates.near}
    counts = Counter(kind for pair, kind in pair_of.items() if pair in found)
    for kind, n in Counter(pair_of.values()).items():
        print(f"{kind:>16}: {counts[kind]} of {n} found")
    n_mirrored = sum(found.get(pair, False) for pair, kind in pair_of.items() if kind == "mirrored")
    print(f"{'called mirrored':>16}: {n_mirrored}")
    print(f"{'others found':>16}: {[sorted(pair) for pair in found if pair not in pair_of]}")
    print(
        f"{len(images):,} images checked in {took_s:.1f} s, {1000 * cpu_s / len(images):.2f} ms "
        "of a core each"
    )


def search_a_million(n: int = 1_000_000) -> None:
    """Print how long the search among made-up hashes takes."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (n, 8), np.uint8)
    mirrored = rng.integers(0, 256, (n, 8), np.uint8)
    hashes[1000::1000] = hashes[999:-1:1000]  # ... but for one bit
    hashes[1000::1000, 0] ^= 1
    started = time.perf_counter()
    first, _, _ = candidates(hashes, mirrored)
    took_s = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{n:,} hashes: {len(first):,} candidates in {took_s:.0f} s, peak {peak / 1e6:,.0f} MB")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="folder of class folders")
    parser.add_argument("--million", action="store_true", help="search a million made-up hashes")
    arguments = parser.parse_args()
    if arguments.dataset:
        find_planted(arguments.dataset)
    if arguments.million:
        search_a_million()


if __name__ == "__main__":
    main()
