"""The solver as a room of its own."""

import ast
from pathlib import Path

import pytest

from pyimagesearch.linear import solver

MODULES = sorted(Path(solver.__file__).parent.glob("*.py"))
KNOWN = ("numpy", "scipy", "threadpoolctl", "pyimagesearch.linear.solver", "pyimagesearch.utils")
STANDARD = ("collections", "concurrent", "dataclasses", "functools", "itertools", "time", "typing")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_solver_knows_nothing_of_files_or_of_scikit_learn(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    assert names
    for name in names:
        assert name.startswith(KNOWN) or name.partition(".")[0] in STANDARD, name
