import io

import numpy as np
import pytest
from PIL import Image

from pyimagesearch.preprocessing import Decoding, check_image, load_image
from pyimagesearch.preprocessing.decoding import AS_STORED
from pyimagesearch.preprocessing.imageloader import inspect_image

ORIENTATION = 274
TURN = Image.Transpose
STORED = {  # by flag: what was done to the upright image
    1: None,
    2: TURN.FLIP_LEFT_RIGHT,
    3: TURN.ROTATE_180,
    4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE,
    6: TURN.ROTATE_90,
    7: TURN.TRANSVERSE,
    8: TURN.ROTATE_270,
}
SIZE = (16, 32)


def upright():
    """Draw four quadrants of 64 x 128 pixels: whole blocks of every codec, so that none smears."""
    pixels = np.zeros((128, 256, 3), np.uint8)
    pixels[:64, :128], pixels[:64, 128:] = (200, 30, 30), (30, 200, 30)
    pixels[64:, :128], pixels[64:, 128:] = (30, 30, 200), (180, 180, 40)
    return Image.fromarray(pixels)


def write(path, flag, image=None, **options):
    """Save an image as a camera does that was held at another angle."""
    image = image or upright()
    if STORED[flag] is not None:
        image = image.transpose(STORED[flag])
    exif = Image.Exif()
    exif[ORIENTATION] = flag
    if path.suffix == ".tif":
        image.save(path, tiffinfo={ORIENTATION: flag}, **options)
    else:
        image.save(path, exif=exif.tobytes(), **options)
    return path


KINDS = [
    pytest.param(".jpg", {"quality": 95}, id="jpeg"),
    pytest.param(".png", {}, id="png"),
    pytest.param(".webp", {"lossless": True}, id="webp"),
    pytest.param(".avif", {"quality": 95}, id="avif"),
    pytest.param(".tif", {}, id="tiff"),
    pytest.param(".tif", {"compression": "tiff_lzw"}, id="tiff-lzw"),
    pytest.param(".tif", {"compression": "jpeg"}, id="tiff-jpeg"),
    pytest.param(".heic", {"quality": 95}, id="heic"),
]


@pytest.mark.parametrize(("suffix", "options"), KINDS)
@pytest.mark.parametrize("flag", STORED)
def test_an_image_of_any_kind_and_flag_is_upright(tmp_path, suffix, options, flag):
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = write(tmp_path / f"image{suffix}", flag, **options)
    pixels = load_image(path, SIZE, decoding=Decoding())
    expected = load_image(write(tmp_path / "upright.png", 1), SIZE)
    assert np.abs(pixels.astype(int) - expected).max() <= 12  # what the codec changes
    assert inspect_image(path).is_flagged == (flag != 1)


@pytest.mark.parametrize("flag", STORED)
def test_all_ways_to_store_an_image_give_the_same_bits(tmp_path, flag):
    noise = np.random.default_rng(2).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    path = write(tmp_path / "image.png", flag, Image.fromarray(noise))
    np.testing.assert_array_equal(load_image(path, size=None), noise)
    wide = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    path = write(tmp_path / "wide.png", flag, wide)
    np.testing.assert_array_equal(load_image(path, size=None)[..., 0], noise[..., 0])


@pytest.mark.parametrize("flag", STORED)
def test_a_heic_with_the_flag_in_its_exif_data_alone_is_turned_too(tmp_path, flag):
    pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[ORIENTATION] = flag
    image = upright() if STORED[flag] is None else upright().transpose(STORED[flag])
    image.save(tmp_path / "image.heic", exif=exif, quality=95)
    assert b"irot" not in (tmp_path / "image.heic").read_bytes()
    pixels = load_image(tmp_path / "image.heic", SIZE)
    expected = load_image(write(tmp_path / "upright.png", 1), SIZE)
    assert np.abs(pixels.astype(int) - expected).max() <= 12


def test_decoding_of_1_0_0_is_reproduced(tmp_path):
    path = write(tmp_path / "image.jpg", 6)
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_image(path, None, decoding=AS_STORED), np.array(image))


def test_a_flag_in_xmp_counts(tmp_path):
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    path = tmp_path / "image.jpg"
    upright().transpose(TURN.ROTATE_90).save(path, xmp=packet, quality=95)
    assert load_image(path, size=None).shape == (128, 256, 3)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_damaged_exif_data_cost_no_image(tmp_path, exif):
    path = tmp_path / "image.jpg"
    upright().save(path, exif=exif)
    assert check_image(path, Decoding()) is None
    assert load_image(path, size=None).shape == (128, 256, 3)


@pytest.mark.parametrize("flag", [0, 9, 65535])
def test_a_flag_without_a_meaning_is_ignored(tmp_path, flag):
    exif = Image.Exif()
    exif[ORIENTATION] = flag
    upright().save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(load_image(tmp_path / "image.png", size=None), upright())
    assert not inspect_image(tmp_path / "image.png").is_flagged


def test_the_contents_of_a_file_are_turned_as_the_file_is(tmp_path):
    path = write(tmp_path / "image.webp", 8, lossless=True)
    contents = io.BytesIO(path.read_bytes()).getvalue()
    turned = load_image(path, SIZE, contents, Decoding())
    np.testing.assert_array_equal(turned, load_image(path, SIZE))
