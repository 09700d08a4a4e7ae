"""Read a picture as the network wants it, or say why it cannot be read.

The first picture puts an "ignore" for Pillow's warnings in front of the
process's warning filters, since ``warnings.catch_warnings`` is not safe in
threads. Pillow warns of metadata (EXIF, private TIFF tags, transparency that
RGB has no room for) and of large pictures. It also only warns where a TIFF
directory ends early, which may garble the pixels: that is refused here.
libtiff, one level below, writes its complaints about a damaged file to
stderr by itself.
"""

import io
import logging
import re
import stat
import threading
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from pyimagesearch.preprocessing.imagekinds import FORMATS
from pyimagesearch.utils import InputError

# Ranges in which float and 32-bit grey pictures are commonly written.
COMMON_RANGES = ((0, 1), (0, 255), (0, 65535))

WHITE_IS_ZERO = 0  # of TIFF's PhotometricInterpretation
UNSIGNED = 1  # of TIFF's SampleFormat

IGNORE_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
FILTER_LOCK = threading.Lock()

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it logs to stderr


def load_image(
    path: str | Path, size: tuple[int, int] | None = (224, 224), contents: bytes | None = None
) -> np.ndarray:
    """Read a picture as 8-bit RGB of a given size.

    The pixels are those of ``keras.utils.load_img(path, target_size=size)``:
    alpha and transparency are dropped, palettes looked up, CMYK, YCbCr and
    LAB converted, grey repeated three times; of an animation or a document
    the first frame counts; EXIF orientation is ignored in a JPEG or PNG but
    obeyed in a TIFF; resizing takes the nearest pixel and does not keep the
    aspect ratio.

    They differ where ``load_img`` clips a grey picture to white or black:

    - 16-bit integers are scaled from the range of their type: 65535 becomes
      255 (4095 in a 12-bit TIFF), values between are rounded.
    - floats, and 32-bit integers, have no such range: the smallest of [0, 1],
      [0, 255] and [0, 65535] that holds all values becomes [0, 255], else
      the picture's own minimum to maximum does. One value throughout, outside
      those ranges, becomes black.

    The contents decide on the format, not the name: JPEG, PNG, BMP, TIFF, GIF,
    WebP, AVIF or JPEG 2000, and HEIF where pillow-heif is installed, up to
    Pillow's limit of 179 million pixels.

    Parameters
    ----------
    path : str or Path
        File to read.
    size : tuple of int or None
        Height and width of the result, in pixels; None keeps those of the
        picture.
    contents : bytes or None
        What is in the file, if that has been read already: `path` then only
        names it.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
        Red, green, blue in [0, 255].

    Raises
    ------
    InputError
        If the file is not a picture, is cut short or is damaged as far as
        its format tells, or holds a number that is not finite.
    """
    try:
        return np.array(_read_rgb(path, size, contents=contents))
    except Exception as error:  # Pillow's plugins raise any type of exception
        raise InputError(f"{str(path)!r} cannot be read: {_reason(error)}") from error


def check_image(path: str | Path) -> str | None:
    """Tell why `load_image` would refuse a picture.

    The whole picture is decoded. A JPEG's pixels are made at an eighth of its
    size, from all of its stream, which takes less time.

    Parameters
    ----------
    path : str or Path
        File to check.

    Returns
    -------
    str or None
        The reason, in one line without the path; None if it can be loaded.
    """
    try:
        _read_rgb(path, size=(1, 1), draft=True)
    except Exception as error:
        return _reason(error)
    return None


def _read_rgb(
    path: str | Path,
    size: tuple[int, int] | None,
    draft: bool = False,
    contents: bytes | None = None,
) -> Image.Image:
    """Decode a file to mode RGB; a draft of a JPEG has other pixels."""
    _ignore_pillow_warnings()
    with _open(Path(path)) if contents is None else io.BytesIO(contents) as file:
        with _recognise(file) as image:
            if draft:
                # Agreed with the full decode on 305,387 mutated JPEGs (Pillow 13.0, 2026).
                image.draft(None, (1, 1))
            image.load()
            if image.format == "TIFF":
                _require_whole_directory(image)
            rgb = _as_rgb(image, size)
        if image.format == "PNG":
            # Decoding stops at the last pixel and compares no checksum of the data.
            with Image.open(file, formats=["PNG"]) as image:
                image.verify()
    return rgb


def _recognise(file: BinaryIO) -> Image.Image:
    """Open a picture of any of the formats, its pixels not decoded yet."""
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        raise ValueError(
            f"not a kind of picture that is read here, or damaged: it begins with {file.read(16)!r}"
        ) from error


def _open(path: Path) -> BinaryIO:
    """Open a regular file only, since opening a FIFO would wait for ever."""
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
    """Refuse a TIFF whose tags Pillow read in part: one may say what a sample is."""
    # Reading to the end of the directory moves `next` on from the directory itself.
    if image.tag_v2.next == image.tag_v2.offset:
        raise ValueError("its directory of tags is cut short or damaged")


def _as_rgb(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """Resize a decoded picture and convert it to mode RGB."""
    sample_range = _sample_range(image)
    if image.mode.startswith("I;16"):
        image = image.convert("I")  # which breaks ties between pixels as 8-bit modes do
    if size is not None:
        # Nearest pixels are the same before and after conversion, and fewer here.
        image = image.resize((size[1], size[0]), Image.Resampling.NEAREST)
    if sample_range:
        image = Image.fromarray(_scale_to_byte(np.asarray(image), *sample_range))
    return image.convert("RGB")


def _sample_range(image: Image.Image) -> tuple[float, float] | None:
    """Choose the numbers that become black and white; None in an 8-bit mode."""
    if image.mode.startswith("I;16"):
        black, white = 0, _largest_sample(image)
    elif image.mode in ("I", "F"):
        black, white = _range_of_values(np.asarray(image))
        if black < 0 and _is_unsigned(image):
            raise ValueError("it holds integers above 2147483647, which Pillow wraps around")
    else:
        return None
    # Pillow heeds white-is-zero in 8 bits and fewer only.
    if image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO:
        black, white = white, black
    return black, white


def _largest_sample(image: Image.Image) -> int:
    """Return the largest number that a sample of a 16-bit mode can be."""
    if image.format != "TIFF":
        return 65535
    return 2 ** image.tag_v2[BITSPERSAMPLE][0] - 1  # 12 bits come as mode I;16 too


def _is_unsigned(image: Image.Image) -> bool:
    """Tell whether negative numbers are large ones that Pillow misread."""
    return image.format == "TIFF" and image.tag_v2.get(SAMPLEFORMAT, (1,))[0] == UNSIGNED


def _range_of_values(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest common range that holds all values, else their own."""
    low, high = values.min().item(), values.max().item()
    if not np.isfinite([low, high]).all():  # min and max pass a NaN on
        raise ValueError("it holds numbers that are not finite")
    return next(
        ((black, white) for black, white in COMMON_RANGES if black <= low and high <= white),
        (low, high),
    )


def _scale_to_byte(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Map numbers from [black, white] to uint8, rounding to the nearest."""
    span = white - black or 1  # a constant picture has no span, and is black
    return np.rint((values.astype(np.float64) - black) * (255 / span)).astype(np.uint8)


def _reason(error: Exception) -> str:
    """Put an exception into one line that does not repeat the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
