"""README.md stays true because it is read here."""

import re
import shlex
from pathlib import Path

import pytest

import extract_features
import train_model

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SCRIPTS = {"extract_features.py": extract_features, "train_model.py": train_model}


def commands() -> list:
    found = re.findall(r"^(?:\$|   ) ?python (\S+\.py .*)$", README, re.MULTILINE)
    return [pytest.param(command, id=command[:60]) for command in found]


@pytest.mark.parametrize("command", commands())
def test_each_command_is_understood_by_its_script(command):
    script, *arguments = shlex.split(command)
    SCRIPTS[script].build_parser().parse_args(arguments)


def test_there_are_commands_of_both_scripts():
    assert {command.values[0].split()[0] for command in commands()} == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_option_is_mentioned(script):
    for action in SCRIPTS[script].build_parser()._actions:
        short_and_first_long = [flag for flag in action.option_strings if "-size" not in flag]
        for flag in short_and_first_long:
            assert f"`{flag}" in README, flag


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_default_is_the_one_in_the_table(script):
    for action in SCRIPTS[script].build_parser()._actions:
        if action.default not in (None, False, "==SUPPRESS=="):
            (row, *_) = re.findall(rf"^\| `{action.option_strings[0]}[ `].*$", README, re.MULTILINE)
            assert str(action.default) in row.split("|")[2]


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code, *_) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert Path("pictures.hdf5").exists()


def test_every_room_is_in_the_layout():
    rooms = [path.name for path in (ROOT / "pyimagesearch").iterdir() if path.is_dir()]
    for room in rooms:
        assert room == "__pycache__" or f"        {room}/" in README


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_commands_in_the_help_are_understood(script):
    commands = re.findall(rf"^    python {script} (.*)$", SCRIPTS[script].__doc__, re.MULTILINE)
    assert commands
    for command in commands:
        SCRIPTS[script].build_parser().parse_args(shlex.split(command))
