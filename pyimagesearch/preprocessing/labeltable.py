"""A table of labels: its format, and how its lines are matched to the images of a folder."""

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pyimagesearch.preprocessing.imagekinds import image_suffixes
from pyimagesearch.utils import InputError
from pyimagesearch.utils.names import nfc
from pyimagesearch.utils.wording import MOST_NAMED, counted, listed, shortened

# The names that a column may have in the header, as `_key` returns them.
PATH_COLUMNS = ("path", "file", "filename", "image", "id")  # the first that is there is used
PATH_COLUMNS += ("filepath", "imagepath", "imagefile", "imagename", "imageid")
LABEL_COLUMNS = ("label", "class", "category", "breed")
SPLIT_COLUMN, GROUP_COLUMN = "split", "group"
SPECIAL = {*PATH_COLUMNS, *LABEL_COLUMNS, SPLIT_COLUMN, GROUP_COLUMN}
EXPECTED = (
    f"expected a header with a column {', '.join(map(repr, PATH_COLUMNS[:5]))}, and a column "
    f"{', '.join(map(repr, LABEL_COLUMNS))} or columns of 0 and 1, one per class"
)
NO_LETTER = re.compile(r"[\s_-]+")
DELIMITERS = ",;\t"
SPLITS = {
    **dict.fromkeys(["train", "training"], "train"),
    **dict.fromkeys(["val", "valid", "validation"], "val"),
    **dict.fromkeys(["test", "testing"], "test"),
}
ONE_HOT = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}  # in lower case


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes
    ----------
    number : int
        Its number in the file, from 1 on.
    path, label : str
        The image as the table names it, and its class.
    split : str
        ``train``, ``val`` or ``test``; empty if the table has no such column.
    group : str
        Images to keep on one side of a split; empty if there is no group.
    """

    number: int
    path: str
    label: str
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Matched:
    """The images of a folder that have a line, and what has no counterpart.

    Attributes
    ----------
    line_of : dict of str to Line
        The line of each image, by its path relative to the folder.
    without_line : list of str
        The images that have none.
    without_image : list of Line
        The lines that have none.
    """

    line_of: dict[str, Line]
    without_line: list[str]
    without_image: list[Line]


@dataclass(frozen=True)
class LabelTable:
    """The labels of images, as read from a CSV file.

    Attributes
    ----------
    path : Path
        The file.
    lines : list of Line
        In the order of the file, which is not significant.
    ignored : list of str
        The names of the columns that are not used.
    """

    path: Path
    lines: list[Line]
    ignored: list[str]

    def match(self, images: Sequence[str], folder: Path) -> Matched:
        """Find the line of each image by its path, with its suffix in any case or without it.

        Parameters
        ----------
        images : sequence of str
            Paths relative to `folder`, with ``/`` between their parts.
        folder : Path
            Their folder.

        Raises
        ------
        InputError
            If a line matches several images, or the lines of an image disagree.
        """
        find = _image_finder(images)
        lines: dict[str, Line] = {}
        without_image = []
        for line in self.lines:
            found = find(_relative(line.path, folder))
            if len(found) > 1:
                raise InputError(
                    f"line {line.number} of '{self.path}' matches {len(found)} images, "
                    f"{listed(sorted(found))}: expected one; write the path with its suffix"
                )
            if not found:
                without_image.append(line)
                continue
            self._require_agreement(found[0], lines.setdefault(found[0], line), line)
        if not lines:
            raise InputError(
                f"no path in '{self.path}' is an image under '{folder}': the first is "
                f"{self.lines[0].path!r}, the first image {min(images)!r}; write paths relative to "
                "the folder"
            )
        return Matched(lines, sorted(set(images).difference(lines)), without_image)

    def _require_agreement(self, image: str, first: Line, second: Line) -> None:
        for what in ("label", "split", "group"):
            one, other = getattr(first, what), getattr(second, what)
            if one != other:
                raise InputError(
                    f"'{self.path}' has two {what}s for {image!r}, {one!r} in line {first.number} "
                    f"and {other!r} in line {second.number}: expected one; remove a line"
                )

    def test_images(self, line_of: Mapping[str, Line]) -> frozenset[str] | None:
        """Return the test images by the column of splits; None if there is no such column.

        Validation images are test images, unless there are others: then they train.

        Raises
        ------
        InputError
            If one side is empty, or a group is on both.
        """
        splits = {line.split for line in line_of.values()}
        if splits == {""}:
            return None
        tests = "test" if "test" in splits else "val"
        test = frozenset(path for path, line in line_of.items() if line.split == tests)
        if not 0 < len(test) < len(line_of):
            raise InputError(
                f"the column 'split' of '{self.path}' has {listed(sorted(splits))} only: "
                "expected training and test images; complete it, or remove the column"
            )
        side: dict[str, tuple[bool, Line]] = {}
        for path, line in line_of.items():
            if not line.group:
                continue
            is_test, first = side.setdefault(line.group, (path in test, line))
            if is_test != (path in test):
                raise InputError(
                    f"'{self.path}' has group {line.group!r} on both sides of the split, in lines "
                    f"{first.number} and {line.number}: expected each group on one side; "
                    "correct 'split' or 'group'"
                )
        return test

    def notes(self, matched: Matched, test: frozenset[str] | None) -> list[str]:
        """Return what to report about the table, a line each."""
        found = []
        if self.ignored:
            found.append(f"'{self.path}': ignored {_columns(self.ignored)}")
        if n := len(matched.without_line):
            found.append(
                f"skipped {counted(n, 'image')} without a line in '{self.path}': "
                f"{listed(matched.without_line)}"
            )
        if matched.without_image:
            found.append(f"skipped {self.unmatched(matched)}")
        if test is not None:
            n_val = sum(line.split == "val" for line in matched.line_of.values())
            n_train = len(matched.line_of) - len(test)
            role = "train" if any(matched.line_of[p].split == "test" for p in test) else "test"
            val = f"; the {n_val:,} of 'val' {role}" if n_val else ""
            found.append(
                f"split of the table: {n_train:,} of {counted(len(matched.line_of), 'image')} "
                f"train, {len(test):,} test{val}"
            )
        return found

    def unmatched(self, matched: Matched) -> str:
        """Name the lines without an image."""
        lines = matched.without_image
        names = shortened([f"{line.path!r} (line {line.number})" for line in lines], MOST_NAMED)
        return f"{counted(len(lines), 'line')} of '{self.path}' without an image: {names}"


def read_label_table(path: str | Path) -> LabelTable:
    """Read a table of labels.

    A header names the columns, in any order, in upper or lower case, as ``Image ID`` or
    ``image_id``: one of `PATH_COLUMNS`, one of `LABEL_COLUMNS`, and optionally ``split`` and
    ``group``. Instead of labels there may be a column per class, with a 1 in exactly one of them.
    Separated by commas, semicolons or tabs; UTF-8.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    LabelTable
        At least one line.

    Raises
    ------
    InputError
        If it cannot be read, or is not such a table.
    """
    path = Path(path)
    header, rows = _read(path)
    keys = [_key(name) for name in header]
    places = {key: i for i, key in enumerate(keys) if key}  # some programs end lines with commas
    if twice := sorted({name for name in header if name and keys.count(_key(name)) > 1}):
        raise InputError(
            f"'{path}' has several columns named {listed(twice)}: rename or remove one"
        )
    paths = [name for name in PATH_COLUMNS if name in places]
    labels = [name for name in LABEL_COLUMNS if name in places]
    if not paths:
        raise InputError(f"'{path}' has no column of images, only {listed(header)}: {EXPECTED}")
    if len(labels) > 1:
        raise InputError(
            f"'{path}' has {len(labels)} columns of labels, {listed(labels)}: expected one; rename "
            "the others"
        )
    known = {paths[0], *labels, SPLIT_COLUMN, GROUP_COLUMN}
    others = [] if labels else [i for i, key in enumerate(keys) if key and key not in SPECIAL]
    classes = [(i, header[i]) for i in _one_hot_columns(others, rows)]
    if not labels and not classes:
        raise InputError(f"'{path}' has no column of labels, only {listed(header)}: {EXPECTED}")
    lines = []
    for number, row in rows:
        label = row[places[labels[0]]] if labels else _one_hot(path, number, row, classes)
        split = row[places[SPLIT_COLUMN]] if SPLIT_COLUMN in places else None
        group = row[places[GROUP_COLUMN]] if GROUP_COLUMN in places else ""
        if split is not None and split.lower() not in SPLITS:
            raise InputError(
                f"line {number} of '{path}' has the split {split!r}: expected 'train', 'val' or "
                "'test'; correct it"
            )
        image = row[places[paths[0]]]
        for key, value in ((paths[0], image), (labels[0] if labels else "", label)):
            if not value:
                raise InputError(
                    f"line {number} of '{path}' has an empty {header[places[key]]!r}: expected "
                    "an image and its label in each line; complete or remove the line"
                )
        lines.append(Line(number, image, label, SPLITS[split.lower()] if split else "", group))
    taken = {*(places.get(key) for key in known), *(i for i, _ in classes)}
    ignored = [name for i, name in enumerate(header) if name and i not in taken]
    return LabelTable(path, lines, ignored)


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and the other non-empty lines with their numbers."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"cannot read '{path}': {(error.strerror or str(error)).lower()}; expected a table of "
            "labels"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"'{path}' is not UTF-8 (byte {error.start:,}): save it as CSV in UTF-8"
        ) from error
    delimiter = _delimiter(next(iter(text.lstrip().splitlines()), ""))
    rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, [cell.strip() for cell in row]))
    except csv.Error as error:
        raise InputError(
            f"line {reader.line_num} of '{path}' cannot be read: {error}; correct it"
        ) from error
    if len(rows) < 2:
        what = "a header only" if rows else "empty"
        raise InputError(f"'{path}' is {what}: expected a header and a line per image")
    (_, names), *lines = rows
    for number, row in lines:
        if len(row) != len(names):
            raise InputError(
                f"line {number} of '{path}' has {counted(len(row), 'column')}, but the header "
                f"{len(names):,}: expected as many; quote names that contain {delimiter!r}"
            )
    return names, lines


def _key(name: str) -> str:
    """Return the plain form of a known column name; any other, such as a class, unchanged.

    Examples
    --------
    >>> _key("Image_ID"), _key("Golden Retriever")
    ('imageid', 'Golden Retriever')
    """
    plain = NO_LETTER.sub("", name.lower())
    return plain if plain in SPECIAL else name


def _delimiter(header: str) -> str:
    """Return the separator of the columns: the most frequent one in the header."""
    return max(DELIMITERS, key=header.count)


def _one_hot_columns(columns: list[int], rows: Sequence[tuple[int, list[str]]]) -> list[int]:
    """Return which columns hold only 0 and 1, if two or more do."""
    found = [i for i in columns if all(row[i].lower() in ONE_HOT for _, row in rows)]
    return found if len(found) > 1 else []


def _one_hot(path: Path, number: int, row: list[str], classes: list[tuple[int, str]]) -> str:
    """Return the name of the one column that has a 1."""
    ones = [name for i, name in classes if ONE_HOT[row[i].lower()]]
    if len(ones) != 1:
        where = f"a 1 in {listed(ones)}" if ones else "no 1"
        raise InputError(
            f"line {number} of '{path}' has {where}: expected a 1 in exactly one of the columns "
            f"{listed(name for _, name in classes)}; correct or remove the line"
        )
    return ones[0]


def _relative(path: str, folder: Path) -> str:
    """Return a path of a table relative to the folder of the images."""
    path = path.replace("\\", "/")
    if Path(path).is_absolute():
        path = os.path.relpath(path, folder)
    return os.path.normpath(path).replace(os.sep, "/")


def _image_finder(images: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a function that finds the images of a path, in the first of four ways to match."""
    # Exactly; in any normal form; with its suffix in any case; without its suffix.
    ways = ((str, str), (nfc, nfc), (_small_suffix, _small_suffix), (_without_suffix, nfc))
    places: list[dict[str, list[str]]] = [defaultdict(list) for _ in ways]
    for place, (of_image, _) in zip(places, ways, strict=True):
        for image in images:
            place[of_image(image)].append(image)

    def find(path: str) -> list[str]:
        found = (place.get(of(path)) for place, (_, of) in zip(places, ways, strict=True))
        return next(filter(None, found), [])

    return find


def _small_suffix(path: str) -> str:
    pure = PurePosixPath(nfc(path))
    return str(pure.with_suffix(pure.suffix.lower()))


def _without_suffix(path: str) -> str:
    path = nfc(path)
    pure = PurePosixPath(path)
    return str(pure.with_suffix("")) if pure.suffix.lower() in image_suffixes() else path


def _columns(names: list[str]) -> str:
    return f"the column{'' if len(names) == 1 else 's'} {listed(names)}"
