"""Each supported format, in a file written by Pillow, or built here where Pillow cannot."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from pyimagesearch.preprocessing import check_image, list_labelled_images, load_image
from pyimagesearch.preprocessing.imagekinds import COMMON, FORMATS, RARE

HEIGHT, WIDTH = 32, 48
SIZE = (HEIGHT, WIDTH)


def draw(n_colours=256):
    """Draw four quadrants in colours of their own, which few bits and small palettes can hold."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:16, :24], pixels[:16, 24:] = (255, 0, 0), (0, 255, 0)
    pixels[16:, :24], pixels[16:, 24:] = (0, 0, 255), (255, 255, 255)
    return pixels


RGB = draw()
GREY = np.where(RGB.all(axis=2), 255, 0).astype(np.uint8)  # one quadrant white
INDICES = (RGB != 0) @ [1, 2, 4]
PALETTE = [(255 * (i & 1), 255 * (i >> 1 & 1), 255 * (i >> 2)) for i in range(8)]


def saved(kind, pixels=RGB, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def cursor():
    """Lay out an icon's bitmap as a cursor's: an icon has type 1, a cursor 2."""
    icon = bytearray(saved("ICO", sizes=[(WIDTH, HEIGHT)], bitmap_format="bmp"))
    icon[2] = 2
    return bytes(icon)


def dcx():
    return struct.pack("<III", 0x3ADE68B1, 12, 0) + saved("PCX")


def fli():
    """Lay out one frame: its palette in full bytes, its pixels uncompressed."""
    colours = struct.pack("<HBB", 1, 0, 8) + bytes(np.array(PALETTE, np.uint8))
    palette = struct.pack("<IH", 6 + len(colours), 4) + colours
    pixels = INDICES.astype(np.uint8).tobytes()
    copy = struct.pack("<IH", 6 + len(pixels), 16) + pixels
    frame = struct.pack("<IHH8x", 16 + len(palette) + len(copy), 0xF1FA, 2) + palette + copy
    header = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF12, 1, WIDTH, HEIGHT, 8, 0, 0)
    return header.ljust(128, b"\0") + frame


def ftex():
    pixels = RGB.tobytes()
    return b"FTEX" + struct.pack("<9i", 0, WIDTH, HEIGHT, 1, 1, 1, 36, 0, len(pixels)) + pixels


def photo_cd():
    """Lay out white, in luma and half as many chroma values."""
    file = bytearray(96 * 2048)
    file[2048:2052] = b"PCD_"
    rows = bytes([255]) * (768 * 2) + bytes([156]) * 384 + bytes([137]) * 384
    return bytes(file) + rows * 256


def pixar():
    header = bytearray(1024)
    header[:4] = b"\200\350\0\0"
    struct.pack_into("<HH", header, 416, HEIGHT, WIDTH)
    struct.pack_into("<HH", header, 424, 14, 2)
    return bytes(header) + RGB.tobytes()


def photoshop():
    planes = np.moveaxis(RGB, 2, 0).tobytes()
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, HEIGHT, WIDTH, 8, 3)
    return header + bytes(12) + struct.pack(">H", 0) + planes


def sun():
    header = struct.pack(">8I", 0x59A66A95, WIDTH, HEIGHT, 24, RGB.size, 3, 0, 0)
    return header + RGB.tobytes()


def xpm():
    lines = ["/* XPM */", "static char *image[] = {", f'"{WIDTH} {HEIGHT} 8 1",']
    lines += [f'"{i} c #{r:02x}{g:02x}{b:02x}",' for i, (r, g, b) in enumerate(PALETTE)]
    lines += ['"' + "".join(map(str, row)) + '",' for row in INDICES.tolist()]
    return "\n".join([*lines, "};", ""]).encode()


def thumbnail():
    """Lay out what xv keeps: 3 bits of red and green, 2 of blue."""
    packed = (RGB >> (5, 5, 6)) @ [32, 4, 1]
    return b"P7 332\n#IMGINFO\n%d %d 255\n" % (WIDTH, HEIGHT) + packed.astype(np.uint8).tobytes()


WHITE = np.full_like(RGB, 255)
BLACK_AND_WHITE = np.repeat(GREY[..., None], 3, axis=2)

FILES = {
    "blp": ("BLP", saved("BLP", mode="P"), RGB),
    "cur": ("CUR", cursor(), RGB),
    "dcx": ("DCX", dcx(), RGB),
    "dds": ("DDS", saved("DDS"), RGB),
    "dds-bc1": ("DDS", saved("DDS", mode="RGBA", pixel_format="DXT1"), RGB),
    "fli": ("FLI", fli(), RGB),
    "ftex": ("FTEX", ftex(), RGB),
    "icns": ("ICNS", saved("ICNS", np.tile(RGB[8:24, 16:32], (8, 8, 1))), None),
    "ico": ("ICO", saved("ICO", sizes=[(WIDTH, HEIGHT)]), RGB),
    "ico-bmp": ("ICO", saved("ICO", sizes=[(WIDTH, HEIGHT)], bitmap_format="bmp"), RGB),
    "msp": ("MSP", saved("MSP", GREY, mode="1"), BLACK_AND_WHITE),
    "pcd": ("PCD", photo_cd(), WHITE),
    "pcx": ("PCX", saved("PCX"), RGB),
    "pixar": ("PIXAR", pixar(), RGB),
    "pbm": ("PPM", saved("PPM", GREY, mode="1"), BLACK_AND_WHITE),
    "pgm": ("PPM", saved("PPM", GREY), BLACK_AND_WHITE),
    "pgm-plain": ("PPM", b"P2 48 32 15 " + b" ".join(b"%d" % (v // 17) for v in GREY.flat), "grey"),
    "pgm-16-bit": ("PPM", saved("PPM", GREY.astype(np.uint16) * 257), BLACK_AND_WHITE),
    "pfm": ("PPM", saved("PPM", GREY.astype(np.float32)), BLACK_AND_WHITE),
    "ppm": ("PPM", saved("PPM"), RGB),
    "ppm-16-bit": ("PPM", b"P6 48 32 65535\n" + RGB.repeat(2, axis=2).tobytes(), RGB),
    "psd": ("PSD", photoshop(), RGB),
    "qoi": ("QOI", saved("QOI"), RGB),
    "sgi": ("SGI", saved("SGI"), RGB),
    "sun": ("SUN", sun(), RGB),
    "xbm": ("XBM", saved("XBM", GREY, mode="1"), BLACK_AND_WHITE),
    "xpm": ("XPM", xpm(), RGB),
    "xv-thumbnail": ("XVTHUMB", thumbnail(), RGB),
}


def write(tmp_path, data, name="image.jpg"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_each_kind_is_tried_here_or_in_the_tests_of_the_loader():
    elsewhere = {"JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF", "JPEG2000", "HEIF"}
    assert {kind for kind, *_ in FILES.values()} | elsewhere == {*FORMATS, "HEIF"}


@pytest.mark.parametrize("name", FILES)
def test_a_kind_with_a_signature_is_read_under_any_name(tmp_path, name):
    _, data, expected = FILES[name]
    path = write(tmp_path, data)
    assert check_image(path) is None
    if expected is None:
        return
    expected = BLACK_AND_WHITE if isinstance(expected, str) else expected
    np.testing.assert_array_equal(load_image(path, SIZE), expected)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_of_it_is_refused(tmp_path, name):
    data = FILES[name][1]
    for n_bytes in (1, 4, len(data) // 2, len(data) * 3 // 4):
        assert check_image(write(tmp_path, data[:n_bytes])) is not None


@pytest.mark.parametrize("name", FILES)
def test_it_is_found_in_a_folder_by_its_suffix_and_without(tmp_path, name):
    kind, data, _ = FILES[name]
    suffixes = [suffix for suffix, one in Image.registered_extensions().items() if one == kind]
    for number, suffix in enumerate(["", *suffixes]):
        write(tmp_path, data, f"a/{number}{suffix.upper()}")
    write(tmp_path, FILES["qoi"][1], "b/1.qoi")
    assert len(list_labelled_images(tmp_path)) == len(suffixes) + 2


@pytest.mark.parametrize("name", ["scan.pcd", "frame.rgb", "layers.psd", "texture.dds"])
def test_a_file_of_another_kind_with_the_suffix_of_a_rare_one_is_skipped(tmp_path, name):
    write(tmp_path, FILES["ppm"][1], "a/1.ppm")
    write(tmp_path, b"# .PCD v.7 - Point Cloud Data\n", f"a/{name}")
    images = list_labelled_images(tmp_path)
    assert images.paths == ("a/1.ppm",)
    assert dict(images.skipped.kinds) == {name[name.index(".") :]: 1}


def test_a_damaged_file_of_a_common_kind_is_not_skipped(tmp_path):
    write(tmp_path, b"", "a/1.ppm")
    write(tmp_path, b"", "a/2.ico")
    assert sorted(list_labelled_images(tmp_path).paths) == ["a/1.ppm", "a/2.ico"]


def test_no_kind_is_read_by_another_program():
    readers = {*COMMON, *RARE}
    assert readers.isdisjoint({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FITS", "TGA"})
