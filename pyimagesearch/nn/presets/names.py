"""The names of the presets of KerasHub that are for images.

All this is known without importing KerasHub, which takes seconds.
"""

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.utils import InputError

INSTALL = "pip install -r requirements-hub.txt"
# Whose networks take videos, patches or several images at once, and up to 20 GB (keras-hub 0.32).
NOT_FOR_SINGLE_IMAGES = (
    "gemma3",
    "gemma3n",
    "gemma4",
    "qwen3_5",
    "qwen3_5_moe",
    "sam3",
    "t5gemma2",
    "video_prism",
)


def is_installed() -> bool:
    """Return whether KerasHub is there."""
    return importlib.util.find_spec("keras_hub") is not None


def require_installed(what: str) -> None:
    """Refuse what needs KerasHub if it is not there."""
    if not is_installed():
        raise InputError(f"{what} needs KerasHub, which is not installed: {INSTALL}")


@functools.cache
def image_presets() -> dict[str, str]:
    """Return where Kaggle has each preset for single images, by its name; empty without KerasHub.

    KerasHub has them in modules that hold tables and nothing else, beside the class that
    prepares the images (keras-hub 0.32). These are read, not imported.
    """
    spec = importlib.util.find_spec("keras_hub")
    roots = spec.submodule_search_locations if spec else ()
    return {
        name: handle
        for root in roots
        for tables in sorted(Path(root).glob("src/models/*/*_presets.py"))
        if tables.parent.name not in NOT_FOR_SINGLE_IMAGES
        and any(tables.parent.glob("*_image_converter.py"))
        for name, handle in _handles(tables)
    }


def folder_of(network: str) -> Path | None:
    """Return the folder that a user means by a network; None if it is a name.

    A name that KerasHub knows is not a folder, even if there is one of that name: ``./name`` is.
    """
    path = Path(network)
    is_path = path.is_absolute() or len(path.parts) > 1 or network.startswith(".")
    return path if is_path or (path.is_dir() and network not in image_presets()) else None


def _handles(tables: Path) -> Iterator[tuple[str, str]]:
    """Yield the names of presets, and their handles of Kaggle, from a module's tables."""
    for statement in ast.parse(tables.read_bytes()).body:
        table = getattr(statement, "value", None)
        if not isinstance(table, ast.Dict) or None in table.keys:  # or a union of tables
            continue
        for name, about in ast.literal_eval(table).items():
            yield name, about["kaggle_handle"].removeprefix("kaggle://")
