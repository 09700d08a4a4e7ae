"""The packages besides Keras that define the layers of a ``.keras`` file."""

import importlib.util
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

IMPORTED_BY_KERAS = ("keras_hub", "keras_cv", "keras_nlp")  # if a file names them (keras 3.15)
NO_PACKAGES = ("", "Custom", "builtins", "__main__")  # of a class that a script defines


def missing_package(path: Path, class_name: str) -> str | None:
    """Return which package defines a class that Keras has not found; None if unknown.

    Parameters
    ----------
    path : Path
        The ``.keras`` file that Keras has refused.
    class_name : str
        The class, without its module.

    Returns
    -------
    str or None
        What follows its name in a message.
    """
    try:
        config = _config(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    package = next((p for p, name in _foreign_classes(config) if name == class_name), None)
    if package is None:
        return None
    if package not in IMPORTED_BY_KERAS:
        return f"of the package {package}, whose code is not loaded"
    if importlib.util.find_spec(package) is None:
        project = package.replace("_", "-")
        return f"of the package {package}, which is not installed; pip install {project}"
    return f"of the package {package}, whose installed version lacks it; install another"


def has_foreign_classes(path: Path) -> bool:
    """Return whether a ``.keras`` file names classes that are not Keras's own."""
    return any(_foreign_classes(_config(path)))


def _config(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def _foreign_classes(config: object) -> Iterator[tuple[str, str]]:
    """Yield the package and the name of each class in a config that is not Keras's own."""
    parts = config.values() if isinstance(config, dict) else config
    for part in parts if isinstance(config, (dict, list)) else ():
        yield from _foreign_classes(part)
    if isinstance(config, dict) and isinstance(config.get("registered_name"), str):
        registered, module = config["registered_name"], config.get("module")
        origins = [registered.rpartition(">")[0], str(module or "")]
        packages = [origin.split(".")[0] for origin in origins]
        packages = [package for package in packages if package not in NO_PACKAGES]
        if packages and "keras" not in packages:
            yield packages[0], str(config.get("class_name"))
