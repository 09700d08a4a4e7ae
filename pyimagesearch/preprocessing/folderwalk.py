"""Walk a folder once: which files are images, and what is skipped."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pyimagesearch.preprocessing.imagekinds import HEIF_SUFFIXES, image_suffixes, is_image
from pyimagesearch.utils import InputError

MOST_KINDS = 10  # that are named in a line
# Folders that systems create by themselves, case folded: thumbnails, recycle bins and snapshots of
# Synology, QNAP, NetApp, Buffalo, Windows and macOS, the extra folder in ZIP files from macOS, and
# what disk checks have recovered.
SYSTEM_FOLDERS = frozenset(
    [
        *("@eadir", "#recycle", "#snapshot", "@tmp", "@recycle", "@recently-snapshot", "@__thumb"),
        *("~snapshot", "trashbox", "$recycle.bin", "system volume information", "found.000"),
        *("__macosx", "network trash folder", "temporary items", "lost+found"),
    ]
)


@dataclass(frozen=True)
class SkippedFiles:
    """What a folder holds besides the images that were listed.

    Attributes
    ----------
    kinds : mapping of str to int
        How many files of each kind were skipped: a suffix, or a word.
    folders : tuple of str
        Folders without an image in or below them, relative to the one walked.
    broken_links : tuple of str
        Broken links that, by their names, may have been a class or an image.
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


def find_images(dataset: Path) -> tuple[list[str], SkippedFiles]:
    """List the images in and below a folder, links to folders followed.

    Each real folder is listed once, under its own path if that is below
    `dataset`. Skipped and counted are names that begin with a dot
    (``._0001.jpg``, ``.ipynb_checkpoints/``), and folders that a system creates
    (`SYSTEM_FOLDERS`) or that are named like an image, as for its thumbnails.

    Parameters
    ----------
    dataset : Path
        An existing folder.

    Returns
    -------
    list of str
        Paths relative to `dataset`, with ``/`` between their parts.
    SkippedFiles
        Everything else.

    Raises
    ------
    InputError
        If a folder cannot be listed: its images would be missing.
    """
    images, broken, folders, kinds = [], [], [], Counter()
    for folder, names in _folders(dataset, kinds):
        relative = folder.relative_to(dataset).as_posix()
        folders.append(relative)
        for name in names:
            path = folder / name
            relative = path.relative_to(dataset).as_posix()
            if name.startswith("."):
                kinds["hidden"] += 1
            elif os.path.islink(path) and not os.path.exists(path):
                if path.suffix and not is_image(path):
                    kinds["linked to nothing"] += 1
                else:
                    broken.append(relative)
            elif is_image(path):
                images.append(relative)
            else:
                kinds[path.suffix.lower() or "without a suffix"] += 1
    return images, SkippedFiles(kinds, _without(images, folders), tuple(sorted(broken)))


def _folders(dataset: Path, kinds: Counter) -> Iterator[tuple[Path, list[str]]]:
    """Yield each real folder once, with the names of its files."""
    walked, waiting = set(), deque([dataset])
    while waiting:  # links wait until the folders themselves have been walked
        top = waiting.popleft()
        if top != dataset and _is_walked(top, walked):
            kinds["linked twice"] += 1
            continue
        for parent, folders, names in os.walk(top, onerror=_refuse):
            here = Path(parent)
            if (real := os.path.realpath(here)) in walked:
                folders.clear()  # part of what a link points to
                continue
            walked.add(real)
            skipped = {name: kind for name in folders if (kind := _kind_skipped(name))}
            kinds.update(skipped.values())
            folders[:] = sorted(set(folders) - skipped.keys())
            waiting.extend(here / name for name in folders if os.path.islink(here / name))
            yield here, names


def _kind_skipped(folder: str) -> str | None:
    """Return the kind that a folder is skipped as, by its name; None if it is walked."""
    if folder.startswith("."):
        return "hidden"
    if folder.casefold() in SYSTEM_FOLDERS:
        return f"{folder}/"
    if PurePosixPath(folder).suffix.lower() in image_suffixes():
        return "named like an image but a folder"
    return None


def _is_walked(link: Path, walked: set[str]) -> bool:
    """Return whether a link points to a folder that is listed already, or to its own parent."""
    target = Path(os.path.realpath(link))
    return str(target) in walked or target in Path(os.path.realpath(link.parent)).parents


def _without(images: list[str], folders: list[str]) -> tuple[str, ...]:
    """Return the topmost folders that hold no image at any depth."""
    holding = {str(parent) for path in images for parent in PurePosixPath(path).parents}
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
