from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from PIL import Image

from pyimagesearch.preprocessing import load_image
from pyimagesearch.reporting import SheetTile, contactsheet, draw_mistakes
from pyimagesearch.reporting.contactsheet import (
    GAP,
    HEADER,
    MISTAKES_LEGEND,
    TILE,
    contact_figure,
    sheet_title,
)
from pyimagesearch.reporting.figurefile import PIXELS_PER_INCH, drawing_settings
from pyimagesearch.utils import InputError

SVG = "{http://www.w3.org/2000/svg}"
RED = (255, 0, 0)


def made(n_mistakes):
    """Return mistakes whose names distinguish them."""
    return [
        SheetTile(Path(f"{number}.jpg"), f"true{number}", f"wrong{number}", 0.75)
        for number in range(n_mistakes)
    ]


def red(path, height=30, width=40):
    return np.full((height, width, 3), RED, np.uint8)


def sheet_texts(tmp_path, mistakes, load=red, **options):
    path = tmp_path / "sheet.svg"
    draw_mistakes(mistakes, path, load=load, **{"n_test_images": 2000} | options)
    return [element.text for element in ElementTree.parse(path).iter(f"{SVG}text")]


def figure_of(mistakes, load, title="title"):
    return contact_figure(mistakes, title, MISTAKES_LEGEND, load)


def sheet_pixels(tmp_path, mistakes, load):
    path = tmp_path / "sheet.png"
    draw_mistakes(mistakes, path, load=load, n_test_images=2000)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def boxes(figure):
    """Return the extents of the sheet's texts and tiles in pixels."""
    axes = figure.axes[0]
    with drawing_settings():
        renderer = RendererAgg(1, 1, PIXELS_PER_INCH)
        texts = [text.get_window_extent(renderer) for text in axes.texts]
    return texts, [image.get_window_extent() for image in axes.images]


# What is drawn


@pytest.mark.parametrize(
    ("n_drawn", "n_mistakes", "title"),
    [
        (0, 0, "No mistakes in 2,000 test images"),
        (1, 1, "The only mistake (of 2,000 test images)"),
        (1, 7, "1 worst of 7 mistakes (of 2,000 test images)"),
        (7, 7, "All 7 mistakes (of 2,000 test images), the worst first"),
        (48, 1113, "48 worst of 1,113 mistakes (of 2,000 test images)"),
    ],
)
def test_the_title_has_how_many_of_how_many(n_drawn, n_mistakes, title):
    assert sheet_title(n_drawn, n_mistakes, n_test_images=2000) == title


def test_only_the_48_worst_are_read_and_drawn_unless_told_otherwise(tmp_path, monkeypatch):
    loaded, figures = [], []

    def load(path):
        loaded.append(path)
        return red(path)

    monkeypatch.setattr(contactsheet, "save_figure", lambda figure, path: figures.append(figure))
    draw_mistakes(made(50), tmp_path / "sheet.png", load=load, n_test_images=2000)

    assert loaded == [mistake.image for mistake in made(48)]
    texts = [text.get_text() for text in figures[0].axes[0].texts]
    assert texts[0] == "48 worst of 50 mistakes (of 2,000 test images)"
    assert "true47" in texts
    assert "true48" not in texts


def test_another_number_of_mistakes_can_be_asked_for(tmp_path):
    texts = sheet_texts(tmp_path, made(3), n_drawn_at_most=2)

    assert "2 worst of 3 mistakes (of 2,000 test images)" in texts
    assert "true1" in texts
    assert "true2" not in texts


def test_a_sheet_without_mistakes_has_a_title_for_that(tmp_path):
    assert sheet_texts(tmp_path, []) == ["No mistakes in 2,000 test images"]


def test_each_tile_is_captioned_with_both_names_and_the_probability(tmp_path):
    mistakes = [SheetTile(Path("1.jpg"), "cats", "dogs", 0.91), *made(1)]

    texts = sheet_texts(tmp_path, mistakes)

    start = texts.index("cats")
    assert texts[start : start + 6] == ["cats", "→ dogs", "91%", "true0", "→ wrong0", "75%"]


def test_no_probability_is_rounded_to_nothing_or_to_certainty(tmp_path):
    written = {0.001: "<1%", 0.005: "<1%", 0.01: "1%", 0.5: "50%", 0.994: "99%", 1.0: ">99%"}

    texts = sheet_texts(tmp_path, [SheetTile(Path("1.jpg"), "a", "b", p) for p in written])

    assert [text for text in texts if text.endswith("%")] == list(written.values())


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        pytest.param((100, 200), (112, TILE), id="wide, small"),
        pytest.param((900, 300), (TILE, 75), id="tall, large"),
        pytest.param((1, 1), (TILE, TILE), id="one pixel"),
        pytest.param((1, 3000), (1, TILE), id="a line"),
        pytest.param((3000, 1), (TILE, 1), id="an upright line"),
    ],
)
def test_thumbnails_fill_their_tile_and_keep_their_aspect_ratio(size, drawn):
    figure = figure_of(made(1), lambda path: red(path, *size))

    rows, columns = np.nonzero((figure.axes[0].images[0].get_array() == RED).all(axis=-1))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == drawn
    assert abs(rows.min() - (TILE - 1 - rows.max())) <= 1  # in the middle
    assert abs(columns.min() - (TILE - 1 - columns.max())) <= 1


def test_an_image_of_a_tiles_size_is_drawn_pixel_by_pixel(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (TILE, TILE, 3), dtype=np.uint8)

    pixels = sheet_pixels(tmp_path, made(2), load=lambda path: image)

    for left in (GAP, GAP + TILE + GAP):
        tile = pixels[HEADER : HEADER + TILE, left : left + TILE]
        np.testing.assert_array_equal(tile, image)


def test_mistakes_run_from_left_to_right_and_down():
    shades = [[shade, 0, 0] for shade in range(0, 250, 50)]
    figure = figure_of(made(5), lambda path: np.full((2, 2, 3), shades[int(path.stem)], np.uint8))

    images = sorted(figure.axes[0].images, key=lambda i: (i.get_extent()[3], i.get_extent()[0]))
    assert [image.get_array()[0, 0].tolist() for image in images] == shades


@pytest.mark.parametrize("n_mistakes", [1, 9])
def test_nothing_overlaps_or_leaves_the_sheet(n_mistakes):
    name = "siamese_cat_with_very_long_hair"
    mistakes = [SheetTile(Path(f"{name}.jpg"), name, name, 0.999)] * n_mistakes
    figure = figure_of(mistakes, red, "48 worst of 1,113 mistakes (of 2,000 test images)")

    texts, tiles = boxes(figure)

    assert len(tiles) == n_mistakes
    assert not any(one.overlaps(other) for one, other in combinations(texts + tiles, 2))
    width, height = figure.get_size_inches() * PIXELS_PER_INCH
    assert all(box.x0 >= 0 and box.x1 <= width for box in texts + tiles)
    assert all(box.y0 >= 0 and box.y1 <= height for box in texts + tiles)


def test_long_names_keep_both_their_ends(tmp_path):
    names = ("siamese_cat_with_very_long_hair", "siamese_cat_with_very_short_hair")

    texts = sheet_texts(tmp_path, [SheetTile(Path("1.jpg"), *names, 0.5)])

    start = next(index for index, text in enumerate(texts) if text.startswith("siam"))
    assert texts[start].endswith("long_hair")
    assert texts[start + 1].startswith("→ siam")
    assert texts[start + 1].endswith("hair")


# Images and names of any kind


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), InputError("cannot be read")])
def test_an_image_that_cannot_be_read_is_a_grey_tile_with_its_name(tmp_path, error):
    def load(path):
        raise error

    texts = sheet_texts(tmp_path, [SheetTile(Path("folder/cat$1$.jpg"), "cats", "dogs", 0.5)], load)
    pixels = sheet_pixels(tmp_path, made(1), load)

    assert texts[texts.index("cannot read") + 1] == "cat$1$.jpg"
    assert (pixels == 240).all(axis=-1).sum() > 0.8 * TILE * TILE
    assert "→ dogs" in texts


def test_a_long_file_name_stays_on_its_tile():
    def load(path):
        raise FileNotFoundError

    mistake = SheetTile(Path("a_very_long_name_of_an_image_that_is_gone.jpg"), "cats", "dogs", 0.5)
    texts, (tile,) = boxes(figure_of([mistake], load))

    on_the_tile = [text for text in texts if tile.overlaps(text)]
    assert len(on_the_tile) == 2
    assert all(tile.x0 < text.x0 and text.x1 < tile.x1 for text in on_the_tile)


def test_a_defect_of_the_loader_is_not_mistaken_for_an_unreadable_image(tmp_path):
    def load(path):
        raise TypeError("a defect")

    with pytest.raises(TypeError, match="a defect"):
        sheet_texts(tmp_path, made(1), load)


def test_images_of_any_mode_are_drawn_through_the_projects_loader(tmp_path):
    grey = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)
    images = [Image.fromarray(grey).convert(mode) for mode in ("L", "P", "1", "RGBA", "CMYK")]
    images.append(Image.fromarray(grey.astype(np.uint16) * 257))
    paths = [tmp_path / f"{number}.tif" for number in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        image.save(path)

    texts = sheet_texts(tmp_path, [SheetTile(path, "a", "b", 0.5) for path in paths], load_image)

    assert "cannot read" not in texts


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_names_in_any_script_are_drawn_literally_and_without_a_warning(tmp_path, suffix):
    path = tmp_path / f"sheet{suffix}"
    names = ["大熊猫", "🐼", "a$b$c", "a\nb", "a\udcffb"]

    draw_mistakes(
        [SheetTile(Path(f"{name}.jpg"), name, name, 0.5) for name in names],
        path,
        load=red,
        n_test_images=10,
    )

    if suffix == ".svg":
        texts = [element.text for element in ElementTree.parse(path).iter(f"{SVG}text")]
        literal = ["大熊猫", "🐼", "a$b$c", "a\ufffdb", "a\ufffdb"]
        assert [text for text in texts if text in literal] == literal
        assert [text[2:] for text in texts if text.startswith("→ ")] == literal


# The file


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_mistakes_give_the_same_bytes_on_any_day(tmp_path, suffix, monkeypatch):
    files = [tmp_path / f"{day}{suffix}" for day in ("0", "1000000000")]

    for file in files:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", file.stem)
        draw_mistakes(made(2), file, load=red, n_test_images=9)

    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot draw .*sheet\.gif"):
        draw_mistakes(made(1), tmp_path / "sheet.gif", load=red, n_test_images=9)


def test_a_failed_drawing_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")

    def fail(self, file, **options):
        Path(file).write_bytes(b"half of the new one")
        raise RuntimeError("out of ink")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(RuntimeError, match="out of ink"):
        draw_mistakes(made(1), path, load=red, n_test_images=9)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
