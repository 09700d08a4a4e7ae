import numpy as np
import pytest
from PIL import Image

from pyimagesearch.preprocessing import (
    Decoding,
    EarlierRows,
    check_images,
    list_labelled_images,
    load_image,
)
from pyimagesearch.preprocessing.decoding import AS_STORED
from pyimagesearch.utils import InputError

SIZE = (24, 30)
NO_DATA = 42113  # GDAL's tag in a TIFF
N_IMAGES = 4


def photographs(seed=0):
    """Return grey images as floats in [0, 1]; the first reaches both ends, the others do not."""
    rng = np.random.default_rng(seed)
    images = rng.random((N_IMAGES, 24, 30)).astype(np.float32)
    dimmed = np.array([1, 0.9, 0.6, 0.3], np.float32)[:, None, None]
    images = images * dimmed
    images[0, 0, :9], images[0, 1, :9] = 0, 1
    return images


def write(folder, images, tags=None, suffix=".tif"):
    for i, values in enumerate(images):
        path = folder / "ab"[i % 2] / f"{i}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        options = {"tiffinfo": tags} if tags else {}
        Image.fromarray(values).save(path, **options)
    return folder


def check(folder, decoding=None):
    images = list_labelled_images(folder)
    return check_images(images, 2, lambda: None, EarlierRows(decoding=decoding))


def pixels(checked):
    """Return the red values of every image, in the order in which they were written."""
    by_name = {path: row for row, path in enumerate(checked.images.paths)}
    rows = [by_name[path] for path in sorted(by_name, key=lambda path: path[2:])]
    return np.stack([checked.pixels(row, SIZE)[..., 0] for row in rows])


def as_bytes(images, black, white):
    images = np.clip(np.asarray(images, np.float64), black, white)
    return np.rint((images - black) * (255 / (white - black))).astype(np.uint8)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        pytest.param(1, (0, 1), id="to-1"),
        pytest.param(1.02, (0, 1), id="overshoot"),
        pytest.param(255, (0, 255), id="to-255"),
        pytest.param(260, (0, 255), id="overshoot-of-255"),
        pytest.param(65535, (0, 65535), id="to-65535"),
        pytest.param(2, (0, 2), id="to-2"),
        pytest.param(100, (0, 100), id="percent"),
        pytest.param(300, (0, 300), id="counts"),
        pytest.param(2550, (0, 2550), id="heights"),
        pytest.param(4095, (0, 4095), id="12-bits-as-floats"),
        pytest.param(0.1, (0, np.float32(0.1)), id="dim"),
    ],
)
def test_all_float_images_share_one_range(tmp_path, scale, expected):
    images = photographs() * np.float32(scale)
    checked = check(write(tmp_path, images))
    assert checked.decoding == Decoding(float_range=expected)
    np.testing.assert_array_equal(pixels(checked), as_bytes(images, *expected))
    assert checked.notes[0].startswith("float images: 0 to ")


def test_negative_values_have_a_range_of_their_own(tmp_path):
    images = photographs() * 2 - 1
    assert check(write(tmp_path, images)).decoding.float_range == (-1, 1)


def test_integers_of_32_bits_are_treated_as_floats(tmp_path):
    images = np.rint(photographs() * 300).astype(np.int32)
    checked = check(write(tmp_path, images))
    assert checked.decoding.float_range == (0, 300)
    np.testing.assert_array_equal(pixels(checked), as_bytes(images, 0, 300))


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        pytest.param(-3.4028235e38, None, id="lowest-float32"),
        pytest.param(-3.4e38, "-3.40282346638529e+38", id="rounded-otherwise"),
        pytest.param(1.7e38, None, id="beyond-what-is-sane"),
        pytest.param(1e20, None, id="far-off"),
        pytest.param(-9999, "-9999", id="declared"),
        pytest.param(-9999, None, id="not-declared"),
        pytest.param(-32768, None, id="lowest-of-16-bits"),
        pytest.param(1.25, "1.25", id="declared-within"),
        pytest.param(np.nan, "nan", id="declared-nan"),
        pytest.param(np.inf, "inf", id="declared-infinity"),
    ],
)
def test_missing_data_does_not_count_and_becomes_black(tmp_path, value, tag):
    images = photographs() * 2550
    images[1:, :5, :5] = value
    checked = check(write(tmp_path, images, tag and {NO_DATA: tag}))
    assert checked.decoding.float_range == (0, 2550)
    expected = as_bytes(np.nan_to_num(images), 0, 2550)
    expected[1:, :5, :5] = 0
    np.testing.assert_array_equal(pixels(checked), expected)


def test_a_usual_no_data_value_is_distinguished_from_values_that_spread_as_far(tmp_path):
    images = photographs() * 12000
    images[1:, :5, :5] = -9999
    assert check(write(tmp_path, images)).decoding.float_range == (0, 12000)


def test_an_image_without_any_data_is_named(tmp_path):
    images = photographs()
    images[3] = -3.4e38
    checked = check(write(tmp_path, images))
    assert checked.bad == {"b/3.tif": "it holds nothing but missing data"}
    assert checked.decoding.float_range == (0, 1)


def test_a_constant_image_does_not_determine_the_range(tmp_path):
    images = photographs() * 2550
    images[3] = -9999
    checked = check(write(tmp_path, images))
    assert checked.decoding.float_range == (0, 2550)
    assert not checked.bad
    assert not pixels(checked)[3].any()


def test_hot_pixels_do_not_decide(tmp_path):
    images = np.random.default_rng(1).random((4, 100, 100)).astype(np.float32)
    images[2, 50, 50] = 40
    assert check(write(tmp_path / "one", images)).decoding.float_range == (0, 1)
    counts = images * 300
    low, high = check(write(tmp_path / "counts", counts)).decoding.float_range
    assert 0 <= low < 1
    assert 299 < high <= 300


def test_a_declared_value_in_a_16_bit_image_becomes_black(tmp_path):
    images = np.rint(photographs() * 65535).astype(np.uint16)
    images[1:, :5, :5] = 65535
    checked = check(write(tmp_path, images, {NO_DATA: "65535"}))
    expected = as_bytes(images, 0, 65535)
    expected[images == 65535] = 0
    np.testing.assert_array_equal(pixels(checked), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_unless_it_is_declared(tmp_path, value):
    images = photographs()
    images[1, 3, 3] = value
    checked = check(write(tmp_path, images, {NO_DATA: "-9999"}))
    assert checked.bad == {"b/1.tif": "it holds numbers that are not finite"}


@pytest.mark.parametrize(
    "scales",
    [
        pytest.param((1, 255, 1, 255), id="half"),
        pytest.param((1, 1, 1, 255), id="one-larger"),
        pytest.param((1, 255, 255, 255), id="one-smaller"),
        pytest.param((1, 1, 65535, 65535), id="16-bits"),
        pytest.param((1, 1, 2550, 2550), id="heights"),
    ],
)
def test_images_on_different_scales_are_refused_by_name(tmp_path, scales):
    images = [values * np.float32(n) for values, n in zip(photographs(), scales, strict=True)]
    with pytest.raises(InputError, match="on different scales") as caught:
        check(write(tmp_path, images))
    assert "\n" not in str(caught.value)
    assert f"{max(scales):,}" in str(caught.value) or "is between" in str(caught.value)
    assert ".astype('uint8')" in str(caught.value)


def test_one_odd_image_of_many_is_named_as_a_bad_one(tmp_path):
    images = np.concatenate([photographs(seed) for seed in range(20)]) * 255
    images[7] /= 255
    checked = check(write(tmp_path, images))
    assert list(checked.bad) == ["b/7.tif"]
    assert "those of the other images between 0 and 255" in checked.bad["b/7.tif"]
    assert len(checked.images) == len(checked.stamps) == 79


@pytest.mark.parametrize("suffix", [".tif", ".png", ".pgm"])
@pytest.mark.parametrize("n_bits", [8, 10, 12, 14])
def test_16_bit_images_that_hold_fewer_bits_share_their_range(tmp_path, n_bits, suffix):
    white = 2**n_bits - 1
    images = np.rint(photographs() * white).astype(np.uint16)
    checked = check(write(tmp_path, images, suffix=suffix))
    assert checked.decoding == Decoding(white_16_bit=white)
    np.testing.assert_array_equal(pixels(checked), as_bytes(images, 0, white))
    assert checked.notes == [
        f"16-bit images: all 4 stay below {white + 1:,}, so {white:,} becomes white in all of them"
    ]


@pytest.mark.parametrize("suffix", [".tif", ".png", ".pgm"])
def test_ordinary_16_bit_images_keep_the_range_of_their_type(tmp_path, suffix):
    images = np.rint(photographs() * 4095).astype(np.uint16)
    images[2, 3, 4] = 60000
    checked = check(write(tmp_path, images, suffix=suffix))
    assert checked.decoding == Decoding()
    assert not checked.notes
    np.testing.assert_array_equal(pixels(checked), as_bytes(images, 0, 65535))


def test_a_tiff_of_12_bits_keeps_its_own_range(tmp_path):
    from test_preprocessing_imageloader import WIDE_GREY

    images = np.full((2, 4, 4), 200, np.uint16)
    write(tmp_path, images)
    (tmp_path / "b" / "12.tif").write_bytes(WIDE_GREY["tiff-12-bit"][0])
    decoding = check(tmp_path).decoding
    assert decoding == Decoding(white_16_bit=255)
    path = tmp_path / "b" / "12.tif"
    np.testing.assert_array_equal(
        load_image(path, decoding=decoding), load_image(path, decoding=AS_STORED)
    )


@pytest.mark.parametrize("n_channels", [3, 4], ids=["rgb", "rgba"])
def test_16_bit_colours_of_which_nothing_would_be_left_are_refused(tmp_path, n_channels):
    from test_preprocessing_imageloader import png_of_16_bits

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        values = np.random.default_rng(0).integers(0, 4096, (48, 64, n_channels))
        if n_channels == 4:
            values[..., 3] = 65535
        data = png_of_16_bits(values, {3: 2, 4: 6}[n_channels])
        (tmp_path / folder / "1.png").write_bytes(data)
    with pytest.raises(InputError, match=r"16-bit colour images, .*, all stay below 4,096"):
        check(tmp_path)
    bright = png_of_16_bits(values * 4, {3: 2, 4: 6}[n_channels])
    (tmp_path / "a" / "1.png").write_bytes(bright)
    assert check(tmp_path).decoding == Decoding()


def test_a_decoding_that_is_recorded_is_not_decided_again(tmp_path):
    images = photographs() * 0.5
    recorded = Decoding(float_range=(0.0, 2.0))
    checked = check(write(tmp_path, images), recorded)
    assert checked.decoding is recorded
    np.testing.assert_array_equal(pixels(checked), as_bytes(images, 0, 2))


def test_1_0_0_scaled_each_image_by_itself(tmp_path):
    images = photographs() * 300
    checked = check(write(tmp_path, images), AS_STORED)
    assert not checked.notes
    expected = as_bytes(images[3], 0, 255)  # which holds all of its values
    np.testing.assert_array_equal(pixels(checked)[3], expected)


@pytest.mark.parametrize(
    ("values", "decoding", "why"),
    [
        pytest.param(photographs()[0], Decoding(), "the range is from did not", id="floats"),
        pytest.param(
            photographs()[0] * 255, Decoding(float_range=(0, 1)), "between 0 and 255,", id="above"
        ),
        pytest.param(
            photographs()[0], Decoding(float_range=(0, 255)), "between 0 and 1,", id="below"
        ),
    ],
)
def test_a_new_image_that_is_not_on_the_scale_is_refused(tmp_path, values, decoding, why):
    Image.fromarray(values).save(tmp_path / "new.tif")
    with pytest.raises(InputError, match=why):
        load_image(tmp_path / "new.tif", decoding=decoding)


def test_a_new_image_is_clipped(tmp_path):
    values = photographs()[0] * 1.5
    Image.fromarray(values).save(tmp_path / "new.tif")
    loaded = load_image(tmp_path / "new.tif", SIZE, decoding=Decoding(float_range=(0, 1)))
    np.testing.assert_array_equal(loaded[..., 0], as_bytes(values, 0, 1))


@pytest.mark.parametrize(
    "values",
    [
        "upright",
        {"upright": True},
        {"upright": True, "white_16_bit": None, "float_range": [1]},
        {"upright": True, "white_16_bit": None, "float_range": [0, "x"]},
    ],
)
def test_a_record_that_is_not_understood_is_refused(values):
    with pytest.raises(InputError, match="is not understood"):
        Decoding.recorded({"decoding": values})
