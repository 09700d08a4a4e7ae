"""docs/architecture.md stays true because it is read here."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pyimagesearch"
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PARAGRAPHS = dict(re.findall(r"^\*\*`(\w+)`\*\*(.*?)(?=\n\n)", TEXT, re.MULTILINE | re.DOTALL))


def test_each_room_has_a_paragraph():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(PARAGRAPHS) == rooms


@pytest.mark.parametrize("room", sorted(PARAGRAPHS))
def test_the_modules_of_a_paragraph_are_there(room):
    for module in re.findall(r"`([\w/]+\.py)`", PARAGRAPHS[room]):
        assert list((PACKAGE / room).rglob(module)), module


def test_the_names_that_it_mentions_are_there():
    code = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    for name in re.findall(r"`(?:\w+\.)?([A-Za-z_]{4,})(?:\(\))?`", TEXT):
        assert name in code or (PACKAGE / name).is_dir() or name == "main", name


def test_it_is_one_page():
    assert len(TEXT.splitlines()) <= 110
