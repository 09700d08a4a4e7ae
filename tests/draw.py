"""Draw small folders of labelled images: noisy stripes for the tests, noisy shapes for the demo."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = (80, 64)  # height, width in pixels
SHAPE_SIZE = 128  # height and width of an image of a shape, in pixels
SMOOTH = 4  # shapes are drawn so many times as large, and then made smaller
CORNERS = {"circle": 60, "hexagon": 6, "square": 4, "star": 10, "triangle": 3}


def draw_images(folder: Path, classes: Sequence[str], n_images: int, seed: int = 0) -> None:
    """Draw `n_images` noisy images of each class, with stripes at its own angle."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(SIZE)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        angle = np.pi * number / len(classes)
        waves = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / 3)
        for i in range(n_images):
            noise = rng.normal(0, 30, (*SIZE, 3))
            pixels = 128 + 70 * waves[..., None] + noise
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(folder / name / f"{name}_{i:03}.jpg")


def draw_shape(shape: str, rng: np.random.Generator) -> Image.Image:
    """Draw one of `CORNERS` somewhere, turned, small or large, and under noise."""
    n_corners, size = CORNERS[shape], SMOOTH * SHAPE_SIZE
    radius = size * rng.uniform(0.28, 0.4)
    centre = size * rng.normal(0.5, 0.03, 2)
    angles = rng.normal(0, 0.15) + np.arange(n_corners) * 2 * np.pi / n_corners - np.pi / 2
    radii = np.where(np.arange(n_corners) % 2, 0.5 if shape == "star" else 1, 1) * radius
    corners = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ground = np.array([40, 60, 90]) + rng.normal(0, 8, 3)
    colour = ground + rng.uniform(60, 140) + rng.normal(0, 8, 3)  # lighter, but not always much
    image = Image.new("RGB", (size, size), tuple(ground.astype(int)))
    ImageDraw.Draw(image).polygon([*map(tuple, corners)], fill=tuple(colour.astype(int)))
    pixels = np.asarray(image.resize((SHAPE_SIZE, SHAPE_SIZE), Image.Resampling.BOX), float)
    pixels += rng.normal(0, rng.uniform(30, 90), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
