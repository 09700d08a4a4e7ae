import io
import os
import random
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyimagesearch.preprocessing import check_image, imageloader, load_image
from pyimagesearch.preprocessing.decoding import AS_STORED, TO_SHOW, Decoding
from pyimagesearch.utils import InputError

SIZE = (40, 56)  # height and width asked for; the images drawn here have 48 and 64
ORIENTATION, PHOTOMETRIC, SAMPLE_FORMAT, PLANAR = 274, 262, 339, 284  # TIFF and EXIF tags


def draw():
    """Draw a colourful, slightly noisy image: shape (48, 64, 3), uint8."""
    y, x = np.mgrid[0:48, 0:64]
    ramps = np.stack([x * 4, y * 5, (x + y) * 2], axis=-1)
    noise = np.random.default_rng(3).integers(-20, 20, ramps.shape)
    return np.clip(ramps + noise, 0, 250).astype(np.uint8)


RGB = draw()
GREY = RGB[..., 0]
WIDE = np.random.default_rng(4).integers(0, 65536, GREY.shape).astype(np.uint16)
REAL = np.random.default_rng(5).random(GREY.shape).astype(np.float32)


def encode(kind, image=RGB, mode=None, **options):
    """Return the file that Pillow writes of an array or an image."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if mode:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def quarter_turn():
    """Make metadata with an orientation flag of 90 degrees."""
    metadata = Image.Exif()
    metadata[ORIENTATION] = 6
    return metadata


def turned(n):
    return Image.fromarray(np.roll(RGB, n, axis=1))


def movie(kind, **options):
    return encode(kind, save_all=True, append_images=[turned(9), turned(20)], **options)


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of_16_bits(samples, colour_type):
    """Encode what Pillow cannot write: 16-bit samples in several channels."""
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def tiff(tags, pixels, n_directory_bytes=None):
    """Lay out a little-endian TIFF: pixels first, its directory of tags at the end."""
    tags = {256: 64, 257: 48, 259: 1, 273: 8, 277: 1, 278: 48, 279: len(pixels)} | tags
    directory = struct.pack("<H", len(tags))
    for tag, value in sorted(tags.items()):
        directory += struct.pack("<HHII", tag, 4, 1, value)
    directory = (directory + bytes(4))[:n_directory_bytes]
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory


def pack_12_bits(values):
    """Pack 0 to 4095 into 12 bits each, most significant bit first."""
    pairs = values.reshape(-1, 2).astype(np.uint32)
    joined = pairs[:, 0] << 12 | pairs[:, 1]
    return np.stack([joined >> 16, joined >> 8, joined], axis=-1).astype(np.uint8).tobytes()


def planar_tiff(planes, dtype):
    """Build a TIFF whose colours are in separate planes, each in its own strip."""
    strips = [plane.astype(dtype).tobytes() for plane in planes]
    starts = np.cumsum([8, *map(len, strips)])
    lists = struct.pack("<6I", *starts[:-1], *map(len, strips))
    directory_at = starts[-1] + len(lists)
    tags = {256: (1, 64), 257: (1, 48), 258: (1, np.dtype(dtype).itemsize * 8), 259: (1, 1)}
    tags |= {PHOTOMETRIC: (1, 2), 273: (3, starts[-1]), 277: (1, 3), 278: (1, 48)}
    tags |= {279: (3, starts[-1] + 12), PLANAR: (1, 2)}
    directory = struct.pack("<H", len(tags))
    for tag, (n, value) in sorted(tags.items()):
        directory += struct.pack("<HHII", tag, 4, n, value)
    header = b"II*\0" + struct.pack("<I", directory_at)
    return header + b"".join(strips) + lists + directory + bytes(4)


def write(tmp_path, data, name="image.jpg"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def load_img(path, size):
    """Load as ``keras.utils.load_img(path, target_size=size)``, without keras."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image = image.convert("RGB")
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.NEAREST))


def nearest(grey, size):
    """Resize an 8-bit grey array as ``load_img`` does, for red, green and blue."""
    grey = Image.fromarray(grey).resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.repeat(np.asarray(grey)[..., None], 3, axis=-1)


def reason(path):
    """Return why an image is refused, after checking that both functions agree."""
    with pytest.raises(InputError) as caught:
        load_image(path, SIZE)
    why = check_image(path)
    assert str(caught.value) == f"'{path}' cannot be read: {why}"
    assert "\n" not in why
    assert caught.value.__cause__ is not None
    return why


SOUND = {
    "jpeg": encode("JPEG"),
    "jpeg-progressive": encode("JPEG", progressive=True),
    "jpeg-grey": encode("JPEG", GREY),
    "jpeg-cmyk": encode("JPEG", mode="CMYK"),
    "jpeg-rotated-by-exif": encode("JPEG", exif=quarter_turn()),
    "jpeg-of-two-views": movie("MPO"),
    "jpeg-with-bytes-behind-its-end": encode("JPEG") + b"appended",
    "png": encode("PNG"),
    "png-rotated-by-exif": encode("PNG", exif=quarter_turn()),
    "png-alpha": encode("PNG", np.dstack([RGB, GREY])),
    "png-grey": encode("PNG", GREY),
    "png-grey-alpha": encode("PNG", mode="LA"),
    "png-grey-transparent": encode("PNG", GREY, transparency=40),
    "png-one-bit": encode("PNG", mode="1"),
    "png-palette": encode("PNG", mode="P"),
    "png-palette-alpha": encode("PNG", mode="P", transparency=bytes(range(256))),
    "png-palette-transparent": encode("PNG", mode="P", transparency=3),
    "png-16-bit-rgb": png_of_16_bits(np.dstack([WIDE, WIDE.T.reshape(48, 64), WIDE]), 2),
    "png-16-bit-grey-alpha": png_of_16_bits(np.dstack([WIDE, WIDE]), 4),
    "png-animated": movie("PNG"),
    "gif": encode("GIF"),
    "gif-animated": movie("GIF"),
    "webp": encode("WEBP"),
    "webp-animated": movie("WEBP"),
    "avif": encode("AVIF"),
    "jpeg2000": encode("JPEG2000"),
    "bmp": encode("BMP"),
    "bmp-palette": encode("BMP", mode="P"),
    "tiff": encode("TIFF"),
    "tiff-lzw": encode("TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encode("TIFF", compression="jpeg"),
    "tiff-fax": encode("TIFF", mode="1", compression="group4"),
    "tiff-alpha": encode("TIFF", mode="RGBA"),
    "tiff-palette": encode("TIFF", mode="P"),
    "tiff-palette-alpha": encode("TIFF", Image.fromarray(RGB).convert("RGBA"), mode="PA"),
    "tiff-cmyk": encode("TIFF", mode="CMYK"),
    "tiff-ycbcr": encode("TIFF", mode="YCbCr"),
    "tiff-lab": encode("TIFF", mode="LAB"),
    "tiff-white-is-zero": tiff({258: 8, PHOTOMETRIC: 0}, GREY.tobytes()),
    "tiff-rotated": encode("TIFF", tiffinfo={ORIENTATION: 6}),
    "tiff-of-three-pages": movie("TIFF"),
    "one-pixel": encode("PNG", RGB[:1, :1]),
    "one-row": encode("JPEG", RGB[:1]),
    "the-size-asked-for": encode("PNG", RGB[: SIZE[0], : SIZE[1]]),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_image_has_the_pixels_of_load_img(tmp_path, kind):
    path = write(tmp_path, SOUND[kind])
    # A flag in a JPEG or PNG is ignored by load_img: only 1.0.0 did so, too.
    for decoding in (AS_STORED,) if "by-exif" in kind else (AS_STORED, TO_SHOW, Decoding()):
        pixels = load_image(path, SIZE, decoding=decoding)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (*SIZE, 3))
        np.testing.assert_array_equal(pixels, load_img(path, SIZE))
        assert check_image(path, decoding) is None


@pytest.mark.filterwarnings("ignore")  # keras's backend and load_img itself may warn
def test_the_pixels_of_load_img_are_those_of_keras(tmp_path):
    import keras

    for kind, data in SOUND.items():
        path = write(tmp_path, data)
        expected = np.asarray(keras.utils.load_img(path, target_size=SIZE))
        pixels = load_image(path, SIZE, decoding=AS_STORED)
        np.testing.assert_array_equal(pixels, expected, err_msg=kind)


# Each file with the array that it holds and the numbers that become black and white.
WIDE_GREY = {
    "png-16-bit": (encode("PNG", WIDE), WIDE, 0, 65535),
    "png-16-bit-dark": (encode("PNG", WIDE // 300), WIDE // 300, 0, 65535),
    "png-16-bit-transparent": (encode("PNG", WIDE, transparency=9), WIDE, 0, 65535),
    "jpeg2000-16-bit": (encode("JPEG2000", WIDE), WIDE, 0, 65535),
    "tiff-16-bit": (encode("TIFF", WIDE), WIDE, 0, 65535),
    "tiff-16-bit-lzw": (encode("TIFF", WIDE, compression="tiff_lzw"), WIDE, 0, 65535),
    "tiff-16-bit-big-endian": (
        encode("TIFF", Image.frombytes("I;16B", (64, 48), WIDE.astype(">u2").tobytes())),
        WIDE,
        0,
        65535,
    ),
    "tiff-16-bit-white-is-zero": (
        tiff({258: 16, PHOTOMETRIC: 0}, WIDE.astype("<u2").tobytes()),
        WIDE,
        65535,
        0,
    ),
    "tiff-16-bit-signed": (
        tiff({258: 16, PHOTOMETRIC: 1, SAMPLE_FORMAT: 2}, (WIDE // 2).astype("<i2").tobytes()),
        WIDE // 2,
        0,
        65535,
    ),
    "tiff-12-bit": (
        tiff({258: 12, PHOTOMETRIC: 1}, pack_12_bits(WIDE // 16)),
        WIDE // 16,
        0,
        4095,
    ),
    "tiff-32-bit-mask": (encode("TIFF", WIDE.astype(np.int32) % 2), WIDE % 2, 0, 1),
    "tiff-32-bit-of-8": (encode("TIFF", WIDE.astype(np.int32) % 256), WIDE % 256, 0, 255),
    "tiff-32-bit-of-16": (encode("TIFF", WIDE.astype(np.int32)), WIDE, 0, 65535),
    "tiff-32-bit-wider": (
        encode("TIFF", WIDE.astype(np.int32) * 9 - 4000),
        WIDE * 9.0 - 4000,
        None,
        None,
    ),
    "tiff-float-to-1": (encode("TIFF", REAL), REAL, 0, 1),
    "tiff-float-to-255": (encode("TIFF", REAL * 255), REAL * 255, 0, 255),
    "tiff-float-to-65535": (encode("TIFF", REAL * 65535), REAL * 65535, 0, 65535),
    "tiff-float-with-negatives": (encode("TIFF", REAL - 0.5), REAL - np.float32(0.5), None, None),
    "tiff-float-larger": (
        encode("TIFF", REAL * np.float32(1e38)),
        REAL * np.float32(1e38),
        None,
        None,
    ),
    "tiff-float-white-is-zero": (
        tiff({258: 32, PHOTOMETRIC: 0, SAMPLE_FORMAT: 3}, REAL.tobytes()),
        REAL,
        1,
        0,
    ),
    "tiff-float-constant": (encode("TIFF", REAL * 0 + 0.25), REAL * 0 + 0.25, 0, 1),
}


@pytest.mark.parametrize("kind", WIDE_GREY)
def test_a_wide_grey_image_is_scaled_to_8_bits(tmp_path, kind):
    data, values, black, white = WIDE_GREY[kind]
    values = values.astype(np.float64)
    if black is None:
        black, white = values.min(), values.max()
    expected = np.rint((values - black) / (white - black) * 255).astype(np.uint8)
    path = write(tmp_path, data)
    np.testing.assert_array_equal(load_image(path, SIZE), nearest(expected, SIZE))
    assert check_image(path) is None


def test_8_bit_colours_in_planes_are_read_and_16_bit_ones_which_pillow_misreads_refused(tmp_path):
    planes = np.moveaxis(RGB, 2, 0)
    path = write(tmp_path, planar_tiff(planes, "<u1"))
    np.testing.assert_array_equal(load_image(path, size=None), RGB)
    why = reason(write(tmp_path, planar_tiff(planes.astype(np.uint16) * 257, "<u2")))
    assert why.startswith("it has 16-bit colours in separate planes, which Pillow misreads: save")


@pytest.mark.parametrize("value", [-3.0, 1e6])
def test_a_constant_image_outside_the_common_ranges_is_black(tmp_path, value):
    path = write(tmp_path, encode("TIFF", np.full((5, 7), value, dtype=np.float32)))
    np.testing.assert_array_equal(load_image(path, SIZE), np.zeros((*SIZE, 3), dtype=np.uint8))


def with_a_pixel(value):
    values = REAL.copy()
    values[20, 30] = value
    return values


def jpeg_that_claims(width, height):
    data = bytearray(encode("JPEG"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def flipped(data, position):
    """Return data with one bit of the byte at a position turned over."""
    return data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]


def png_with_a_false_checksum():
    data = encode("PNG", compress_level=0)
    end_of_data = data.index(b"IEND") - 4
    return flipped(data, end_of_data - 1)


FLOAT_TAGS = {258: 32, PHOTOMETRIC: 1, SAMPLE_FORMAT: 3}

REFUSED = {
    "empty": (b"", "it is empty"),
    "html": (b"<!DOCTYPE html><p>404", "it begins with b'<!DOCTYPE html><'"),
    "git-lfs-pointer": (b"version https://git-lfs", "it begins with b'version https://'"),
    "zeros": (bytes(5000), "not a supported image format, or damaged: it begins"),
    "kind-without-a-signature": (encode("TGA"), "not a supported image format"),
    "postscript": (encode("EPS"), "not a supported image format"),
    "jpeg-header-only": (encode("JPEG")[:12], "Truncated File Read"),
    "jpeg-cut-in-half": (encode("JPEG")[:900], "truncated"),
    "jpeg-cut-by-two-bytes": (encode("JPEG")[:-2], "truncated"),
    "progressive-cut-by-two-bytes": (encode("JPEG", progressive=True)[:-2], "truncated"),
    "jpeg-of-4-gigapixels": (jpeg_that_claims(65000, 65000), "exceeds limit of 178956970"),
    "png-cut-in-half": (encode("PNG")[:4000], "truncated"),
    "png-cut-behind-its-pixels": (encode("PNG")[:-12], "truncated"),
    "png-with-a-false-checksum": (png_with_a_false_checksum(), "bad header checksum in b'IDAT'"),
    "gif-cut-by-40-bytes": (encode("GIF")[:-40], "truncated"),
    "bmp-cut-by-a-byte": (encode("BMP")[:-1], "truncated"),
    "webp-cut-in-half": (encode("WEBP")[:600], "decode"),
    "tiff-cut-by-a-byte": (
        tiff({258: 8, PHOTOMETRIC: 1}, GREY.tobytes())[:-1],
        "its directory of tags is truncated or damaged",
    ),
    # Without its last tag, which Pillow does without, floats read as integers.
    "tiff-cut-by-a-tag": (
        tiff(FLOAT_TAGS, REAL.tobytes(), n_directory_bytes=-16),
        "its directory of tags is truncated or damaged",
    ),
    "tiff-deflated-with-a-flipped-bit": (
        flipped(encode("TIFF", compression="tiff_adobe_deflate"), 3000),
        "decoder error",
    ),
    "tiff-float-nan": (encode("TIFF", with_a_pixel(np.nan)), "it holds numbers that are not"),
    "tiff-float-infinite": (encode("TIFF", with_a_pixel(-np.inf)), "it holds numbers that are not"),
    "tiff-unsigned-beyond-int32": (
        tiff({258: 32, PHOTOMETRIC: 1}, (WIDE.astype("<u4") * 65537).tobytes()),
        "it holds integers above 2147483647",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_damaged_image_is_refused_with_the_reason(tmp_path, kind):
    data, why = REFUSED[kind]
    assert why in reason(write(tmp_path, data))


def test_what_is_not_a_file_is_refused_with_the_reason(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to("gone.jpg")
    assert reason(tmp_path / "folder.jpg") == "it is a folder"
    assert reason(tmp_path / "dangling.jpg") == "it is a link to 'gone.jpg', which does not exist"
    assert reason(tmp_path / "missing.jpg") == "no such file or directory"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")
    found = []
    checker = threading.Thread(
        target=lambda: found.append(check_image(tmp_path / "fifo.jpg")), daemon=True
    )
    checker.start()
    checker.join(timeout=10)
    assert found == ["it is not a regular file"]


def test_a_file_without_permission_is_refused_with_the_reason(tmp_path, monkeypatch):
    path = write(tmp_path, SOUND["jpeg"])

    def refuse(self, mode):  # root may read every file, so a mode of 000 would not do
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert reason(path) == "permission denied"


@pytest.mark.parametrize("exception", [MemoryError(), struct.error("two\nlines"), KeyError(257)])
def test_any_exception_of_pillow_is_an_unreadable_image(tmp_path, monkeypatch, exception):
    def fail(*args, **kwargs):
        raise exception

    monkeypatch.setattr(Image, "open", fail)
    expected = "MemoryError" if isinstance(exception, MemoryError) else "two lines"
    expected = "257" if isinstance(exception, KeyError) else expected
    assert reason(write(tmp_path, SOUND["jpeg"])) == expected


def test_interrupting_is_not_an_unreadable_image(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image, "open", interrupt)
    path = write(tmp_path, SOUND["jpeg"])
    for function in (load_image, check_image):
        with pytest.raises(KeyboardInterrupt):
            function(path)


def test_an_image_is_224_by_224_by_default(tmp_path):
    assert load_image(str(write(tmp_path, SOUND["jpeg"]))).shape == (224, 224, 3)


def test_pixels_may_be_changed(tmp_path):
    pixels = load_image(write(tmp_path, SOUND["the-size-asked-for"]), SIZE)
    pixels += 1
    np.testing.assert_array_equal(pixels, RGB[: SIZE[0], : SIZE[1]] + 1)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-cmyk", "jpeg-of-two-views", "jpeg-progressive"])
def test_every_beginning_of_a_jpeg_is_refused(tmp_path, kind):
    data = SOUND[kind][: 1 + SOUND[kind].rindex(b"\xff\xd9")]
    if kind == "jpeg-of-two-views":  # only the first image of the file counts
        data = data[: data.index(b"\xff\xd9\xff\xd8") + 1]
    for n_bytes in range(1, len(data) + 1, 7):
        reason(write(tmp_path, data[:n_bytes]))
    reason(write(tmp_path, data))


def test_checking_makes_only_a_part_of_a_jpegs_pixels_and_no_colours(tmp_path, monkeypatch):
    sizes = []
    as_rgb = imageloader._as_rgb

    def remember(decoded, size, decoding):
        sizes.append((decoded.image.mode, *decoded.image.size))
        return as_rgb(decoded, size, decoding)

    monkeypatch.setattr(imageloader, "_as_rgb", remember)
    path = tmp_path / "large.jpg"
    Image.new("RGB", (1200, 600), "red").save(path)
    check_image(path)
    load_image(path)
    assert sizes == [("L", 1200 // 4, 600 // 4), ("RGB", 1200, 600)]


def test_files_are_closed_whether_they_can_be_read_or_not(tmp_path, monkeypatch):
    opened = []
    path_open = Path.open

    def remember(self, mode):
        opened.append(path_open(self, mode))
        return opened[-1]

    monkeypatch.setattr(Path, "open", remember)
    for data in (SOUND["jpeg"], SOUND["png"], SOUND["tiff-lzw"], REFUSED["jpeg-cut-in-half"][0]):
        path = tmp_path / "image.jpg"
        path.write_bytes(data)
        opened.clear()
        check_image(path)
        assert [file.closed for file in opened] == [True]


@pytest.mark.parametrize("mode", ["always", "error"])
def test_pillow_writes_nothing_to_stderr(tmp_path, mode):
    warned = write(tmp_path, SOUND["png-palette-alpha"], "warned.png")
    logged = write(
        tmp_path, tiff({258: 8, 277: 5000, PHOTOMETRIC: 1}, GREY.tobytes()), "logged.tif"
    )
    code = (
        "import sys; from pyimagesearch.preprocessing import check_image, load_image; "
        "load_image(sys.argv[1]); print(check_image(sys.argv[1])); print(check_image(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", mode, "-c", code, warned, logged],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("None\nnot a supported image format")
    assert done.returncode == 0


def test_threads_get_the_pixels_that_one_thread_gets(tmp_path):
    paths = [write(tmp_path, data, f"{kind}.jpg") for kind, data in SOUND.items()]
    expected = [load_image(path, SIZE) for path in paths]
    with warnings.catch_warnings():  # where the first filter has to be set up in a race
        warnings.simplefilter("error")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda path: load_image(path, SIZE), paths * 5))
    for pixels, right in zip(found, expected * 5, strict=True):
        np.testing.assert_array_equal(pixels, right)


def mutate(rng, data):
    """Flip bits, cut, insert or delete bytes: more often than not in the header."""
    data = bytearray(data)
    end = len(data) if rng.random() < 0.5 else min(len(data), 300)
    place = rng.randrange(end)
    kind = rng.choice(["flip", "flip", "cut", "insert", "delete"])
    if kind == "cut":
        del data[rng.randrange(len(data)) :]
    elif kind == "insert":
        data[place:place] = rng.randbytes(rng.randrange(1, 20))
    elif kind == "delete":
        del data[place : place + rng.randrange(1, 50)]
    else:
        for _ in range(rng.choice([1, 2, 5, 20])):
            data[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(data)


MUTATED = ["jpeg", "jpeg-progressive", "jpeg-cmyk", "png", "png-palette-alpha", "bmp", "tiff"]
MUTATED += ["tiff-lzw", "tiff-jpeg", "tiff-rotated"]
MUTATED_WIDE = ["png-16-bit", "tiff-16-bit", "tiff-16-bit-lzw", "tiff-float-to-1"]


@pytest.mark.slow
def test_1000_mutated_images_are_read_or_refused_but_never_turn_white(tmp_path):
    rng = random.Random(1)
    originals = [SOUND[kind] for kind in MUTATED] + [WIDE_GREY[kind][0] for kind in MUTATED_WIDE]
    path = tmp_path / "image.jpg"
    n_read = 0
    for case in range(1000):
        path.write_bytes(mutate(rng, originals[case % len(originals)]))
        start = time.monotonic()
        why = check_image(path)
        if why is None:
            assert load_image(path, SIZE).min() < 255, case
            n_read += 1
        else:
            assert reason(path) == why, case
        assert time.monotonic() - start < 10, case
    assert 200 < n_read < 800  # neither half is vacuous


def test_both_ways_of_importing_work():
    from pyimagesearch.preprocessing import imagepaths

    assert imageloader.load_image is load_image
    assert imagepaths.list_labelled_images.__name__ == "list_labelled_images"
