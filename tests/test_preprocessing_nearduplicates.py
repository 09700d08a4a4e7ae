import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pyimagesearch.preprocessing.nearduplicates import (
    SIDE,
    Pair,
    candidates,
    find_near_duplicates,
    group_near_duplicates,
    thumbnail,
)


def photograph(seed: int, size=(200, 160)) -> Image.Image:
    """Draw coarse and fine structure, as a photograph has it, that no other seed repeats."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize(size, 3) for n in (6, 40)
    ]
    return Image.blend(*layers, 0.3)


def saved(image: Image.Image, kind: str, **options) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file)


VARIANTS = {
    "saved again at quality 50": lambda image: saved(image, "JPEG", quality=50),
    "half the size": lambda image: saved(image.resize((100, 80)), "JPEG"),
    "as PNG": lambda image: saved(image, "PNG"),
    "as WebP": lambda image: saved(image, "WEBP"),
    "grey": lambda image: image.convert("L"),
    "with a palette": lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE),
    "16 bits": lambda image: Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257),
    "float": lambda image: Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255),
}


def thumbnails_of(images) -> np.ndarray:
    return np.stack([np.asarray(thumbnail(image)) for image in images])


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_photograph_is_found_and_no_other(variant):
    originals = [photograph(seed) for seed in range(12)]
    again = [VARIANTS[variant](image) for image in originals]
    expected = [Pair(i, i + 12, mirrored=False) for i in range(12)]
    assert find_near_duplicates(thumbnails_of([*originals, *again])) == expected


def test_a_mirror_image_is_found_and_called_so():
    originals = [photograph(seed) for seed in range(6)]
    mirrored = [saved(ImageOps.mirror(image), "JPEG", quality=70) for image in originals]
    expected = [Pair(i, i + 6, mirrored=True) for i in range(6)]
    assert find_near_duplicates(thumbnails_of([*originals, *mirrored])) == expected


def test_a_symmetric_image_is_not_its_own_duplicate():
    left = np.asarray(thumbnail(photograph(0)))[:, : SIDE // 2]
    symmetric = np.concatenate([left, left[:, ::-1]], axis=1)
    assert find_near_duplicates(symmetric[None]) == []
    assert find_near_duplicates(np.stack([symmetric, symmetric])) == [
        Pair(0, 1, mirrored=False),
        Pair(0, 1, mirrored=True),
    ]


def test_images_that_show_next_to_nothing_are_in_no_pair():
    rng = np.random.default_rng(0)
    pages = [200 + rng.normal(0, 2, (160, 160)).clip(-20, 20) for _ in range(4)]
    pages += [np.full((160, 160), grey) for grey in (0, 0, 255)]
    skies = [np.linspace(60, top, 160)[:, None] + np.zeros((160, 160)) for top in (200, 204, 255)]
    images = [Image.fromarray(values.astype(np.uint8)) for values in [*pages, *skies]]
    assert find_near_duplicates(thumbnails_of(images)) == []


def test_no_images_have_no_duplicates():
    assert find_near_duplicates(np.empty((0, SIDE, SIDE), np.uint8)) == []


@given(
    hashes=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4),
    bits=st.sets(st.integers(0, 63), max_size=9),
)
def test_hashes_that_differ_in_up_to_six_bits_are_candidates(hashes, bits):
    other = hashes[0] ^ sum(1 << bit for bit in bits)
    whole = np.array([*hashes, other], np.uint64)
    far = np.arange(len(whole), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # no mirror images
    first, second, mirrored = candidates(
        whole.view(np.uint8).reshape(-1, 8), far.view(np.uint8).reshape(-1, 8)
    )
    found = set(zip(first[~mirrored].tolist(), second[~mirrored].tolist(), strict=True))
    expected = {
        (i, j)
        for j in range(len(whole))
        for i in range(j)
        if int(whole[i] ^ whole[j]).bit_count() <= 6
    }
    assert found == expected
    assert ((0, len(whole) - 1) in found) == (len(bits) <= 6)


def test_duplicates_of_duplicates_are_one_group():
    originals = [photograph(seed) for seed in range(3)]
    images = [originals[0], *originals, VARIANTS["half the size"](originals[2]), originals[0]]
    images.append(ImageOps.mirror(originals[2]))
    thumbnails = thumbnails_of(images)
    groups = group_near_duplicates(thumbnails, find_near_duplicates(thumbnails))
    assert groups == {0: 0, 1: 0, 5: 0, 3: 3, 4: 3, 6: 3}


def test_an_image_between_two_groups_unites_them():
    thumbnails = thumbnails_of([photograph(0)] * 5)
    pairs = [Pair(0, 1, False), Pair(2, 3, False), Pair(1, 4, False), Pair(3, 4, False)]
    assert group_near_duplicates(thumbnails, pairs) == dict.fromkeys(range(5), 0)


def test_frames_that_drift_do_not_chain_into_one_group():
    wide = np.asarray(photograph(0, size=(1200, 160)))
    frames = thumbnails_of(Image.fromarray(wide[:, x : x + 160]) for x in range(1000))
    pairs = find_near_duplicates(frames)
    assert len({Pair(i, i + 1, mirrored=False) for i in range(999)} & set(pairs)) > 990
    groups = group_near_duplicates(frames, pairs)
    assert len(groups) > 900
    # At 160 pixels nothing of the first frame would be left in view.
    assert max(frame - first for frame, first in groups.items()) < 40
