"""The page of a training: what it holds, and what a browser makes of it."""

import base64
import json
import re
import shlex
import sys
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from browser import Browser, needs_chromium
from jinja2 import DictLoader
from PIL import Image

import extract_features
from pyimagesearch.linear.evaluation import Evaluation
from pyimagesearch.reporting import TrainedImages, write_training_page
from pyimagesearch.reporting.accuracyplot import accuracy_plot
from pyimagesearch.reporting.confusions import confusions
from pyimagesearch.reporting.page import check_page, environment, write_page
from pyimagesearch.reporting.thumbnails import MOST_BYTES, SIDE, thumbnail, thumbnails
from pyimagesearch.reporting.trainingpage import N_IN_CELLS, extraction_commands
from pyimagesearch.utils import InputError

ODD_NAMES = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!--",
    "&amp; &lt;",
    'double "quotes"',
    "it's",
    "two\nlines",
    "tab\there",
    "قطط",
    "猫",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "javascript:alert(3)",
    '"onload="alert(4)',
    "cats\u202egnp",
    "back\\slash",
    "[0]",
    "accuracy",
    "__proto__",
    "caf\udce9",
    "emoji 👩‍👩‍👧",
    "a" * 200,
    "\u2028",
    "   ",
    "100%",
    "ελληνικά",
    "#matrix",
]
RED, GREEN = (200, 30, 30), (30, 160, 60)


def write(path: Path, labels, predicted, names, images: Path | None = None, **more) -> dict:
    """Write a page of a training whose test rows are the last half; return its report."""
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    n = len(labels)
    sure = np.linspace(0.5, 0.99, n)
    true_probability = np.where(labels == predicted, sure, (1 - sure) / 2)
    rank = (labels != predicted).astype(int)
    evaluation = Evaluation(labels, predicted, true_probability, sure, rank, names)
    report = {
        "db": "features.hdf5",
        "rows": {"train": n, "test": n},
        "n_features": 12,
        "label_names": names,
        "search": [
            {
                "C": C,
                "mean_accuracy": accuracy,
                "std_accuracy": 0.01,
                "iterations": 3,
                "converged": 3,
                "fits": 3,
                "elapsed_s": 0.1,
            }
            for C, accuracy in ((1e-05, 0.9), (10.0, 0.96), (1.0, 0.95))
        ],
        "best_params": {"C": 10.0},
        "all_converged": True,
        "notes": more.pop("notes", []),
        "accuracy": evaluation.accuracy,
        "accuracy_interval": [0.5, 0.9],
        "baseline": evaluation.baseline,
        **evaluation.report_dict(),
        "confusion_matrix": evaluation.confusion_matrix().tolist(),
    }
    paths = [] if images is None else [images / f"{row}.png" for row in range(2 * n)]
    trained = TrainedImages(
        paths, np.concatenate([labels, labels]), np.arange(n, 2 * n), lambda file: load(file)
    )
    defaults = {
        "record": {},
        "db": "features.hdf5",
        "created": "2026-11-28",
        "command": "python train_model.py",
    }
    write_training_page(path, report, evaluation=evaluation, images=trained, **defaults | more)
    return report


def load(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


def draw(folder: Path, rows, colour=RED) -> Path:
    folder.mkdir(exist_ok=True)
    for row in rows:
        Image.new("RGB", (300, 200), colour).save(folder / f"{row}.png")
    return folder


class Structure(HTMLParser):
    """The elements of a page, and its texts."""

    def __init__(self, page: Path):
        super().__init__()
        self.elements, self.data, self._last = [], [], None
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._last = tag

    def handle_data(self, data):
        self.data.append((self._last, data))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def animals(tmp_path_factory) -> Path:
    """Return a page of three classes: one mistake of cats, two of dogs."""
    folder = tmp_path_factory.mktemp("animals")
    labels, predicted = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 0, 0, 1, 0, 0, 1, 2, 2, 2]
    images = draw(folder / "images", range(10, 20))
    page = folder / "animals.html"
    write(page, labels, predicted, ["cats", "dogs", "panda"], images)
    return page


def test_each_cell_of_the_matrix_leads_to_its_images(animals):
    structure = Structure(animals)
    ids = [each["id"] for _, each in structure.elements if "id" in each]
    links = [each["href"] for each in structure.all("a")]
    assert len(ids) == len(set(ids))
    assert all(link[1:] in ids for link in links)
    assert {"#cell-0-0", "#cell-0-1", "#cell-1-0", "#cell-1-1", "#cell-2-2"} <= set(links)
    text = animals.read_text("utf-8")
    section = text[text.index('id="cell-1-0"') : text.index('id="cell-0-1"')]
    # The one whose class was thought least probable comes first.
    assert re.findall(r"<bdi>(\d+\.png)</bdi>", section) == ["15.png", "14.png"]


def test_the_page_needs_no_other_file(animals):
    sources = [
        e[key] for _, e in Structure(animals).elements for key in ("src", "href") if key in e
    ]
    assert sources
    (policy,) = (e["content"] for e in Structure(animals).all("meta") if "http-equiv" in e)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert [source for source in sources if not source.startswith(("#", "data:"))] == []


def test_the_report_is_in_the_page(tmp_path):
    page = tmp_path / "page.html"
    names = [*ODD_NAMES, "]]>"]
    labels = np.arange(len(names))
    report = write(page, labels, np.roll(labels, 1), names, notes=["</script>"])
    text = page.read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', text)
    assert json.dumps(json.loads(found)) == json.dumps(report)  # in the same order, too
    assert "<" not in found
    assert "!--" not in found.replace("\\u003c!--", "")


def test_names_are_texts_whatever_they_hold(tmp_path):
    page = tmp_path / "page.html"
    labels = np.arange(len(ODD_NAMES))
    skipped = {name: name for name in ODD_NAMES}
    record = {"dataset": ODD_NAMES[0], "network": ODD_NAMES[1], "skipped": skipped, "x": ODD_NAMES}
    write(page, labels, np.roll(labels, 1), ODD_NAMES, record=record, notes=ODD_NAMES)
    structure = Structure(page)
    scripts = structure.all("script")
    assert scripts == [{"type": "application/json", "id": "report"}, {}]
    assert not any(key.startswith("on") for _, each in structure.elements for key in each)
    texts = {data for tag, data in structure.data if tag == "bdi"}
    assert {"<script>alert(1)</script>", "قطط", "猫", "{{ 7 * 7 }}", 'double "quotes"'} <= texts
    assert {"two\ufffdlines", "'   '"} <= texts  # nobody would see spaces


def test_a_page_of_many_classes_and_images_stays_small(tmp_path, monkeypatch):
    """101 classes, 3,000 images of noise, which no format can compress."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 101, 3000)
    predicted = np.where(rng.random(3000) < 0.3, rng.integers(0, 101, 3000), labels)
    made = thumbnail(rng.integers(0, 256, (128, 128, 3), dtype=np.uint8))
    monkeypatch.setattr("pyimagesearch.reporting.trainingpage.thumbnails", Same(made))
    page = tmp_path / "page.html"
    write(page, labels, predicted, [f"class {i}" for i in range(101)], tmp_path)
    assert "All test images, the least probable" not in page.read_text("utf-8")
    n_images = len(Structure(page).all("img"))
    assert N_IN_CELLS < n_images < N_IN_CELLS + 100
    assert n_images * len(made.uri) < page.stat().st_size < 5e6
    assert "At most 1 image of each cell" in page.read_text("utf-8")


class Same:
    """Stand in for `thumbnails`: one for all, which is made once."""

    def __init__(self, made):
        self._made = made

    def __call__(self, paths, load, n_threads):
        return dict.fromkeys(paths, self._made)


def test_a_thumbnail_is_small_whatever_it_shows():
    noise = np.random.default_rng(0).integers(0, 256, (500, 700, 3), dtype=np.uint8)
    made = thumbnail(noise)
    assert (made.width, made.height) == (SIDE, 91)
    assert len(made.uri) < 1.4 * MOST_BYTES
    assert len(thumbnail(noise[:SIDE, :SIDE]).uri) < 1.4 * MOST_BYTES
    tiny = thumbnail(noise[:20, :30])
    assert (tiny.width, tiny.height) == (30, 20)
    narrow = thumbnail(noise[:1])
    assert (narrow.width, narrow.height) == (SIDE, 1)


def test_images_that_cannot_be_read_have_no_thumbnail(tmp_path):
    images = draw(tmp_path, [1])
    (tmp_path / "2.png").write_text("no image")
    paths = [images / f"{row}.png" for row in (1, 2, 3)]
    assert list(thumbnails(paths, load, 2)) == paths[:1]


def test_images_that_are_gone_are_named_and_counted(tmp_path):
    page = tmp_path / "page.html"
    images = draw(tmp_path / "images", [3])
    write(page, [0, 1, 1], [0, 1, 0], ["a", "b"], images)
    assert "All test images, the least probable" in page.read_text("utf-8")
    assert "2 images could not be read" in page.read_text("utf-8")
    (images / "3.png").unlink()
    write(page, [0, 1, 1], [0, 1, 0], ["a", "b"], images)
    assert "they cannot be read any more" in page.read_text("utf-8")


def test_a_page_without_images_names_the_rows(tmp_path):
    page = tmp_path / "page.html"
    write(page, [0, 1, 1], [0, 1, 0], ["a", "b"])
    structure = Structure(page)
    assert not structure.all("img")
    assert ("bdi", "row 5") in structure.data
    text = page.read_text("utf-8")
    assert "the file of features does not record them" in text
    assert "No image was skipped" not in text  # which nobody knows


def test_suspects_and_duplicates_are_shown_where_there_are_any(tmp_path):
    page, images = tmp_path / "page.html", draw(tmp_path / "images", range(6))
    arguments = ([0, 1, 1], [0, 1, 1], ["a", "b"], images)
    write(page, *arguments)
    assert not {"suspects", "duplicates"} & {e.get("id") for _, e in Structure(page).elements}
    suspects = SimpleNamespace(
        rows=np.array([1, 0]),
        given=np.array([1, 0]),
        suggested=np.array([0, 1]),
        suggested_probability=np.array([0.9, 0.8]),
    )
    record = {"duplicate_groups": [[1, 2], [0, 4], [3, 99], "x"]}
    write(page, *arguments, suspects=suspects, record=record)
    text = page.read_text("utf-8")
    section = text[text.index('<section id="suspects"') : text.index('<section id="duplicates"')]
    assert re.findall(r"<bdi>(\d\.png)</bdi>", section) == ["1.png", "0.png"]
    assert "90%" in section
    section = text[text.index('<section id="duplicates"') : text.index('<section id="provenance"')]
    assert "2 photographs are there more than once" in section
    # That in two classes comes first.
    assert re.findall(r"<bdi>(\d\.png)</bdi>", section) == ["0.png", "4.png", "1.png", "2.png"]
    assert section.count("in several classes") == 1


def test_the_command_of_the_extraction_is_understood():
    record = {
        "dataset": "my 'animals'",
        "network": "ResNet50",
        "layer": "conv4_block6_out",
        "pooling": "avg",
        "size": [224, 224],
        "preprocessing": "caffe",
        "weights": {"name": "imagenet", "sha256": "0"},
        "weights_file": None,
        "seed": 7,
    }
    (command,) = extraction_commands(record, "a b.hdf5")
    python, script, *options = shlex.split(command)
    assert (python, script) == ("python", "extract_features.py")
    arguments = extract_features.build_parser().parse_args(options)
    assert (arguments.dataset, arguments.output) == ("my 'animals'", "a b.hdf5")
    assert (arguments.layer, arguments.size, arguments.seed) == ("conv4_block6_out", 224, 7)
    assert (arguments.weights, arguments.pooling) == ("imagenet", "avg")
    assert (arguments.labels, arguments.skip_bad) == (None, False)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        pytest.param({"skipped": {"a.jpg": "cut"}}, {"skip_bad": True}, id="skipped"),
        pytest.param({"labels": {"from": "name"}}, {"labels_from": "name"}, id="names"),
        pytest.param({"labels": {"from": "table"}}, {"labels": "TABLE.csv"}, id="table"),
        pytest.param(
            {"network": "own.keras", "weights_file": "/nets/own.keras", "weights": {"name": "x"}},
            {"network": "/nets/own.keras", "weights": None},
            id="network of one's own",
        ),
    ],
)
def test_the_command_of_the_extraction_asks_for_the_same(recorded, expected):
    (command,) = extraction_commands({"dataset": "animals", **recorded}, "a.hdf5")
    arguments = extract_features.build_parser().parse_args(shlex.split(command)[2:])
    assert {key: getattr(arguments, key) for key in expected} == expected


def test_long_values_of_the_provenance_are_cut(tmp_path):
    record = {"groups": [list(range(5000))], "others": list(range(5000))}
    write(page := tmp_path / "page.html", [0, 1, 1], [0, 1, 0], ["a", "b"], record=record)
    text = page.read_text("utf-8")
    assert "[0, 1, 2, 3" in text
    assert "4999" not in text


@pytest.mark.parametrize("mean", [0.0, 0.02, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("std", [0.0, 0.004, 0.3])
def test_the_plot_of_any_accuracies_is_within_its_frame(mean, std):
    grid = (0.1, 1.0, 1e5)
    search = [{"C": C, "mean_accuracy": mean, "std_accuracy": std} for C in grid]
    plot = accuracy_plot(search, 1.0)
    heights = [y for point in plot.points for y in (point.high, point.y, point.low)]
    assert heights == 3 * sorted(heights[:3])
    assert 0 < min(heights) <= max(heights) <= plot.bottom
    assert [point.is_best for point in plot.points] == [False, True, False]
    assert [text for _, text in plot.x_ticks] == ["0.1", "1", "100000"]
    ticks = [float(text.rstrip("%")) for _, text in plot.y_ticks]
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= 100 * mean <= ticks[-1]
    assert ticks[0] >= 0
    assert ticks[-1] <= 100


def test_of_very_many_classes_the_table_has_those_with_mistakes():
    labels = np.arange(1000)
    predicted = labels.copy()
    predicted[[3, 999]] = [4, 5]
    table = confusions(labels, predicted, np.ones(1000), 1000, 100)
    assert len(table.classes) == 250
    assert {3, 4, 5, 999} <= set(table.classes)
    assert (table.missed, table.wrongly_predicted) == ({3, 999}, {4, 5})
    assert sum(cell.n_shown for cell in table.cells.values()) == 100
    assert table.cells[3, 4].n_shown == 1
    assert not table.is_whole
    assert confusions(labels, predicted, np.ones(1000), 1000, 1000).is_whole


def test_the_same_is_written_again_byte_for_byte(tmp_path):
    images = draw(tmp_path / "images", range(6))
    for name in ("one.html", "two.html"):
        write(tmp_path / name, [0, 1, 1], [0, 1, 0], ["a", "b"], images)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_page_is_refused_before_the_work_where_jinja2_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=r"cannot write 'page\.html': .*jinja2.*install"):
        check_page("page.html")


def test_a_page_is_written_piece_by_piece(tmp_path, monkeypatch):
    longest = []
    made = environment()
    stream = made.get_template("training.html").root_render_func

    def watched(context):
        for piece in stream(context):
            longest.append(len(piece))
            yield piece

    template = made.get_template("training.html")
    template.root_render_func = watched
    monkeypatch.setattr("pyimagesearch.reporting.page.environment", lambda: made)
    images = draw(tmp_path / "images", range(200, 400))
    write(tmp_path / "page.html", np.arange(200) % 2, np.zeros(200, int), ["a", "b"], images)
    assert max(longest) < 20_000  # the style sheet, a figure
    assert sum(longest) > 10 * max(longest)


def test_a_page_is_on_the_disk_before_it_is_whole_in_memory(tmp_path, monkeypatch):
    made = environment()
    made.loader = DictLoader({"long.html": "{% for _ in range(400) %}{{ piece }}{% endfor %}"})
    monkeypatch.setattr("pyimagesearch.reporting.page.environment", lambda: made)
    tracemalloc.start()
    write_page(tmp_path / "page.html", "long.html", piece="a" * 100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "page.html").stat().st_size == 40_000_000
    assert peak < 25_000_000


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@needs_chromium
def test_a_click_on_a_number_shows_its_images(browser, animals):
    browser.open(animals)
    browser.click('.matrix a[href="#cell-1-0"]')
    assert browser.ask("location.hash") == "#cell-1-0"
    assert browser.texts(":target figure .file") == ["15.png", "14.png"]
    top = browser.ask("document.querySelector(':target').getBoundingClientRect().top")
    assert 0 <= top < 900
    image = "document.querySelector(':target img')"
    assert browser.ask(f"{image}.decode().then(() => {image}.naturalWidth)") == SIDE
    assert browser.problems == []


@needs_chromium
def test_columns_are_sorted_by_mouse_and_keyboard(browser, animals):
    browser.open(animals)
    column = "#search tbody tr td:nth-child(2)"
    assert browser.texts(column) == ["0.9000", "0.9600", "0.9500"]
    heading = "#search th:nth-child(2)"
    browser.click(f"{heading} button")
    assert browser.texts(column) == ["0.9000", "0.9500", "0.9600"]
    assert browser.ask(f"document.querySelector('{heading}').ariaSort") == "ascending"
    browser.ask(f"document.querySelector('{heading} button').focus()")
    browser.press("Enter")
    assert browser.texts(column) == ["0.9600", "0.9500", "0.9000"]
    assert browser.ask(f"document.querySelector('{heading}').ariaSort") == "descending"
    browser.click("#search th:nth-child(1) button")  # 10 has a star, and comes last all the same
    assert browser.texts(column) == ["0.9000", "0.9500", "0.9600"]
    assert browser.ask("document.querySelectorAll('#search [aria-sort]').length") == 1


@needs_chromium
def test_without_javascript_all_is_there(browser, animals):
    browser.open(animals, script=False)
    assert browser.texts("#search thead th")[0] == "C"
    assert browser.texts("th button") == []
    browser.click('.matrix a[href="#cell-0-1"]')
    assert browser.texts(":target figure .file") == ["13.png"]


@needs_chromium
def test_rows_and_columns_without_mistakes_are_shown_on_demand(browser, tmp_path):
    labels = np.repeat(np.arange(20), 2)
    predicted = labels.copy()
    predicted[[0, 2, 4]] = 19
    write(page := tmp_path / "page.html", labels, predicted, [f"class {i}" for i in range(20)])
    browser.open(page, script=False)
    visible = "[...document.querySelectorAll('.matrix {}')].filter(e => e.offsetParent).length"
    rows, columns = visible.format("tbody tr th"), visible.format("thead th")
    assert (browser.ask(rows), browser.ask(columns)) == (3, 1 + 1)
    browser.click("#all-classes")
    assert (browser.ask(rows), browser.ask(columns)) == (20, 1 + 20)


@needs_chromium
@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_its_window_in_light_and_dark(browser, tmp_path, width, dark):
    labels = np.arange(len(ODD_NAMES))
    page, images = tmp_path / "page.html", draw(tmp_path / "images", range(27, 54), GREEN)
    record = {"dataset": "x" * 300, "skipped": {"y" * 300: "z" * 300}}
    write(page, labels, np.roll(labels, 1), ODD_NAMES, images, record=record, notes=ODD_NAMES)
    browser.open(page, width, dark)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    colours = browser.ask(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    paper, ink = (sum(map(int, re.findall(r"\d+", colour))) for colour in colours)
    assert (paper < ink) == dark
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
    assert browser.problems == []  # no dialog, no script that was kept from running


@needs_chromium
def test_the_page_is_printed_in_whole(browser, animals):
    browser.open(animals, dark=True)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    printed = base64.b64decode(browser.do("Page.printToPDF", printBackground=True)["data"])
    assert printed.startswith(b"%PDF")
    browser.do("Emulation.setEmulatedMedia", media="print", features=dark)
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.do("Emulation.setEmulatedMedia", media="")
