"""Find images that show the same photograph: saved again, resized, converted or mirrored.

Each image is reduced to 16 x 16 grey averages. Two steps find which of them
belong together, without comparing all pairs:

- A perceptual hash of 64 bits finds candidates: the signs of the lowest
  frequencies, against their median (Zauner, "Implementation and Benchmarking
  of Perceptual Image Hash Functions", 2010). On plain backgrounds there are too many.
- The averages themselves confirm them. What is compared is their detail, without
  the brightness and the smooth shading that most skies and backdrops share.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 16  # rows and columns of a thumbnail
# A thumbnail from an image of at least this many pixels a side: a JPEG is decoded no larger.
LEAST_PIXELS = 128

HASHED = 8  # rows and columns of frequencies, of which a hash has a bit each
SMOOTH = 3  # rows and columns of frequencies that are shading, not detail

MOST_BITS = 6  # in which the hashes of near duplicates differ
# The correlation of detail above which two images are the same photograph. Half of the size
# gives at least 0.994 and other photographs at most 0.8 on animals (300 images); the 68 pairs
# of Flowers-17 have 0.993 and more, and nothing else above 0.97.
SAME = 0.992
# What a whole group has in common with its first image: frames of a video, each of which is
# a near duplicate of the one before, do not chain without end.
GROUPED = 0.97
LEAST_DETAIL = 3.0  # standard deviation, in grey levels: with less, nothing can be recognised

N_BYTES = 8  # of a hash
MOST_NEIGHBOURS = 128  # compared in one bucket: where thousands look alike, some are enough
BLOCK = 4096  # pairs that are confirmed at a time


class Pair(NamedTuple):
    """Two images that show the same photograph.

    Attributes
    ----------
    first, second : int
        Indices of the two, the smaller one first.
    mirrored : bool
        Whether one is the mirror image of the other.
    """

    first: int
    second: int
    mirrored: bool


def thumbnail(image: Image.Image) -> Image.Image:
    """Reduce a decoded image, of any mode, to 16 x 16 grey averages in mode L."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # By the bulk of the values: those for missing data are far off, or not finite.
        values = np.asarray(image, np.float64)
        finite = values[np.isfinite(values)]
        low, high = np.quantile(finite if finite.size else [0.0], [0.02, 0.98])
        values = (values.clip(low, high) - low) * (255 / ((high - low) or 1))
        image = Image.fromarray(np.nan_to_num(values).astype(np.uint8))
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")  # palettes and transparency cannot be averaged
    return image.resize((SIDE, SIDE), Image.Resampling.BOX).convert("L")


def find_near_duplicates(thumbnails: np.ndarray) -> list[Pair]:
    """Find all pairs of images that show the same photograph.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 16, 16)
        One per image, as `thumbnail` returns them; all upright.

    Returns
    -------
    list of Pair
        Sorted. A nearly blank image, such as an empty page, is in none.
    """
    first, second, mirrored = candidates(_hashes(thumbnails), _hashes(thumbnails[:, :, ::-1]))
    found = []
    for start in range(0, len(first), BLOCK):
        block = slice(start, start + BLOCK)
        one, other = thumbnails[first[block]], thumbnails[second[block]]
        flipped = mirrored[block]
        other = np.where(flipped[:, None, None], other[:, :, ::-1], other)
        same = _similarity(one, other) > SAME
        found += zip(first[block][same], second[block][same], flipped[same], strict=True)
    return sorted(Pair(int(i), int(j), bool(flipped)) for i, j, flipped in found)


def group_near_duplicates(thumbnails: np.ndarray, pairs: list[Pair]) -> dict[int, int]:
    """Group pairs that share an image, without endless chains.

    An image joins the groups of its near duplicates if it still resembles the
    first image of each.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 16, 16)
    pairs : list of Pair
        As `find_near_duplicates` returns them.

    Returns
    -------
    dict of int to int
        For each image that is in a group, the first image of the group, which
        is its smallest index.
    """
    earlier = defaultdict(list)
    for pair in pairs:
        earlier[pair.second].append(pair.first)
    groups: dict[int, list[int]] = {}  # by their first image
    first_of: dict[int, int] = {}

    def resembles(first: int, others: list[int]) -> bool:
        one = np.broadcast_to(thumbnails[first], (len(others), SIDE, SIDE))
        other = thumbnails[others]
        either = np.maximum(_similarity(one, other), _similarity(one, other[:, :, ::-1]))
        return bool((either > GROUPED).all())

    for image in sorted(earlier):
        # An image without a group is its own group.
        neighbours = sorted({first_of.get(neighbour, neighbour) for neighbour in earlier[image]})
        first = next((one for one in neighbours if resembles(one, [image])), None)
        if first is None:
            continue
        joining = [first, image] if first not in groups else [image]
        for other in neighbours:
            if other > first and resembles(first, groups.get(other, [other])):
                joining += groups.pop(other, [other])
        groups.setdefault(first, []).extend(joining)
        first_of |= dict.fromkeys(joining, first)
    return first_of


def _waves(n: int) -> np.ndarray:
    """Return the first n cosines of the discrete cosine transform of 16 numbers, as rows."""
    positions = 2 * np.arange(SIDE) + 1
    waves = np.cos(np.pi * np.arange(n)[:, None] * positions / (2 * SIDE))
    return (waves / np.linalg.norm(waves, axis=1, keepdims=True)).astype(np.float32)


def frequencies(thumbnails: np.ndarray, n: int) -> np.ndarray:
    """Return the n x n lowest frequencies of thumbnails: float32, shape (b, n, n)."""
    waves = _waves(n)
    return waves @ thumbnails.astype(np.float32) @ waves.T


def hashes_of(lowest: np.ndarray) -> np.ndarray:
    """Return the perceptual hash of each image by its frequencies (n, 8, 8): uint8, (n, 8)."""
    lowest = lowest.reshape(-1, HASHED**2)
    median = np.median(lowest[:, 1:], axis=1, keepdims=True)  # without the mean grey
    return np.packbits(lowest > median, axis=1)


def _hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return a perceptual hash of each thumbnail: uint8, shape (n, 8)."""
    hashes = np.empty((len(thumbnails), N_BYTES), np.uint8)
    for start in range(0, len(thumbnails), BLOCK):
        block = thumbnails[start : start + BLOCK]
        hashes[start : start + BLOCK] = hashes_of(frequencies(block, HASHED))
    return hashes


def candidates(
    hashes: np.ndarray, mirrored_hashes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pairs whose hashes differ in few bits: first, second, whether mirrored.

    Hashes that differ in at most six bits agree in at least two of their eight
    bytes: only pairs that agree in the same two are compared.
    """
    n = len(hashes)
    both = np.concatenate([hashes, mirrored_hashes])
    whole = both.view(np.uint64).ravel()
    found = [np.empty(0, np.int64)]
    for one, other in combinations(range(N_BYTES), 2):
        bucket = both[:, one].astype(np.uint16) << 8 | both[:, other]
        for i, j in _neighbours(bucket):
            # The mirror images of a pair that is already there add nothing.
            near = (np.bitwise_count(whole[i] ^ whole[j]) <= MOST_BITS) & ((i < n) | (j < n))
            i, j = np.minimum(i[near], j[near]), np.maximum(i[near], j[near])
            found.append(np.minimum(i, j % n) * (2 * n) + np.maximum(i, j % n) + n * (j >= n))
    pairs = np.unique(np.concatenate(found))
    first, second = pairs // (2 * n or 1), pairs % (2 * n or 1)
    return _without_self(first, second % (n or 1), second >= n)


def _without_self(first: np.ndarray, second: np.ndarray, mirrored: np.ndarray):
    """Remove pairs of a symmetric image with its own mirror image."""
    other = first != second
    return first[other], second[other], mirrored[other]


def _neighbours(bucket: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices of those in the same bucket, by their distance in it."""
    order = np.argsort(bucket, kind="stable")
    ordered = bucket[order]
    at = np.arange(len(order))
    for distance in range(1, MOST_NEIGHBOURS + 1):
        at = at[: np.searchsorted(at, len(order) - distance)]
        at = at[ordered[at] == ordered[at + distance]]
        if not len(at):
            return
        yield order[at], order[at + distance]


def _similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of detail of thumbnails, both (n, 16, 16); 0 without detail."""
    one, other = _detail(one), _detail(other)
    least = LEAST_DETAIL * SIDE  # the norm of a detail of that standard deviation
    norms = [np.linalg.norm(detail, axis=(1, 2)) for detail in (one, other)]
    products = (one * other).sum(axis=(1, 2))
    return np.where(np.minimum(*norms) >= least, products / np.maximum(norms[0] * norms[1], 1), 0)


def _detail(thumbnails: np.ndarray) -> np.ndarray:
    """Remove brightness and smooth shading from thumbnails: float32 of the same shape."""
    waves = _waves(SMOOTH)
    smooth = waves.T @ waves
    thumbnails = thumbnails.astype(np.float32)
    return thumbnails - smooth @ thumbnails @ smooth
