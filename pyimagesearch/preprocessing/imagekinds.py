"""Which files are images: by their suffix or, without one, by their contents.

Importing this module registers Pillow's plugins, and pillow-heif's if that is
installed: it is optional.
"""

import contextlib
import stat
from collections.abc import Collection
from functools import cache
from pathlib import Path

from PIL import Image

# Formats with a unique signature that Pillow decodes by itself. It also opens:
# - DIB, GBR, IM, IMT, IPTC, MCIDAS, SPIDER and TGA, which have no signature, or one that a damaged
#   file of another format may have, too;
# - EPS, WMF, BUFR, GRIB, HDF5 and MPEG, which need another program to decode;
# - FITS, whose offset and scale it ignores.
COMMON = ("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO")
RARE = ("BLP", "CUR", "DCX", "DDS", "FLI", "FTEX", "ICNS", "MSP", "PCD", "PCX", "PIXAR", "PSD")
RARE += ("QOI", "SGI", "SUN", "XBM", "XPM", "XVTHUMB")
FORMATS = [*COMMON, *RARE]
HEIF_SUFFIXES = (".heic", ".heics", ".heif", ".heifs", ".hif")
MULTI_PICTURE = "MPO"  # has its own suffix, but JPEG contents

Image.init()  # now, while there is one thread: plugins register without a lock
with contextlib.suppress(ImportError):
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS.append("HEIF")


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of common formats, in lower case: those of imutils, and Pillow's."""
    from imutils.paths import image_types  # imports OpenCV: only when a folder is listed

    return frozenset([*image_types, *_suffixes({*COMMON, "HEIF", MULTI_PICTURE})])


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its suffix or its first bytes.

    The bytes decide if there is no suffix, or that of a rare format: other
    files may have it, as point clouds have ``.pcd``.
    """
    suffix = path.suffix.lower()
    if not suffix or suffix in _rare_suffixes():
        return _begins_like_one(path)
    return suffix in image_suffixes()


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
