"""Put files into a folder per class, without ever moving or overwriting one."""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from pyimagesearch.utils.errors import InputError
from pyimagesearch.utils.files import replacing


class ClassFolders:
    """Copy files into ``root/<class>/``, or link them there.

    If another file has the name already, a number is added: ``1 (2).jpg``. A file that is there
    already, under its name or with a number, is not added again.

    Parameters
    ----------
    root : str or Path
        The folder of the class folders, which are created as needed.
    names : sequence of str
        The classes.
    link : bool
        Whether to link files instead of copying them.

    Raises
    ------
    InputError
        If `root` cannot be a folder, links cannot be made there, or a class
        cannot have a folder of its own name, as one called ``CON`` on Windows.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     image = Path(folder, "1.jpg")
    ...     _ = image.write_bytes(b"...")
    ...     folders = ClassFolders(Path(folder, "sorted"), ["cats", "dogs"])
    ...     [str(folders.add(image, "cats").relative_to(folder)) for _ in range(2)]
    ['sorted/cats/1.jpg', 'sorted/cats/1.jpg']
    """

    def __init__(self, root: str | Path, names: Sequence[str], link: bool = False):
        self._root, self._link = Path(root), link
        if os.path.lexists(self._root) and not self._root.is_dir():
            raise InputError(f"'{root}' is not a folder: expected one to sort images into")
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=self._root) as trial:
                if link:
                    _require_links(Path(trial))
                for name in names:
                    _require_folder(Path(trial), name)
        except OSError as error:
            raise InputError(
                f"cannot make folders in '{root}': {error.strerror}; change its permissions, or "
                "give another folder"
            ) from error

    def add(self, file: Path, name: str) -> Path:
        """Put a file into the folder of a class, and return its path there.

        Raises
        ------
        InputError
            If it cannot be read, or written there.
        """
        folder = self._root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for number in count(1):
                suffix = f" ({number})" if number > 1 else ""
                place = folder / f"{file.stem}{suffix}{file.suffix}"
                if not os.path.lexists(place):
                    break
                if place.exists() and _is_same(place, file):
                    return place
            if self._link:
                place.symlink_to(file.resolve())
            else:
                with replacing(place) as temporary:
                    shutil.copyfile(file, temporary)
        except OSError as error:
            raise InputError(
                f"cannot put '{file}' into '{folder}': {(error.strerror or str(error)).lower()}"
            ) from error
        return place


def _require_links(trial: Path) -> None:
    """Refuse a folder where links cannot be made, for which Windows asks a privilege."""
    try:
        (trial / "link").symlink_to(trial)
        (trial / "link").unlink()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(
            f"cannot make links in '{trial.parent}': {why}; copy the files instead"
        ) from error


def _require_folder(trial: Path, name: str) -> None:
    """Try a class name as the name of a folder: which ones work depends on the file system."""
    why = None if Path(name).name == name not in ("", "..") else "it is not a name"
    try:
        if not why:
            (trial / name).mkdir()
    except FileExistsError:
        why = "this file system takes it for the name of another class"
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
    if why:
        raise InputError(
            f"class {name!r} cannot be the name of a folder here: {why}; rename the class, or do "
            "not sort"
        )


def _is_same(place: Path, file: Path) -> bool:
    return place.samefile(file) or filecmp.cmp(place, file, shallow=False)
