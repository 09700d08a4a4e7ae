"""README.md, its translation and docs/ stay true because they are read here."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from conftest import load_fake

import classify_images
import extract_features
import train_model

ROOT = Path(__file__).parents[1]
READMES = ROOT / "README.md", ROOT / "README.zh-CN.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
README, CHINESE = (path.read_text("utf-8") for path in READMES)
ENGLISH = README + "".join(path.read_text("utf-8") for path in DOCS)
SCRIPTS = {
    "extract_features.py": extract_features,
    "train_model.py": train_model,
    "classify_images.py": classify_images,
}
MOST_LINES = 200
COMMAND = re.compile(r"^(?:\$|   ) ?(?:.*\| )?python (\S+\.py .*)$", re.MULTILINE)
LINK = re.compile(r'\]\(([^)\s]+)\)|src="([^"]+)"')


def commands() -> list:
    return [pytest.param(command, id=command[:60]) for command in COMMAND.findall(ENGLISH)]


@pytest.mark.parametrize("command", commands())
def test_each_command_is_understood_by_its_script(command):
    script, *arguments = shlex.split(command)
    if script in SCRIPTS:
        SCRIPTS[script].build_parser().parse_args(arguments)
    else:
        assert (ROOT / script).is_file()


def test_there_are_commands_of_all_scripts():
    assert {command.values[0].split()[0] for command in commands()} >= set(SCRIPTS)


def options(script: str) -> list:
    return [
        action
        for action in SCRIPTS[script].build_parser()._actions
        if action.option_strings and "--help" not in action.option_strings
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_option_is_in_a_section_that_names_its_script(script):
    sections = re.split(r"^(?=#+ )", ENGLISH, flags=re.MULTILINE)
    text = "".join(section for section in sections if script in section)
    for action in options(script):
        flag = next(flag for flag in action.option_strings if flag.startswith("--"))
        assert re.search(rf"{flag}(?![\w-])", text), flag


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_help_names_the_default_of_each_option(script):
    for action in options(script):
        assert action.help, action.option_strings
        if action.default not in (None, False) and not isinstance(action.default, tuple | list):
            described = action.help % vars(action)
            assert f"(default: {action.default})" in described, action.option_strings


def outline(text: str) -> dict[str, object]:
    """Return what a translation has in common with its original."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {
        "headings": [line.split()[0] for line in re.findall(r"^#+ .*$", prose, re.MULTILINE)],
        "code": re.findall(r"^(?:    [^\n]*\n)+|^```.*?^```$", text, re.MULTILINE | re.DOTALL),
        "tables": [[row.count("|") for row in table.splitlines()] for table in tables],
        "figures": [re.findall(r"\d+(?:[,.]\d+)*", table) for table in tables],
        "names": sorted(re.findall(r"`[^`\n]+`", prose)),
        "links": sorted(map(max, LINK.findall(prose.partition("\n## ")[2]))),
    }


@pytest.mark.parametrize("part", ["headings", "code", "tables", "figures", "names", "links"])
def test_the_translation_has_the_same(part):
    assert outline(CHINESE)[part] == outline(README)[part]


def test_each_readme_links_to_the_other_at_its_top():
    assert "(README.zh-CN.md)" in README.split("\n\n")[1]
    assert "(README.md)" in CHINESE.split("\n\n")[1]


@pytest.mark.parametrize("text", [README, CHINESE], ids=["English", "Chinese"])
def test_a_readme_can_be_read_at_one_go(text):
    assert len(text.splitlines()) <= MOST_LINES


def anchors(text: str) -> set[str]:
    """Return what a page's headings can be linked by, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each).strip().lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", [*READMES, *DOCS], ids=lambda path: path.name)
def test_each_link_leads_somewhere(page):
    for link in map(max, LINK.findall(page.read_text("utf-8"))):
        if "://" not in link:
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("text", [README, CHINESE], ids=["English", "Chinese"])
def test_each_page_is_linked(text):
    assert {f"docs/{path.name}" for path in DOCS} <= set(map(max, LINK.findall(text)))


@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")  # on images this small
def test_the_python_of_the_docs_runs(tmp_path, monkeypatch, image_folder, capsys):
    """On the drawn images, which stand where the docs have the animals."""
    monkeypatch.chdir(tmp_path)
    extract_features.extract(image_folder, "animals/hdf5/features.hdf5", load_network=load_fake)
    arguments = ["--db", "animals/hdf5/features.hdf5", "--model", "animals.skops"]
    assert train_model.main(arguments) == 0
    np.random.seed(0)
    codes = re.findall(r"```python\n(.*?)```", ENGLISH, re.DOTALL)
    # Those of whole models are run by tests/test_train_whole.py: they need a real network.
    codes = [code for code in codes if "keras.saving" not in code]
    assert len(codes) == 3
    for code in codes:
        exec(code, {})
    assert Path("images.hdf5").exists()
    out = capsys.readouterr().out
    assert re.search(r"LinearSVC: [01]\.\d{4}\nRandomForestClassifier: [01]\.\d{4}\n", out)
    assert "fake" in out


def test_the_python_of_the_readme_is_that_of_the_docs():
    for code in re.findall(r"^```python\n.*?^```", README, re.DOTALL | re.MULTILINE):
        assert ENGLISH.count(code) == 2


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_commands_in_the_help_are_understood(script):
    found = re.findall(rf"^    python {script} (.*)$", SCRIPTS[script].__doc__, re.MULTILINE)
    assert found
    for command in found:
        SCRIPTS[script].build_parser().parse_args(shlex.split(command))
