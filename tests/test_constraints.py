"""constraints.txt pins every package that is installed for this project."""

import importlib.metadata
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LINES = [
    line
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
PINNED = dict(line.split("==") for line in LINES)
COLLECT = runpy.run_path(str(ROOT / ".ci" / "constraints.py"))
ADVICE = "a requirement is new or gone: write constraints.txt with `make constraints`"


def test_a_constraint_is_a_name_and_a_version_and_no_address():
    for line in LINES:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.+-]*", line), line
    assert sorted(PINNED) == list(PINNED)


@pytest.mark.keras_hub  # optional for whoever runs the tests, not for the list
def test_every_package_that_is_needed_is_pinned():
    needed = COLLECT["versions"]().keys()
    assert needed <= PINNED.keys(), ADVICE
    if sys.version_info[:2] == (3, 11) and sys.platform == "linux":  # where it is written
        assert needed == PINNED.keys(), ADVICE


@pytest.mark.parametrize("file", COLLECT["FILES"])
def test_each_requirement_allows_what_is_pinned(file):
    for requirement in COLLECT["requirements"](ROOT / file):
        pinned = PINNED[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned), f"{requirement}: {pinned} is pinned"


@pytest.mark.parametrize(
    ("text", "extras", "needed"),
    [
        pytest.param("a", set(), True, id="always"),
        pytest.param("a; sys_platform == 'darwin'", set(), True, id="macOS"),
        pytest.param("a; sys_platform == 'win32'", set(), False, id="Windows"),
        pytest.param("a; python_version < '3.12'", set(), True, id="the oldest Python"),
        pytest.param("a; python_version < '3.11'", set(), False, id="an older one"),
        pytest.param("a; extra == 'b'", set(), False, id="without the extra"),
        pytest.param("a; extra == 'b'", {"b"}, True, id="with it"),
    ],
)
def test_what_other_systems_and_pythons_need_is_pinned_too(text, extras, needed):
    assert COLLECT["is_needed"](Requirement(text), extras) is needed


def test_what_requirements_require_with_their_extras_is_found_once(monkeypatch):
    needs = {"a": ["c; extra == 'x'", "e; extra == 'y'"], "c": ["D_d"], "d-d": ["c"]}
    functions = COLLECT["versions"].__globals__
    monkeypatch.setitem(functions, "FILES", ("r.txt",))
    monkeypatch.setitem(functions, "requirements", lambda file: [Requirement("A[x]>1")])
    monkeypatch.setattr(
        importlib.metadata,
        "distribution",
        lambda name: SimpleNamespace(version=f"1+{name}", requires=needs[name]),
    )
    assert COLLECT["versions"]() == {"a": "1+a", "c": "1+c", "d-d": "1+d-d"}
