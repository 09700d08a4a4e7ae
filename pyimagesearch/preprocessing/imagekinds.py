"""Which files are pictures: by the end of their name or, without one, by their contents.

Importing this module makes Pillow register its plugins, and pillow-heif's
where that is installed: it is no requirement.
"""

import contextlib
import stat
from functools import cache
from pathlib import Path

from PIL import Image

# Kinds with a signature of their own. Pillow also opens kinds without one, TGA
# and IPTC, as which a damaged JPEG may pass, and hands EPS to Ghostscript.
FORMATS = ["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF", "JPEG2000"]
HEIF_SUFFIXES = (".heic", ".heics", ".heif", ".heifs", ".hif")
MULTI_PICTURE = "MPO"  # a suffix of its own, but JPEG by its contents

Image.init()  # now, while there is one thread: plugins register without a lock
with contextlib.suppress(ImportError):
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS.append("HEIF")


@cache
def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of pictures, in lower case: those of imutils, and Pillow's."""
    from imutils.paths import image_types  # brings OpenCV along: only where a folder is listed

    formats = {*FORMATS, MULTI_PICTURE}
    read = (suffix for suffix, kind in Image.registered_extensions().items() if kind in formats)
    return frozenset([*image_types, *read])


def is_picture(path: Path) -> bool:
    """Tell by its suffix whether a file is a picture, or by its first bytes if it has none."""
    return path.suffix.lower() in picture_suffixes() if path.suffix else _begins_like_one(path)


def _begins_like_one(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for ever
            return False
        with Image.open(path, formats=FORMATS):
            return True
    except Exception:  # Pillow's plugins raise any type of exception
        return False
