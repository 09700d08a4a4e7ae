"""README.md and its translation stay true because they are read here."""

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
README, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))
SCRIPTS = {
    "extract_features.py": extract_features,
    "train_model.py": train_model,
    "classify_images.py": classify_images,
}
HYPHENATED = ("--batch-size", "--buffer-size")  # other spellings, told below the tables
COMMAND = re.compile(r"^(?:\$|   ) ?(?:.*\| )?python (\S+\.py .*)$", re.MULTILINE)


def commands() -> list:
    return [pytest.param(command, id=command[:60]) for command in COMMAND.findall(README)]


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


@pytest.mark.parametrize("text", [README, CHINESE], ids=["English", "Chinese"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_each_option_is_in_the_table_of_its_script_with_its_default(script, text):
    (table,) = re.findall(rf"^`{script}`\n\n((?:\|.*\n)+)", text, re.MULTILINE)
    for action in options(script):
        flags = [flag for flag in action.option_strings if flag not in HYPHENATED]
        rows = [row for row in table.splitlines() if re.match(rf"\| `{flags[0]}[ `]", row)]
        assert len(rows) == 1, flags
        assert all(f"`{flag}" in rows[0] for flag in flags), flags
        if action.default not in (None, False) and not isinstance(action.default, tuple | list):
            assert str(action.default) in rows[0].split("|")[2], flags


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
    }


@pytest.mark.parametrize("part", ["headings", "code", "tables", "figures", "names"])
def test_the_translation_has_the_same(part):
    assert outline(CHINESE)[part] == outline(README)[part]


def test_each_readme_links_to_the_other_at_its_top():
    assert "(README.zh-CN.md)" in README.split("\n\n")[1]
    assert "(README.md)" in CHINESE.split("\n\n")[1]


@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")  # on pictures this small
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, image_folder, capsys):
    """On the drawn pictures, which stand where the README has the animals."""
    monkeypatch.chdir(tmp_path)
    extract_features.extract(image_folder, "animals/hdf5/features.hdf5", load_network=load_fake)
    arguments = ["--db", "animals/hdf5/features.hdf5", "--model", "animals.skops"]
    assert train_model.main(arguments) == 0
    np.random.seed(0)
    # What leaves the house is run by tests/test_train_whole.py: it needs a real network.
    of_the_house = re.sub(r"^## Taking it along\n.*?^## ", "## ", README, flags=re.M | re.S)
    for code in re.findall(r"```python\n(.*?)```", of_the_house, re.DOTALL):
        exec(code, {})
    assert Path("pictures.hdf5").exists()
    out = capsys.readouterr().out
    assert re.search(r"LinearSVC: [01]\.\d{4}\nRandomForestClassifier: [01]\.\d{4}\n", out)
    assert "fake" in out


def test_every_room_is_in_the_layout():
    for path in (ROOT / "pyimagesearch").glob("*/__init__.py"):
        assert f"        {path.parent.name}/" in README


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_commands_in_the_help_are_understood(script):
    found = re.findall(rf"^    python {script} (.*)$", SCRIPTS[script].__doc__, re.MULTILINE)
    assert found
    for command in found:
        SCRIPTS[script].build_parser().parse_args(shlex.split(command))
