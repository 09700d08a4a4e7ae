"""The report of new images, as a page and as JSON."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from browser import Browser, needs_chromium
from PIL import Image

from pyimagesearch.reporting import AnswersReport, answersreport

NAMES = ["cats", "?", "<b>dogs</b>"]
ABOUT = {"Classifier": "</dd>"}


def load(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


def answer(path: Path, predicted: int, probability: float) -> SimpleNamespace:
    return SimpleNamespace(
        path=path, predicted=predicted, probability=probability, is_unknown=False, likeness=None
    )


def unknown(path: Path, nearest: int, similarity: float) -> SimpleNamespace:
    like = SimpleNamespace(nearest=nearest, similarity=similarity)
    return SimpleNamespace(path=path, is_unknown=True, likeness=like)


@pytest.fixture
def answers(tmp_path) -> AnswersReport:
    """Return answers of seven images: three cats, a "?", a dog, two unknown ones."""
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path in paths:
        Image.new("RGB", (40, 30), "green").save(path)
    made = AnswersReport(NAMES)
    for i, probability in enumerate((0.9, 0.5, 0.7)):
        made.add(answer(paths[i], 0, probability))
    made.add(answer(paths[3], 1, 0.6))
    made.add(answer(paths[4], 2, 0.8))
    made.add(unknown(paths[5], 2, 0.3))
    made.add(unknown(paths[6], 0, 0.2))
    made.add_unreadable(tmp_path / "bad.png", "'bad.png' is <cut>")
    return made


def section(text: str, name: str) -> str:
    (found,) = re.findall(rf'<section[^>]* id="{name}".*?</section>', text, re.DOTALL)
    return found


def files(text: str) -> list[str]:
    return re.findall(r'class="file"><bdi>(.*?)</bdi>', text)


def test_images_lie_with_their_class_the_least_sure_first(answers, tmp_path):
    answers.write(page := tmp_path / "a.html", load, ABOUT)
    text = page.read_text("utf-8")
    assert files(section(text, "class-1")) == ["1.png", "2.png", "0.png"]
    assert files(section(text, "unknown")) == ["6.png", "5.png"]
    assert files(section(text, "least-sure")) == ["1.png", "3.png", "2.png", "4.png", "0.png"]
    assert "7 images classified" in text
    assert "&#39;bad.png&#39; is &lt;cut&gt;" in section(text, "unreadable")
    assert "<b>" not in text
    assert "&lt;/dd&gt;" in text
    assert text.count("<img ") == 12


def test_the_numbers_lie_in_the_page_and_in_json(answers, tmp_path):
    answers.write(tmp_path / "a.html", load, ABOUT)
    answers.write(tmp_path / "a.json", load, ABOUT)
    found = json.loads((tmp_path / "a.json").read_text("utf-8"))
    text = (tmp_path / "a.html").read_text("utf-8")
    (held,) = re.findall(r'<script type="application/json" id="report">(.*)</script>', text)
    assert json.loads(held) == found
    assert found["classes"] == {"cats": 3, "?": 1, "<b>dogs</b>": 1}
    assert (found["n_images"], found["n_unknown"], found["n_unreadable"]) == (7, 2, 1)
    assert found["n_answers_left_out"] == 0
    assert found["answers"][0] == {
        "path": str(tmp_path / "0.png"),
        "class": "cats",
        "probability": 0.9,
    }
    assert found["answers"][5] == {
        "path": str(tmp_path / "5.png"),
        "class": "?",
        "probability": None,
        "nearest_class": "<b>dogs</b>",
        "similarity": 0.3,
    }


def test_of_many_images_those_least_sure_are_kept_and_the_rest_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(answersreport, "N_ANSWERS", 50)
    rng = np.random.default_rng(0)
    probabilities = rng.permutation(np.linspace(0.4, 0.9, 3000))
    made = AnswersReport([f"class {i}" for i in range(10)])
    for i, probability in enumerate(probabilities):
        made.add(answer(Path(f"{i}.png"), i % 10, probability))
    made.write(page := tmp_path / "a.html", load, ABOUT)
    text = page.read_text("utf-8")
    assert "At most 60 images of each class are shown" in text
    assert "class 0</bdi>: 300 images, 60 shown" in section(text, "class-1")
    expected = [f"{10 * i}.png" for i in np.argsort(probabilities[::10])[:60]]
    assert files(section(text, "class-1")) == expected
    assert "The data in this page hold the first 50 answers" in text
    assert made.to_json()["n_answers_left_out"] == 2950


def test_a_page_of_no_answers_names_what_cannot_be_read(tmp_path):
    made = AnswersReport(NAMES)
    made.add_unreadable(Path("bad.png"), "cut")
    made.write(page := tmp_path / "a.html", load, ABOUT)
    assert "bad.png" in section(page.read_text("utf-8"), "unreadable")


@needs_chromium
def test_a_class_leads_to_its_images(answers, tmp_path):
    answers.write(page := tmp_path / "a.html", load, ABOUT, ["report\n  of lines"])
    with Browser() as browser:
        for width, dark in ((400, False), (1600, True)):
            browser.open(page, width, dark)
            assert browser.ask("document.documentElement.scrollWidth") <= width
        browser.click("#classes th:nth-child(2) button")
        assert browser.texts("#classes tbody td:nth-child(2)") == ["1", "1", "3"]
        browser.click('a[href="#class-1"]')
        assert browser.texts(":target .file") == ["1.png", "2.png", "0.png"]
        assert browser.problems == []
