"""Images that were checked to be readable, and must not change until they are used."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from pyimagesearch.preprocessing.decoding import Decoding
from pyimagesearch.preprocessing.duplicates import Duplicates, find_duplicates
from pyimagesearch.preprocessing.earlierrows import NO_EARLIER_ROWS, EarlierRows
from pyimagesearch.preprocessing.fingerprints import fingerprints
from pyimagesearch.preprocessing.imageloader import Inspection, inspect_image, load_image
from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.preprocessing.nearduplicates import SIDE
from pyimagesearch.preprocessing.roworder import split_order
from pyimagesearch.preprocessing.samplerange import decide, mismatch
from pyimagesearch.utils import InputError
from pyimagesearch.utils.groups import joined_groups
from pyimagesearch.utils.orderedmap import threaded_map
from pyimagesearch.utils.split import n_train_rows
from pyimagesearch.utils.wording import counted

DIGEST_BYTES = 8  # of a million images, two agree by chance in one folder of 37 million


@dataclass(frozen=True)
class Stamp:
    """What shows whether a file was written after it was checked."""

    n_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Read a file's stamp."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class CheckedImages:
    """The readable images of a folder, in row order.

    Attributes
    ----------
    images : LabelledImages
        The images that can be read, duplicates side by side.
    bad : dict of str to str
        The paths of those that cannot, relative to the folder, with the reason.
    stamps : dict of str to Stamp
        The size and time of each readable image when it was checked.
    digests : dict of str to str
        The BLAKE2b digest of each one's contents: 16 hexadecimal digits.
    duplicates : Duplicates
        Which of them show the same photograph.
    decoding : Decoding
        How they are read: the same for all of them.
    notes : list of str
        What to report about that, a line each.
    n_train : int
        How many rows train, from the first on.
    fingerprints : list of str or None
        What each row's image looks like; None in a resumed run, which has recorded it.
    """

    images: LabelledImages
    bad: dict[str, str]
    stamps: dict[str, Stamp]
    digests: dict[str, str] = field(default_factory=dict)
    duplicates: Duplicates = field(default_factory=Duplicates)
    decoding: Decoding = field(default_factory=Decoding)
    notes: list[str] = field(default_factory=list)
    n_train: int = 0
    fingerprints: list[str] | None = None

    @cached_property
    def row_digests(self) -> list[str]:
        """The digests in the order of the rows."""
        return [self.digests[path] for path in self.images.paths]

    def split_record(self) -> dict[str, object]:
        """Return what a provenance records of the split and groups: nothing by default."""
        is_usual = self.images.is_test is None and self.n_train == n_train_rows(len(self.images))
        groups = self.images.groups
        return ({} if is_usual else {"n_train": self.n_train}) | (
            {"groups": groups} if groups else {}
        )

    @property
    def n_bytes(self) -> int:
        """Size of all files together."""
        return sum(stamp.n_bytes for stamp in self.stamps.values())

    @property
    def contents_sha256(self) -> str:
        """One digest over all contents, in the order of the rows."""
        return hashlib.sha256("".join(self.row_digests).encode()).hexdigest()

    @property
    def unreadable(self) -> Mapping[int, str]:
        """No rows: an image that can no longer be read is an error."""
        return MappingProxyType({})

    def name(self, row: int) -> str:
        """Return the path of a row's image, relative to the folder."""
        return self.images.paths[row]

    def pixels(self, row: int, size: tuple[int, int] | None) -> np.ndarray:
        """Return the pixels of a row's image: uint8, shape (*size, 3); None is its own size.

        Raises
        ------
        InputError
            If it can no longer be read, or has changed since it was checked.
        """
        path = self.images.absolute_path(row)
        pixels = load_image(path, size, decoding=self.decoding)
        self._require_unchanged(row)
        return pixels

    def contents(self, row: int) -> bytes:
        """Return the contents of a row's file.

        Raises
        ------
        InputError
            As `pixels`.
        """
        path = self.images.absolute_path(row)
        try:
            contents = path.read_bytes()
        except OSError as error:
            raise InputError(f"'{path}' cannot be read: {error.strerror.lower()}") from error
        self._require_unchanged(row)
        return contents

    def _require_unchanged(self, row: int) -> None:
        path = self.images.absolute_path(row)
        if Stamp.of(path) != self.stamps[self.images.paths[row]]:
            raise InputError(f"'{path}' has changed since it was checked: run again to check it")


@dataclass(frozen=True)
class _Checked:
    """What the check found about one image."""

    stamp: Stamp | None
    digest: str
    found: Inspection


def check_images(
    images: LabelledImages,
    jobs: int,
    advance: Callable[[], object],
    earlier: EarlierRows = NO_EARLIER_ROWS,
) -> CheckedImages:
    """Decode every image once, so that bad ones are found before the work starts.

    What is found in all of them together decides how they are decoded.

    Parameters
    ----------
    images : LabelledImages
        The images to check.
    jobs : int
        How many threads decode them.
    advance : callable
        Called without arguments after each image that was read.
    earlier : EarlierRows
        What an interrupted run has recorded about the images.

    Returns
    -------
    CheckedImages
        The images that can be read, and the others.

    Raises
    ------
    InputError
        If no single range of values fits all float images.
    """

    def check(path: str) -> _Checked:
        file = images.root / path
        stamp = _stamp(file)  # before it is read: a change while reading counts
        if stamp and path in earlier.known:
            return _Checked(stamp, earlier.known[path], Inspection())
        found = inspect_image(file, earlier.decoding)
        if found.problem:
            return _Checked(stamp, "", found)
        try:
            return _Checked(stamp, image_digest(file), found)
        except OSError as error:
            return _Checked(stamp, "", Inspection(error.strerror.lower()))

    checked: dict[str, _Checked] = {}
    for path, one in zip(
        images.paths, threaded_map(check, images.paths, jobs, ahead=4 * jobs), strict=True
    ):
        checked[path] = one
        if path not in earlier.known:
            advance()
    samples = {path: one.found.samples for path, one in checked.items() if one.found.samples}
    decoding, notes = (earlier.decoding, []) if earlier.decoding else decide(samples)
    bad = {path: one.found.problem for path, one in checked.items() if one.found.problem}
    bad |= {path: wrong for path in samples if (wrong := mismatch(samples[path], decoding))}
    readable = images.without(bad)
    checked = {path: checked[path] for path in readable.paths}
    n_flagged = sum(one.found.is_flagged for one in checked.values())
    if n_flagged and decoding.upright:
        notes.append(f"turned upright by orientation flags: {counted(n_flagged, 'image')}")
    digests = {path: one.digest for path, one in checked.items()}
    links = {
        path: inspect_image(images.root / path).problem for path in images.skipped.broken_links
    }
    if set(earlier.paths) == set(readable.paths):
        in_order, duplicates = readable.reordered(earlier.paths), earlier.duplicates
        n_train = earlier.n_train or n_train_rows(len(in_order))
        looks = None  # the file has them already
    else:
        thumbnails = np.array([one.found.thumbnail for one in checked.values()], np.uint8)
        thumbnails = thumbnails.reshape(-1, SIDE, SIDE)  # also if there are none
        duplicates = find_duplicates(readable.paths, digests, thumbnails)
        groups = [*readable.groups, *duplicates.groups(readable.paths)]
        keys = joined_groups(len(readable), groups)
        order, n_train = split_order(readable.labels, keys, readable.is_test)
        in_order = readable.reordered(readable.paths[image] for image in order)
        looks = fingerprints(thumbnails[order])
    return CheckedImages(
        in_order,
        bad | links,
        {path: one.stamp for path, one in checked.items()},
        digests,
        duplicates or Duplicates(),
        decoding,
        notes,
        n_train,
        looks,
    )


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path)
    except OSError:
        return None  # the check itself gives the reason


def image_digest(path: Path) -> str:
    """Return the BLAKE2b digest of a file's contents: 16 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, _new_hash).hexdigest()


def _new_hash():
    return hashlib.blake2b(digest_size=DIGEST_BYTES)
