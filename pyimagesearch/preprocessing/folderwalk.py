"""Walk a folder once: what is a picture, and what is passed over."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pyimagesearch.preprocessing.imagekinds import HEIF_SUFFIXES, is_picture, picture_suffixes
from pyimagesearch.utils import InputError

MOST_KINDS = 10  # that are named in a line
# Folders that systems make of their own accord, case folded: thumbnails, bins and snapshots of
# Synology, QNAP, NetApp, Buffalo, Windows and macOS, what ZIP files from macOS hold beside the
# pictures, and what checks of a disk have found.
SYSTEM_FOLDERS = frozenset(
    [
        *("@eadir", "#recycle", "#snapshot", "@tmp", "@recycle", "@recently-snapshot", "@__thumb"),
        *("~snapshot", "trashbox", "$recycle.bin", "system volume information", "found.000"),
        *("__macosx", "network trash folder", "temporary items", "lost+found"),
    ]
)


@dataclass(frozen=True)
class SkippedFiles:
    """What a folder holds beside the pictures that were taken.

    Attributes
    ----------
    kinds : mapping of str to int
        How many files of which kind were passed over: a suffix, or a word.
    folders : tuple of str
        Folders without a picture in or below them, relative to the one walked.
    broken_links : tuple of str
        Links to nothing, which by their names may have been a class or a picture.
    """

    kinds: Mapping[str, int] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    broken_links: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Count the kinds in one line, the most frequent first; empty if there are none.

        Examples
        --------
        >>> print(SkippedFiles({".txt": 3, "hidden": 12}))
        12 hidden, 3 .txt
        """
        ordered = sorted(self.kinds.items(), key=lambda item: (-item[1], item[0]))
        counts = [f"{n:,} {kind}{_advice(kind)}" for kind, n in ordered[:MOST_KINDS]]
        if rest := sum(n for _, n in ordered[MOST_KINDS:]):
            counts.append(f"{rest:,} of other kinds")
        return ", ".join(counts)


def find_pictures(dataset: Path) -> tuple[list[str], SkippedFiles]:
    """List the pictures in and below a folder, links to folders followed.

    Each real folder is listed once, under its own path where that lies below
    `dataset`. Passed over and counted is what is named with a dot in front
    (``._0001.jpg``, ``.ipynb_checkpoints/``), and folders that a system makes
    (`SYSTEM_FOLDERS`) or that are named like an image, as of its thumbnails.

    Parameters
    ----------
    dataset : Path
        An existing folder.

    Returns
    -------
    list of str
        Paths relative to `dataset`, with ``/`` between their parts.
    SkippedFiles
        All else.

    Raises
    ------
    InputError
        If a folder cannot be listed: its pictures would be missing.
    """
    pictures, broken, folders, kinds = [], [], [], Counter()
    for folder, names in _folders(dataset, kinds):
        relative = folder.relative_to(dataset).as_posix()
        folders.append(relative)
        for name in names:
            path = folder / name
            relative = path.relative_to(dataset).as_posix()
            if name.startswith("."):
                kinds["hidden"] += 1
            elif os.path.islink(path) and not os.path.exists(path):
                if path.suffix and not is_picture(path):
                    kinds["linked to nothing"] += 1
                else:
                    broken.append(relative)
            elif is_picture(path):
                pictures.append(relative)
            else:
                kinds[path.suffix.lower() or "without a suffix"] += 1
    return pictures, SkippedFiles(kinds, _without(pictures, folders), tuple(sorted(broken)))


def _folders(dataset: Path, kinds: Counter) -> Iterator[tuple[Path, list[str]]]:
    """Yield each real folder once, with the names of its files."""
    walked, waiting = set(), deque([dataset])
    while waiting:  # links wait until the folders themselves have been walked
        top = waiting.popleft()
        if top != dataset and _is_walked(top, walked):
            kinds["linked a second time"] += 1
            continue
        for parent, folders, names in os.walk(top, onerror=_refuse):
            here = Path(parent)
            if (real := os.path.realpath(here)) in walked:
                folders.clear()  # a part of what a link leads to
                continue
            walked.add(real)
            passed_over = {name: kind for name in folders if (kind := _kind_passed_over(name))}
            kinds.update(passed_over.values())
            folders[:] = sorted(set(folders) - passed_over.keys())
            waiting.extend(here / name for name in folders if os.path.islink(here / name))
            yield here, names


def _kind_passed_over(folder: str) -> str | None:
    """Return how a folder is counted that is not walked, by its name; None if it is walked."""
    if folder.startswith("."):
        return "hidden"
    if folder.casefold() in SYSTEM_FOLDERS:
        return f"{folder}/"
    if PurePosixPath(folder).suffix.lower() in picture_suffixes():
        return "named like an image but a folder"
    return None


def _is_walked(link: Path, walked: set[str]) -> bool:
    """Tell whether a link leads to what is listed already, or up to where it lies itself."""
    target = Path(os.path.realpath(link))
    return str(target) in walked or target in Path(os.path.realpath(link.parent)).parents


def _without(pictures: list[str], folders: list[str]) -> tuple[str, ...]:
    """Return the topmost folders in and below which no picture lies."""
    holding = {str(parent) for path in pictures for parent in PurePosixPath(path).parents}
    return tuple(
        sorted(
            folder
            for folder in folders
            if folder not in holding and str(PurePosixPath(folder).parent) in holding
        )
    )


def _refuse(error: OSError) -> None:
    raise InputError(
        f"folder {error.filename!r} cannot be listed: {error.strerror}; its images would be "
        "missing: make it readable, or move it elsewhere"
    ) from error


def _advice(kind: str) -> str:
    return " (pip install pillow-heif reads them)" if kind in HEIF_SUFFIXES else ""
