import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from PIL import Image

from pyimagesearch.reporting import (
    check_drawing,
    confusionmatrix,
    draw_confusion_matrix,
    figurefile,
)
from pyimagesearch.reporting.confusionmatrix import confusion_figure
from pyimagesearch.reporting.figurefile import PIXELS_PER_INCH, drawing_settings, elided, text_width
from pyimagesearch.utils import InputError

ANIMALS = ["cats", "dogs", "panda"]
MATRIX = np.array([[41, 7, 2], [0, 33, 17], [5, 1, 64]])
SUFFIXES = (".png", ".svg", ".pdf")
NO_IMAGES = 224  # of 255, in red, green and blue
SVG = "{http://www.w3.org/2000/svg}"


def svg_texts(path):
    return [element.text for element in ElementTree.parse(path).iter(f"{SVG}text")]


def drawn_texts(tmp_path, matrix, label_names):
    path = tmp_path / "matrix.svg"
    draw_confusion_matrix(matrix, label_names, path)
    return svg_texts(path)


def long_names(n_classes):
    return [f"a_class_with_a_long_name_{index:03}" for index in range(n_classes)]


@pytest.fixture
def renderer():
    with drawing_settings():
        yield RendererAgg(1, 1, PIXELS_PER_INCH)


@pytest.fixture(scope="module")
def axes_of_101():
    """Return the matrix and the colour bar of 101 classes, drawn once."""
    return confusion_figure(np.eye(101, dtype=int) * 99, long_names(101)).axes


def labels_of(axis, renderer):
    """Return where the names at one axis are drawn, on both sides."""
    ticks = axis.get_major_ticks()
    sides = ([t.label1 for t in ticks], [t.label2 for t in ticks])
    return [
        [label.get_window_extent(renderer) for label in side]
        for side in sides
        if side[0].get_visible()
    ]


# What is drawn


def test_each_count_stands_in_its_cell_and_zeros_are_left_out():
    axes = confusion_figure(MATRIX, ANIMALS).axes[0]

    drawn = {text.get_position(): text.get_text() for text in axes.texts}

    # matplotlib counts columns (predicted) before rows (true)
    assert drawn == {
        (column, row): str(MATRIX[row, column]) for row, column in np.argwhere(MATRIX != 0)
    }


def test_an_svg_holds_counts_and_names_as_text(tmp_path):
    texts = Counter(drawn_texts(tmp_path, MATRIX, ANIMALS))

    assert {text: texts[text] for text in ("41", "7", "2", "33", "17", "5", "1", "64")} == (
        dict.fromkeys(("41", "7", "2", "33", "17", "5", "1", "64"), 1)
    )
    assert [texts[name] for name in ANIMALS] == [2, 2, 2]  # true and predicted
    assert texts["true class"] == texts["predicted class"] == 1
    assert texts["share of the true class (%)"] == 1
    assert texts["Accuracy 81.2% (138 of 170 test images)"] == 1


def test_large_counts_have_thousands_separators():
    axes = confusion_figure([[12345, 0], [0, 1]], ["cats", "dogs"]).axes[0]

    assert [text.get_text() for text in axes.texts] == ["12,345", "1"]


def test_colours_are_shares_of_the_rows():
    image = confusion_figure(MATRIX, ANIMALS).axes[0].images[0]

    shares = MATRIX / np.array([[50], [50], [70]])
    np.testing.assert_allclose(image.get_array(), shares)
    assert image.get_clim() == (0, 1)


def test_true_classes_are_rows_from_the_top():
    axes = confusion_figure([[1, 0], [9, 1]], ["cats", "dogs"]).axes[0]

    assert axes.get_ylim() == (1.5, -0.5)
    assert axes.get_ylabel() == "true class"
    assert axes.get_xlabel() == "predicted class"


def test_counts_stand_out_from_their_cells():
    shares = np.array([1, 250, 450, 500, 600, 601, 650, 750, 850, 900])
    matrix = np.diag(shares) + np.roll(np.diag(1000 - shares), 1, axis=1)
    axes = confusion_figure(matrix, long_names(10)).axes[0]

    for text in axes.texts:
        column, row = text.get_position()
        cell = luminance(axes.images[0].to_rgba(np.array([[matrix[row, column] / 1000]]))[0, 0, :3])
        light, dark = sorted([luminance(mpl.colors.to_rgb(text.get_color())), cell], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3  # the least that WCAG 2 allows large text


def luminance(rgb):
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize(
    ("matrix", "title"),
    [
        pytest.param(MATRIX, "Accuracy 81.2% (138 of 170 test images)", id="some wrong"),
        pytest.param(np.eye(3, dtype=int), "Accuracy 100.0% (3 of 3 test images)", id="perfect"),
        pytest.param(
            [[9999, 1, 0], [0, 9999, 0], [0, 0, 1]],
            "Accuracy 99.9% (19,999 of 20,000 test images)",
            id="almost perfect",
        ),
        pytest.param(np.zeros((3, 3), int), "No test images", id="nothing"),
    ],
)
def test_the_title_has_the_accuracy(matrix, title):
    assert confusion_figure(matrix, ANIMALS).axes[0].get_title(loc="left") == title


def test_a_class_without_test_images_is_a_grey_row_as_the_title_explains(tmp_path):
    path = tmp_path / "matrix.png"
    matrix = [[5, 1, 0], [0, 0, 0], [0, 2, 9]]

    draw_confusion_matrix(matrix, ANIMALS, path)

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    # Three cells of 156 x 156 pixels less the lines around them.
    assert (pixels == NO_IMAGES).all(axis=-1).sum() == pytest.approx(3 * 156**2, rel=0.05)
    title = confusion_figure(matrix, ANIMALS).axes[0].get_title(loc="left")
    assert title.endswith("\ngrey rows: classes without test images")


def test_a_matrix_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"matrix has shape \(3, 3\), but there are 2 classes"):
        draw_confusion_matrix(MATRIX, ["cats", "dogs"], tmp_path / "matrix.png")


# Any number of classes


@pytest.mark.parametrize("n_classes", [2, 10, 30])
def test_names_never_overlap(renderer, n_classes):
    axes = confusion_figure(np.eye(n_classes, dtype=int), long_names(n_classes)).axes[0]

    assert_apart(axes, renderer)


def test_the_names_of_101_classes_do_not_overlap(renderer, axes_of_101):
    assert_apart(axes_of_101[0], renderer)


def assert_apart(axes, renderer):
    for columns in labels_of(axes.xaxis, renderer):
        assert all(left.x1 < right.x0 for left, right in pairwise(columns))
    for rows in labels_of(axes.yaxis, renderer):
        assert all(upper.y0 > lower.y1 for upper, lower in pairwise(rows))


def test_each_of_101_classes_is_named_on_all_four_sides(axes_of_101):
    axes = axes_of_101[0]

    for axis in (axes.xaxis, axes.yaxis):
        ticks = axis.get_major_ticks()
        assert [tick.label1.get_text() for tick in ticks] == long_names(101)
        assert [tick.label2.get_text() for tick in ticks] == long_names(101)
        assert all(tick.label1.get_visible() and tick.label2.get_visible() for tick in ticks)


@pytest.mark.parametrize("n_classes", [45, 60])
def test_names_of_too_many_classes_are_left_out_at_regular_steps(renderer, monkeypatch, n_classes):
    monkeypatch.setattr(confusionmatrix, "LONGEST_SIDE", 3.0)
    axes = confusion_figure(np.eye(n_classes, dtype=int), long_names(n_classes)).axes[0]

    shown = [int(row) for row in axes.get_yticks()]
    labels = [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks()]
    assert 20 <= len(shown) <= 30
    assert labels == [long_names(n_classes)[row] for row in shown]
    assert_apart(axes, renderer)


def test_short_names_of_few_classes_are_written_upright():
    few = confusion_figure(MATRIX, ANIMALS).axes[0]
    long = confusion_figure(MATRIX, long_names(3)).axes[0]

    assert {label.get_rotation() for label in few.get_xticklabels()} == {0}
    assert {label.get_rotation() for label in long.get_xticklabels()} == {90}


@pytest.mark.parametrize(
    ("n_classes", "count"),
    [
        pytest.param(2, 1_234_567, id="2 classes, millions"),
        pytest.param(10, 12_345, id="10 classes, 5 digits"),
        pytest.param(60, 12_345, id="60 classes, 5 digits"),
    ],
)
def test_counts_fit_their_cells(renderer, n_classes, count):
    axes = confusion_figure(np.eye(n_classes, dtype=int) * count, long_names(n_classes)).axes[0]

    assert len(axes.texts) == n_classes
    assert_counts_fit(axes, renderer, n_classes)


def assert_counts_fit(axes, renderer, n_classes):
    cell = axes.get_window_extent(renderer).width / n_classes
    assert max(text.get_window_extent(renderer).width for text in axes.texts) < 0.95 * cell


def test_the_counts_of_101_classes_fit_and_can_be_read(renderer, axes_of_101):
    axes = axes_of_101[0]

    assert_counts_fit(axes, renderer, 101)
    assert axes.texts[0].get_fontsize() * PIXELS_PER_INCH / 72 > 12


def test_101_classes_make_an_image_of_about_3000_pixels(renderer, axes_of_101):
    inches = axes_of_101[0].figure.get_tightbbox(renderer)

    # With names of 28 characters on all four sides.
    assert 2800 < inches.width * PIXELS_PER_INCH < 3800
    assert 2800 < inches.height * PIXELS_PER_INCH < 3800


def test_a_png_holds_everything_that_is_drawn(tmp_path, renderer):
    path = tmp_path / "matrix.png"
    draw_confusion_matrix(MATRIX, long_names(3), path)

    with Image.open(path) as image:
        grey = np.asarray(image.convert("L"))
    tight = confusion_figure(MATRIX, long_names(3)).get_tightbbox(renderer)
    assert grey.shape[1] > tight.width * PIXELS_PER_INCH
    assert grey.shape[0] > tight.height * PIXELS_PER_INCH
    assert grey[[0, -1]].min() == grey[:, [0, -1]].min() == 255  # nothing touches the edge


def test_cells_too_small_for_counts_are_a_map_of_a_limited_size(monkeypatch):
    monkeypatch.setattr(confusionmatrix, "LONGEST_SIDE", 3.0)
    figure = confusion_figure(np.eye(100, dtype=int), long_names(100))

    assert not figure.axes[0].texts
    assert not figure.axes[0].xaxis.get_minorticklocs().size  # nor lines, which would hide it
    assert figure.get_figwidth() == pytest.approx(3.0, rel=0.2)


def test_the_names_at_the_far_end_leave_room_for_the_colour_bar(renderer, axes_of_101):
    axes, bar = axes_of_101

    _, right = labels_of(axes.yaxis, renderer)
    assert min(box.x0 for box in right) > axes.get_window_extent(renderer).x1
    assert max(box.x1 for box in right) < bar.get_tightbbox(renderer).x0


# Any name


def test_names_are_drawn_literally(tmp_path):
    names = ["a$b$c", "_x", "^{2}", r"\alpha", "50%", "<&>", "#1"]

    texts = Counter(drawn_texts(tmp_path, np.eye(7, dtype=int), names))

    assert [texts[name] for name in names] == [2] * 7


def test_names_are_literal_on_all_four_sides(axes_of_101):
    axes = axes_of_101[0]

    ticks = axes.xaxis.get_major_ticks() + axes.yaxis.get_major_ticks()
    assert not any(tick.label1.get_parse_math() or tick.label2.get_parse_math() for tick in ticks)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_in_any_script_are_drawn_without_a_warning(tmp_path, suffix, caplog):
    path = tmp_path / f"matrix{suffix}"
    names = ["大熊猫", "🐼 panda", "👩\u200d🔬", "כלב", "كلب", "Wölfe", "ไก่"]

    draw_confusion_matrix(np.eye(7, dtype=int), names, path)

    assert path.stat().st_size > 0
    assert not caplog.records  # matplotlib's complaints about fonts would go to stderr
    if suffix == ".svg":
        texts = Counter(svg_texts(path))
        assert [texts[name] for name in names] == [2] * 7


def test_what_no_file_can_hold_is_marked_in_a_name(tmp_path):
    unprintable = {
        "1\n": "line break",
        "2\x01": "control character",
        "3\udcff": "byte that is not UTF-8",
        "4\uffff": "not a character",
        "5\u2028": "line separator",
    }

    texts = Counter(drawn_texts(tmp_path, np.eye(5, dtype=int), list(unprintable)))

    assert [texts[f"{digit}\ufffd"] for digit in "12345"] == [2] * 5


def test_a_very_long_name_keeps_both_its_ends():
    name = "siamese_cat_" + "very_" * 12 + "long_hair"

    axes = confusion_figure([[1, 0], [0, 1]], [name, "dogs"]).axes[0]

    for short in (axes.get_xticklabels()[0].get_text(), axes.get_yticklabels()[0].get_text()):
        assert short.startswith("siamese_cat_")
        assert short.endswith("long_hair")
        assert len(short) < 40


def test_elided_text_fits_and_only_loses_what_it_must():
    with drawing_settings():
        full = text_width("abcdefghij", 10)

        assert elided("abcdefghij", 10, full) == "abcdefghij"
        short = elided("abcdefghij", 10, full - 1)
        assert text_width(short, 10) < full
        assert short in ("abcd…ghij", "abcd…hij")
        assert elided("abcdefghij", 10, 0) == "…"


def test_only_installed_fonts_are_asked_for(monkeypatch):
    monkeypatch.setattr(figurefile, "FALLBACK_FONTS", ("No Such Font", "cmr10"))

    with drawing_settings():
        assert mpl.rcParams["font.family"] == ["DejaVu Sans", "cmr10", "sans-serif"]


# The file


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_matrix_gives_the_same_bytes_on_any_day(tmp_path, suffix, monkeypatch):
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    draw_confusion_matrix(MATRIX, ANIMALS, first)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    draw_confusion_matrix(MATRIX, ANIMALS, second)

    assert first.read_bytes() == second.read_bytes()


def test_the_users_matplotlibrc_does_not_matter_and_is_unchanged(tmp_path):
    theirs = {"text.usetex": True, "axes.facecolor": "red", "font.size": 30, "savefig.dpi": 20}
    draw_confusion_matrix(MATRIX, ANIMALS, tmp_path / "plain.png")

    with mpl.rc_context(theirs):
        draw_confusion_matrix(MATRIX, ANIMALS, tmp_path / "theirs.png")
        assert {key: mpl.rcParams[key] for key in theirs} == theirs

    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()


@pytest.mark.parametrize(("suffix", "start"), [(".pdf", b"%PDF"), (".PNG", b"\x89PNG")])
def test_the_suffix_decides_on_the_format(tmp_path, suffix, start):
    path = tmp_path / f"matrix{suffix}"

    draw_confusion_matrix(MATRIX, ANIMALS, path)

    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["matrix.jpg", "matrix", "matrix.png.txt", ".png"])
def test_another_suffix_is_refused_before_anything_is_drawn(tmp_path, name):
    path = tmp_path / name

    with pytest.raises(InputError, match=r"expected a name that ends in \.png, \.svg or \.pdf;"):
        check_drawing(path)
    with pytest.raises(InputError, match="cannot draw"):
        draw_confusion_matrix(MATRIX, ANIMALS, path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_drawing_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "matrix.png"
    path.write_bytes(b"old")

    def fail(self, file, **options):
        Path(file).write_bytes(b"half of the new one")
        raise RuntimeError("out of ink")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(RuntimeError, match="out of ink"):
        draw_confusion_matrix(MATRIX, ANIMALS, path)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_matplotlib_cannot_draw_is_reported_before_the_work(tmp_path, monkeypatch, suffix):
    check_drawing(tmp_path / f"m{suffix}")

    def fail(self, file, **options):
        raise RuntimeError("out of ink\nin many lines")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(InputError, match=r"m\....': matplotlib fails \(out of ink\); install it"):
        check_drawing(tmp_path / f"m{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["TkAgg", "module://gone.backend", "nonsense", ""])
def test_importing_is_cheap_and_drawing_needs_no_display(tmp_path, backend):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pyimagesearch.reporting import draw_confusion_matrix\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"draw_confusion_matrix([[1, 0], [0, 1]], ['a', 'b'], Path({str(tmp_path)!r}, 'm.png'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        f"assert os.environ['MPLBACKEND'] == {backend!r}\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment | {"MPLBACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "m.png").exists()
