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


def modules() -> list:
    return [
        pytest.param(path, id=str(path.relative_to(ROOT))) for path in sorted(PACKAGE.rglob("*.py"))
    ]


@pytest.mark.parametrize("path", modules())
def test_a_room_imports_itself_and_utils_only(path):
    room = path.relative_to(PACKAGE).parts[0]
    allowed = {room, "utils"} | INTRODUCES.get(room, set())
    for name in imported_modules(path):
        if name.startswith("pyimagesearch."):
            assert name.split(".")[1] in allowed, name


@pytest.mark.parametrize("path", modules())
def test_each_library_has_one_home(path):
    room = path.relative_to(PACKAGE).parts[0]
    for name in imported_modules(path):
        library = name.split(".")[0]
        assert room in HOMES.get(library, {room}), f"{library} in {path}"
        is_program = path.parent == PACKAGE / "nn" / "whole" / "programs"  # of a process of its own
        assert is_program or library not in BACKENDS, f"{library} is Keras's affair"


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
@pytest.mark.parametrize("room", ROOMS)
def test_a_room_brings_along_no_library_of_another(room):
    program = f"import sys, pyimagesearch.{room}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    rooms = {room, "utils"} | INTRODUCES.get(room, set())
    foreign = {library for library, homes in HOMES.items() if not homes & rooms}
    assert not foreign & set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("script", ["extract_features.py", "train_model.py", "classify_images.py"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [pytest.param(["--help"], 0, id="help"), pytest.param(["--unknown"], 2, id="usage error")],
)
def test_help_and_usage_errors_do_not_import_tensorflow(script, arguments, code):
    program = (
        "import runpy, sys\n"
        f"sys.argv = [{script!r}, *{arguments!r}]\n"
        "try:\n"
        f"    runpy.run_path({script!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n"
        f"    assert stop.code == {code}, stop.code\n"
        "heavy = {'cv2', 'distributed', 'imutils', 'jinja2', 'keras', 'matplotlib', 'tensorflow'}\n"
        "assert not heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["extract_features.py", "train_model.py", "classify_images.py"])
@pytest.mark.parametrize("mode", ["-I", "-P"])
def test_a_script_runs_in_pythons_isolated_modes_from_anywhere(script, mode, tmp_path):
    linked = tmp_path / "linked.py"  # as into a folder of the PATH
    linked.symlink_to(ROOT / script)
    command = [sys.executable, mode, linked, "--help"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("usage: ")
