"""What a features file records of how each image looks, to find near duplicates by.

Each of two files knows its own duplicates, but between them there is nothing to compare once
the images are gone. A fingerprint has the 64 lowest frequencies of a thumbnail, a byte each: they
determine the perceptual hash and nearly all of the detail that confirms it. A thumbnail would
take four times as much. Of the 241 pairs of near duplicates in Animals, Flowers-17 and Caltech-101
(13,037 images) fingerprints find all, and 18 more in Caltech-101, of similarly drawn images.
"""

import base64
import binascii
from collections.abc import Sequence

import numpy as np

from pyimagesearch.preprocessing.nearduplicates import (
    BLOCK,
    HASHED,
    LEAST_DETAIL,
    SAME,
    SIDE,
    SMOOTH,
    Pair,
    candidates,
    frequencies,
    hashes_of,
)

N_BYTES = HASHED**2
LARGEST = 120  # of 127: shading may be stronger than the detail that is the scale
STEPS = 16  # of the scale, to each of its doublings
MIRROR = np.where(np.arange(HASHED) % 2, -1, 1).astype(np.float32)  # of the waves along a row


def fingerprints(thumbnails: np.ndarray) -> list[str]:
    """Return the fingerprint of each image, as JSON has it: base64 of 64 bytes.

    The first byte is the logarithm of the largest frequency of the detail; the others are the
    frequencies, as signed bytes, with that one as 120. The mean grey is not among them.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 16, 16)
    """
    found = []
    for start in range(0, len(thumbnails), BLOCK):
        lowest = frequencies(thumbnails[start : start + BLOCK], HASHED)
        steps = np.log2(np.maximum(abs(_detail(lowest)).max(axis=(1, 2)), 1)) * STEPS
        scales = steps.round().astype(np.uint8)
        values = lowest / _scale(scales)[:, None, None]
        packed = values.round().clip(-127, 127).astype(np.int8).view(np.uint8)
        packed = packed.reshape(-1, N_BYTES)
        packed[:, 0] = scales
        found += [base64.b64encode(row).decode() for row in packed]
    return found


def near_duplicates_between(first: Sequence[str], second: Sequence[str]) -> list[Pair]:
    """Find the pairs of an image of one set and one of another that look the same.

    Parameters
    ----------
    first, second : sequence of str
        The fingerprints of both sets; an invalid one matches no other.

    Returns
    -------
    list of Pair
        An index into each set. Sorted.
    """
    lowest = _unpacked([*first, *second])
    hashes = [hashes_of(lowest), hashes_of(lowest * MIRROR)]
    one, other, mirrored = candidates(*hashes)
    across = (one < len(first)) & (other >= len(first))
    one, other, mirrored = one[across], other[across], mirrored[across]
    found = []
    for start in range(0, len(one), BLOCK):
        block = slice(start, start + BLOCK)
        flipped = np.where(mirrored[block, None, None], MIRROR, 1)
        same = _similarity(lowest[one[block]], lowest[other[block]] * flipped) > SAME
        found += zip(one[block][same], other[block][same], mirrored[block][same], strict=True)
    return sorted(Pair(int(i), int(j) - len(first), bool(flipped)) for i, j, flipped in found)


def _unpacked(texts: Sequence[str]) -> np.ndarray:
    """Return the lowest frequencies: float32, shape (n, 8, 8); zeros for an invalid fingerprint."""
    packed = np.zeros((len(texts), N_BYTES), np.uint8)
    for row, text in zip(packed, texts, strict=True):
        try:
            values = base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error):
            continue
        if len(values) == N_BYTES:
            row[:] = np.frombuffer(values, np.uint8)
    scales = _scale(packed[:, 0])
    lowest = packed.view(np.int8).reshape(-1, HASHED, HASHED) * scales[:, None, None]
    lowest[:, 0, 0] = SIDE * 127  # some grey, brighter than any wave
    return lowest


def _scale(steps: np.ndarray) -> np.ndarray:
    return (2 ** (steps / STEPS) / LARGEST).astype(np.float32)


def _detail(lowest: np.ndarray) -> np.ndarray:
    detail = lowest.copy()
    detail[:, :SMOOTH, :SMOOTH] = 0
    return detail


def _similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of detail, as of thumbnails: see `nearduplicates`."""
    one, other = _detail(one), _detail(other)
    norms = [np.linalg.norm(detail, axis=(1, 2)) for detail in (one, other)]
    products = (one * other).sum(axis=(1, 2)) / np.maximum(norms[0] * norms[1], 1)
    return np.where(np.minimum(*norms) >= LEAST_DETAIL * SIDE, products, 0)
