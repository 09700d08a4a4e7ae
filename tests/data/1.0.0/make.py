"""Make the files here, by the code of 1.0.0.

    git worktree add ../1.0.0 8456319
    cd ../1.0.0
    PYTHONPATH=.:tests SOURCE_DATE_EPOCH=1500000000 python /path/to/this/make.py /tmp/1.0.0
    cp -r /tmp/1.0.0/* /path/to/this

The folder is recorded in the files, so that it is one that anybody may have.

``images`` are drawn, some of them with a flag that they lie on their side, others of
floats, both of which 1.0.0 handles in its own way. ``features.hdf5`` has what a network
of three lines gives, and ``unfinished.partial`` is the same when it was broken off;
``vgg16.hdf5`` is of a real network. A classifier and what it answers are made of each.
"""

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
from conftest import fake_network
from PIL import Image

import classify_images
import extract_features
import train_model
from pyimagesearch.io import partial_path
from pyimagesearch.nn import NetworkChoice
from pyimagesearch.utils import InputError

ON_ITS_SIDE = 6


def draw_images(folder: Path) -> None:
    """Draw two classes of 8 images, of which the second is darker on the left."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("cats", "dogs")):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 256, (8, 12, 3))
            pixels[:, :5] //= 1 + number
            if i % 4 == 3:
                Image.fromarray(pixels[..., 0].astype(np.float32) * (i + 1)).save(
                    folder / name / f"{i}.tif"
                )
                continue
            exif = Image.Exif()
            exif[0x0112] = ON_ITS_SIDE if i % 2 else 1
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png", exif=exif)


def broken_off(n_batches: int):
    """Return a network that fails after so many batches."""
    network, left = fake_network(concurrent=False), iter(range(n_batches))
    compute = network._compute

    def fail_at_last(batch: np.ndarray) -> np.ndarray:
        if next(left, None) is None:
            raise InputError("broken off")
        return compute(batch)

    network._compute = fail_at_last
    return network


def make(folder: Path) -> None:
    """Make all files in a new folder."""
    folder.mkdir()
    os.chdir(folder)
    images = Path("images")
    draw_images(images)
    features, vgg16, output = Path("features.hdf5"), Path("vgg16.hdf5"), Path("unfinished")
    extract_features.extract(images, features, load_network=lambda *_: fake_network())
    with contextlib.suppress(InputError):
        extract_features.extract(
            images, output, buffer_size=1, load_network=lambda *_: broken_off(3)
        )
    assert partial_path(output).exists()
    choice = NetworkChoice(
        "VGG16", layer="block1_pool", pooling="avg", size=(32, 32), weights="random"
    )
    extract_features.extract(images, vgg16, choice=choice)
    paths = sorted(map(str, images.glob("*/*")))
    fake = {"load": lambda *_, **__: fake_network()}
    for file, options in ((features, fake), (vgg16, {})):
        for suffix in (".cpickle", ".skops"):
            assert train_model.main(["-d", str(file), "-m", str(file.with_suffix(suffix))]) == 0
        argv = ["-m", str(file.with_suffix(".cpickle")), *paths, "--all"]
        argv += ["--csv", str(file.with_suffix(".csv"))]
        assert classify_images.main(argv, **options) == 0


if __name__ == "__main__":
    make(Path(sys.argv[1]))
