"""Draw a small folder of labelled pictures, to try the scripts on, and a few new ones.

python tests/draw.py demo/images demo/new
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (80, 64)  # height, width in pixels


def draw_images(
    folder: Path, classes: Sequence[str], n_images: int, seed: int = 0, jitter: float = 0.0
) -> None:
    """Draw `n_images` noisy pictures of each class, with stripes that tell the classes apart.

    `jitter`, in radians, turns and shifts the stripes of each, so that classes can be confused.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(SIZE)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n_images):
            turn, shift = jitter * rng.normal(size=2) if jitter else (0.0, 0.0)
            angle = np.pi * number / len(classes) + turn
            waves = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / 3 + 9 * shift)
            noise = rng.normal(0, 30, (*SIZE, 3))
            pixels = 128 + 70 * waves[..., None] + noise
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(folder / name / f"{name}_{i:03}.jpg")


if __name__ == "__main__":
    names = ("horizontal", "leaning right", "leaning left")
    for folder, n_images, seed in zip(map(Path, sys.argv[1:]), (20, 1), (0, 1), strict=True):
        if not folder.exists():
            draw_images(folder, names, n_images, seed, jitter=0.3)
