"""Read an image as the network expects it, or report why it cannot be read.

The first image puts an "ignore" for Pillow's warnings first in the process's
warning filters, since ``warnings.catch_warnings`` is not thread-safe. Pillow
warns about metadata (EXIF, private TIFF tags, transparency that RGB cannot
hold) and large images. It also only warns if a TIFF directory ends early,
which may garble the pixels: that is refused here. libtiff, one level below,
writes errors about a damaged file to stderr by itself.
"""

import contextlib
import io
import logging
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
)

from pyimagesearch.preprocessing.decoding import TO_SHOW, Decoding
from pyimagesearch.preprocessing.imagekinds import FORMATS
from pyimagesearch.preprocessing.nearduplicates import LEAST_PIXELS, SIDE, thumbnail
from pyimagesearch.preprocessing.samplerange import (
    COLOUR_16,
    COMMON_RANGES,
    FLOAT,
    GREY_16,
    Samples,
    far_off,
    mismatch,
    to_bytes,
)
from pyimagesearch.utils import InputError

WHITE_IS_ZERO = 0  # of TIFF's PhotometricInterpretation
UNSIGNED = 1  # of TIFF's SampleFormat
SEPARATE = 2  # of TIFF's PlanarConfiguration
UNCOMPRESSED = 1  # of TIFF's Compression
NO_DATA = 42113  # the tag in which GDAL writes, as text, the value for missing data
WHITE_16 = 65535
SANE = 1e30  # larger values mean missing data: in float32, usually -3.4e38

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

IGNORE_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
FILTER_LOCK = threading.Lock()

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it logs to stderr


def load_image(
    path: str | Path,
    size: tuple[int, int] | None = (224, 224),
    contents: bytes | None = None,
    decoding: Decoding = TO_SHOW,
) -> np.ndarray:
    """Read an image as 8-bit RGB of a given size.

    The pixels are those of ``keras.utils.load_img(path, target_size=size)``:
    alpha and transparency are dropped, palettes looked up, CMYK, YCbCr and
    LAB converted, grey repeated three times; the first frame of an animation
    or page of a document is used; resizing takes the nearest pixel and does
    not keep the aspect ratio.

    They differ in two ways. An image is first turned upright by its
    orientation flag; ``load_img`` does so for TIFF only. And where
    ``load_img`` clips a grey image to white or black:

    - 16-bit integers are scaled from the range of their type: 65535 becomes
      255 (4095 in a 12-bit TIFF), values between are rounded; or from the
      range chosen for the dataset.
    - floats, and 32-bit integers, have no such range: the one chosen for the
      dataset becomes [0, 255]. Values outside are clipped, and those that
      mean missing data, by TIFF's tag 42113 or as far off as -3.4e38, become
      black. If each image is scaled by itself, the smallest
      of [0, 1], [0, 255] and [0, 65535] that holds all values is taken, else
      the image's own minimum to maximum.

    The contents determine the format, not the name: one of
    `pyimagesearch.preprocessing.imagekinds.FORMATS`, up to Pillow's limit of
    179 million pixels.

    Parameters
    ----------
    path : str or Path
        File to read.
    size : tuple of int or None
        Height and width of the result, in pixels; None keeps the image's
        own.
    contents : bytes or None
        The contents of the file, if they were read already: `path` is then
        only its name.
    decoding : Decoding
        Whether to turn it, and the ranges chosen for the dataset; by
        default upright, and scaled by itself.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
        Red, green, blue in [0, 255].

    Raises
    ------
    InputError
        If the file is not an image, is truncated or detectably damaged,
        holds a number that is not finite, or has another scale than the
        dataset.
    """
    try:
        with _decoded(Path(path), contents) as decoded:
            return np.array(_as_rgb(decoded, size, decoding))
    except Exception as error:  # Pillow's plugins raise any type of exception
        raise InputError(f"{str(path)!r} cannot be read: {_reason(error)}") from error


@dataclass(frozen=True)
class Inspection:
    """What decoding an image has found.

    Attributes
    ----------
    problem : str or None
        Why `load_image` refuses it, in one line without the path.
    is_flagged : bool
        Whether it is stored turned or mirrored, by its orientation flag.
    samples : Samples or None
        The values of one with more than 8 bits per value.
    thumbnail : ndarray of uint8, shape (16, 16)
        Its grey averages, upright, see `pyimagesearch.preprocessing.nearduplicates`; blank if
        it was not decoded.
    """

    problem: str | None = None
    is_flagged: bool = False
    samples: Samples | None = None
    thumbnail: np.ndarray = field(default_factory=partial(np.zeros, (SIDE, SIDE), np.uint8))


def image_reader(decoding: Decoding) -> Callable[[Path], np.ndarray]:
    """Return a function that reads an image to show it, upright and in its own size."""
    return lambda path: load_image(path, size=None, decoding=decoding.to_show())


def inspect_image(path: str | Path, decoding: Decoding | None = None) -> Inspection:
    """Decode an image as `load_image` does, and record what a decoding is chosen by.

    The whole image is decoded. A JPEG is decoded in grey and at a reduced size,
    from all of its stream, which takes less time.

    Parameters
    ----------
    path : str or Path
        File to check.
    decoding : Decoding or None
        How it will be loaded, if already known.
    """
    try:
        with _decoded(Path(path), draft=True) as decoded:
            samples = None if decoding else _samples(decoded)
            own_range = samples and (samples.low, samples.high)
            _as_rgb(decoded, (1, 1), decoding or Decoding(float_range=own_range))
            small = np.asarray(_upright(decoded, thumbnail(decoded.image)))
            return Inspection(None, decoded.orientation in TURNS, samples, small)
    except Exception as error:
        return Inspection(_reason(error))


def check_image(path: str | Path, decoding: Decoding = TO_SHOW) -> str | None:
    """Return why `load_image` refuses an image; None if it can be loaded."""
    return inspect_image(path, decoding).problem


@dataclass(frozen=True)
class _Decoded:
    """An image in memory, with metadata of its file."""

    image: Image.Image
    orientation: int  # the flag in the file
    is_turned: bool  # by that flag, already by Pillow
    is_colour_16: bool  # in the file; Pillow has kept the upper 8 bits


@contextlib.contextmanager
def _decoded(path: Path, contents: bytes | None = None, draft: bool = False) -> Iterator[_Decoded]:
    """Decode an image; a draft of a JPEG has other pixels."""
    _ignore_pillow_warnings()
    with _open(path) if contents is None else io.BytesIO(contents) as file:
        with _recognise(file) as image:
            if draft and image.format in ("JPEG", "MPO"):
                # Agreed with the full decode on 6,000 mutated JPEGs, 1,588 of them refused
                # (Pillow 13.0, 2026).
                image.draft("L", (LEAST_PIXELS, LEAST_PIXELS))
            is_tiff = image.format == "TIFF"
            if is_tiff:
                _require_no_garbled_planes(image)
            flag = image.tag_v2.get(Base.Orientation, 1) if is_tiff else None
            is_turned = is_tiff or (image.format == "HEIF" and _heif_is_turned(image))
            is_colour_16 = _is_colour_16(image)
            image.load()
            if is_tiff:
                _require_whole_directory(image)
            yield _Decoded(image, flag or _orientation(image), is_turned, is_colour_16)
        if image.format == "PNG":
            # Decoding stops at the last pixel and compares no checksum of the data.
            with Image.open(file, formats=["PNG"]) as image:
                image.verify()


def _recognise(file: BinaryIO) -> Image.Image:
    """Open an image of any of the formats, without decoding its pixels."""
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        raise ValueError(
            f"not a supported image format, or damaged: it begins with {file.read(16)!r}"
        ) from error


def _open(path: Path) -> BinaryIO:
    """Open a regular file only: opening a FIFO would block forever."""
    if path.is_symlink() and not path.exists():
        raise ValueError(f"it is a link to {str(path.readlink())!r}, which does not exist")
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size == 0:
        raise ValueError("it is empty")
    return path.open("rb")


def _ignore_pillow_warnings() -> None:
    """Keep Pillow's warnings off the screen, and from being raised as errors."""
    if warnings.filters[:1] != [IGNORE_PILLOW]:
        with FILTER_LOCK:
            warnings.filterwarnings("ignore", module=IGNORE_PILLOW[3].pattern)


def _require_whole_directory(image: Image.Image) -> None:
    """Refuse a TIFF whose tags Pillow read only in part: a missing one may define the samples."""
    # Reading to the end of the directory moves `next` on from the directory itself.
    if image.tag_v2.next == image.tag_v2.offset:
        raise ValueError("its directory of tags is truncated or damaged")


def _require_no_garbled_planes(image: Image.Image) -> None:
    """Refuse a TIFF whose 16-bit planes Pillow 13 reads as if they had 8 bits."""
    tags = image.tag_v2
    if (
        tags.get(PLANAR_CONFIGURATION) == SEPARATE
        and tags.get(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
        and len(image.getbands()) > 1
        and max(tags.get(BITSPERSAMPLE, (1,))) > 8
    ):
        raise ValueError(
            "it has 16-bit colours in separate planes, which Pillow misreads: save it with "
            "interleaved colours, or with 8 bits"
        )


def _is_colour_16(image: Image.Image) -> bool:
    """Return whether Pillow will drop the lower 8 bits of the values, as in colour images."""
    return image.mode[0] not in "IF" and any(";16" in str(tile.args) for tile in image.tile)


def _orientation(image: Image.Image) -> int:
    """Return the flag of a decoded image: 1 is upright."""
    try:
        # pillow-heif has set the flag of what it turned to 1.
        return image.info.get("original_orientation") or image.getexif().get(Base.Orientation, 1)
    except Exception:  # damaged EXIF data raises any type; the pixels are intact
        return 1


def _heif_is_turned(image: Image.Image) -> bool:
    """Return whether its container turns it, which pillow-heif applies.

    A flag in the EXIF data alone, as Pillow writes it from an `Image.Exif`, is
    not applied but set to 1.
    """
    try:
        frame = image._heif_file[image.tell()]._c_image
        return any(name in ("irot", "imir") for name, *_ in frame.transformations)
    except AttributeError:  # of another version
        return True


@dataclass(frozen=True)
class _Wide:
    """How to read the values of a grey image with more than 8 bits."""

    kind: str
    type_white: int | None
    is_inverted: bool
    no_data: float | None

    def missing(self, values: np.ndarray) -> np.ndarray:
        """Return which values mean missing data.

        Raises
        ------
        ValueError
            If other values are not finite.
        """
        if self.no_data is None:
            missing = np.zeros(values.shape, bool)
        elif np.isnan(self.no_data):
            missing = np.isnan(values)
        else:
            with np.errstate(over="ignore"):  # the lowest float64, as a float32
                missing = values == values.dtype.type(self.no_data)
        if self.kind == FLOAT:
            if not np.isfinite(values[~missing]).all():
                raise ValueError("it holds numbers that are not finite")
            missing |= abs(values.astype(np.float64)) > SANE
        return missing


def _wide(image: Image.Image) -> _Wide | None:
    """Return how to read a decoded image's values; None in an 8-bit mode."""
    tags = image.tag_v2 if image.format == "TIFF" else {}
    if image.mode.startswith("I;16"):
        # 12 bits have mode I;16 too.
        kind, white = GREY_16, 2 ** tags.get(BITSPERSAMPLE, (16,))[0] - 1
    elif image.mode == "I" and image.format == "PPM":
        kind, white = (
            GREY_16,
            WHITE_16,
        )  # Pillow scales it from the largest value that the file names
    elif image.mode in ("I", "F"):
        kind, white = FLOAT, None
    else:
        return None
    # Pillow applies white-is-zero only up to 8 bits.
    is_inverted = tags.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO
    return _Wide(kind, white, is_inverted, _no_data(tags.get(NO_DATA), image.mode))


def _no_data(text: object, mode: str) -> float | None:
    """Return the value that means missing data in a TIFF, if its pixels can have it."""
    try:
        value = float(str(text).strip("\0 "))
    except ValueError:
        return None
    if mode == "F":
        return value
    lowest, highest = (0, 65535) if mode.startswith("I;16") else (-(2**31), 2**31 - 1)
    return value if value.is_integer() and lowest <= value <= highest else None


def _samples(decoded: _Decoded) -> Samples | None:
    """Describe the values of an image with more than 8 bits per value."""
    image, wide = decoded.image, _wide(decoded.image)
    if decoded.is_colour_16:
        return Samples.of(np.asarray(image.convert("RGB")), COLOUR_16)
    if wide is None or (wide.kind == GREY_16 and wide.type_white != WHITE_16):
        return None
    values = np.asarray(image)
    _require_signed(image, values)
    values = values[~wide.missing(values)]
    if values.size:
        return Samples.of(values, wide.kind)
    if wide.kind == FLOAT:
        raise ValueError("it holds nothing but missing data")
    return None


def _as_rgb(decoded: _Decoded, size: tuple[int, int] | None, decoding: Decoding) -> Image.Image:
    """Turn a decoded image upright, resize it, and convert it to mode RGB."""
    image, wide = decoded.image, _wide(decoded.image)
    black_white = wide and _black_white(decoded, wide, decoding)
    if image.mode.startswith("I;16"):
        image = image.convert("I")  # breaks ties between pixels as 8-bit modes do
    if decoding.upright:
        image = _upright(decoded, image)
    if size is not None:
        # Nearest pixels are the same before and after conversion, but fewer here.
        image = image.resize((size[1], size[0]), Image.Resampling.NEAREST)
    if wide:
        values = np.asarray(image)
        if decoding.per_image:
            missing = np.zeros(values.shape, bool)
        else:
            missing = wide.missing(values) | far_off(values, *black_white)
        image = Image.fromarray(to_bytes(values, *black_white, missing))
    return image.convert("RGB")


def _upright(decoded: _Decoded, image: Image.Image) -> Image.Image:
    """Turn an image, or a smaller version of it, by the flag in its file."""
    turn = TURNS.get(decoded.orientation)
    return image if turn is None or decoded.is_turned else image.transpose(turn)


def _black_white(decoded: _Decoded, wide: _Wide, decoding: Decoding) -> tuple[float, float]:
    """Choose the values that become black and white."""
    if wide.kind == GREY_16:
        decided = decoding.white_16_bit if wide.type_white == WHITE_16 else None
        black, white = 0, decided or wide.type_white
    elif decoding.per_image:
        values = np.asarray(decoded.image)
        _require_signed(decoded.image, values)
        black, white = _range_of_values(values)
    else:
        if wrong := mismatch(_samples(decoded), decoding):
            raise ValueError(wrong)
        black, white = decoding.float_range
    return (white, black) if wide.is_inverted else (black, white)


def _require_signed(image: Image.Image, values: np.ndarray) -> None:
    """Refuse negative numbers: large unsigned ones that Pillow misread."""
    is_unsigned = image.format == "TIFF" and image.tag_v2.get(SAMPLEFORMAT, (1,))[0] == UNSIGNED
    if is_unsigned and values.min() < 0:
        raise ValueError("it holds integers above 2147483647, which Pillow wraps around")


def _range_of_values(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest common range that holds all values, else their own."""
    low, high = values.min().item(), values.max().item()
    if not np.isfinite([low, high]).all():  # min and max propagate NaN
        raise ValueError("it holds numbers that are not finite")
    return next(
        ((black, white) for black, white in COMMON_RANGES if black <= low and high <= white),
        (low, high),
    )


def _reason(error: Exception) -> str:
    """Return an exception's reason in one line, without the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
