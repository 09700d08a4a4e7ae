"""Which files are pictures: by the end of their name or, without one, by their contents.

Importing this module makes Pillow register its plugins, and pillow-heif's
where that is installed: it is no requirement.
"""

import contextlib
import stat
from collections.abc import Collection
from functools import cache
from pathlib import Path

from PIL import Image

# Kinds with a signature of their own, which Pillow decodes by itself. It also opens:
# - DIB, GBR, IM, IMT, IPTC, MCIDAS, SPIDER and TGA, which have none, or one that a damaged file
#   of another kind may have, too;
# - EPS, WMF, BUFR, GRIB, HDF5 and MPEG, which others would have to decode;
# - FITS, of whose numbers it ignores the offset and the scale.
COMMON = ("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO")
RARE = ("BLP", "CUR", "DCX", "DDS", "FLI", "FTEX", "ICNS", "MSP", "PCD", "PCX", "PIXAR", "PSD")
RARE += ("QOI", "SGI", "SUN", "XBM", "XPM", "XVTHUMB")
FORMATS = [*COMMON, *RARE]
HEIF_SUFFIXES = (".heic", ".heics", ".heif", ".heifs", ".hif")
MULTI_PICTURE = "MPO"  # a suffix of its own, but JPEG by its contents

Image.init()  # now, while there is one thread: plugins register without a lock
with contextlib.suppress(ImportError):
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS.append("HEIF")


@cache
def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of common kinds, in lower case: those of imutils, and Pillow's."""
    from imutils.paths import image_types  # brings OpenCV along: only where a folder is listed

    return frozenset([*image_types, *_suffixes({*COMMON, "HEIF", MULTI_PICTURE})])


def is_picture(path: Path) -> bool:
    """Tell by its suffix whether a file is a picture, or by its first bytes.

    These decide where there is no suffix, and where it is that of a rare kind:
    other files may have it, as clouds of points have ``.pcd``.
    """
    suffix = path.suffix.lower()
    if not suffix or suffix in _rare_suffixes():
        return _begins_like_one(path)
    return suffix in picture_suffixes()


@cache
def _rare_suffixes() -> frozenset[str]:
    return frozenset(_suffixes(RARE))


def _suffixes(kinds: Collection[str]) -> list[str]:
    return [suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds]


def _begins_like_one(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for ever
            return False
        with Image.open(path, formats=FORMATS):
            return True
    except Exception:  # Pillow's plugins raise any type of exception
        return False
