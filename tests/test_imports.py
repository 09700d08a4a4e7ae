"""The direction in which imports point, and where each library lives."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pyimagesearch"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
# Every other room knows itself and utils only.
INTRODUCES = {
    "extraction": {"nn", "preprocessing"},
    "results": {"io", "linear", "nn", "preprocessing", "reporting"},
}
BACKENDS = ("tensorflow", "torch", "jax")
HOMES = {
    "ai_edge_litert": {"nn"},
    "flatbuffers": {"nn"},
    "dask": {"extraction"},
    "distributed": {"extraction"},
    "filelock": {"io"},
    "h5py": {"io", "nn"},  # files of weights are HDF5, too
    "kagglehub": {"nn"},
    "keras": {"nn"},
    "keras_hub": {"nn"},
    "ncnn": {"nn"},
    "openvino": {"nn"},
    "sklearn": {"linear"},
    "scipy": {"linear"},
    "skops": {"linear"},
    "jinja2": {"reporting"},
    "markupsafe": {"reporting"},
    "matplotlib": {"reporting"},
    "imutils": {"preprocessing"},
    "PIL": {"preprocessing", "reporting"},
    "pillow_heif": {"preprocessing"},
    "progressbar": {"utils"},
    "wcwidth": {"utils"},
}


def imported_modules(path: Path) -> set[str]:
    """Return the full name of every module that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.fixture(scope="module")
def imports() -> list[tuple[Path, str, str]]:
    """Each module of the package, its room, and one of the names that it imports."""
    return [
        (path, path.relative_to(PACKAGE).parts[0], name)
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in sorted(imported_modules(path))
    ]


def test_a_room_imports_itself_and_utils_only(imports):
    wrong = [
        f"{path} imports {name}"
        for path, room, name in imports
        if name.startswith("pyimagesearch.")
        and name.split(".")[1] not in {room, "utils"} | INTRODUCES.get(room, set())
    ]
    assert not wrong


def test_each_library_has_one_home(imports):
    libraries = [(path, room, name.split(".")[0]) for path, room, name in imports]
    wrong = [
        f"{path} imports {library}"
        for path, room, library in libraries
        if room not in HOMES.get(library, {room})
    ]
    assert not wrong
    programs = PACKAGE / "nn" / "whole" / "programs"  # each of a process of its own
    used = [
        f"{path} imports {library}, which is Keras's affair"
        for path, _, library in libraries
        if library in BACKENDS and path.parent != programs
    ]
    assert not used


def test_every_room_is_known_to_this_test():
    assert ROOMS == [
        "extraction",
        "io",
        "linear",
        "nn",
        "preprocessing",
        "reporting",
        "results",
        "utils",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "rooms",  # imported one after the other, where the later may have all that the earlier may
    [
        ["utils", "preprocessing"],
        ["nn", "extraction"],
        ["linear", "results"],
        ["io"],
        ["reporting"],
    ],
    ids="-".join,
)
def test_a_room_brings_along_no_library_of_another(rooms):
    program = "import sys\n" + "".join(
        f"import pyimagesearch.{room}; print(*sys.modules)\n" for room in rooms
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for room, loaded in zip(rooms, done.stdout.splitlines(), strict=True):
        allowed = {room, "utils"} | INTRODUCES.get(room, set())
        foreign = {library for library, homes in HOMES.items() if not homes & allowed}
        assert not foreign & set(loaded.split()), room


HELP_AND_USAGE_ERROR = """
import runpy, sys
for arguments, code in (["--help"], 0), (["--no-such-option"], 2):
    sys.argv[1:] = arguments
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        assert stop.code == code, stop.code
heavy = set(
    "cv2 distributed imutils jinja2 keras matplotlib pandas scipy sklearn tensorflow".split()
)
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", ["extract_features.py", "train_model.py", "classify_images.py"])
def test_help_and_usage_errors_need_little_and_no_folder(script, tmp_path):
    linked = tmp_path / "linked.py"  # as into a folder of the PATH
    linked.symlink_to(ROOT / script)
    # -I as the strictest of Python's modes that leave the script's folder out
    program = f"import sys; sys.argv = [{str(linked)!r}]\n{HELP_AND_USAGE_ERROR}"
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("usage: linked.py")
    assert done.stderr.startswith("usage: linked.py")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["-I", "-P"])
def test_a_script_runs_in_pythons_isolated_modes_from_anywhere(mode, tmp_path):
    linked = tmp_path / "linked.py"
    linked.symlink_to(ROOT / "extract_features.py")
    command = [sys.executable, mode, linked, "--help"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("usage: ")
