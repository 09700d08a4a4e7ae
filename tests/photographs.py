"""Photographs to compare networks on, and the measure of how far features are apart."""

import numpy as np
from sklearn.datasets import load_sample_images

CORNERS = [(0, 0), (0, 208), (0, 416), (203, 0), (203, 208), (203, 416), (100, 300)]
TEMPLE_AND_FLOWER = load_sample_images().images  # (427, 640, 3) each


def photographs(n_images: int, size: int = 224) -> np.ndarray:
    """Return at most 7 crops of two photographs, by turns: uint8 (n, size, size, 3)."""
    return np.stack(
        [
            TEMPLE_AND_FLOWER[i % 2][y : y + size, x : x + size]
            for i, (y, x) in enumerate(CORNERS[:n_images])
        ]
    )


def relative_difference(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number."""
    assert got.shape == expected.shape
    return np.abs(got - expected).max() / np.abs(expected).max()
