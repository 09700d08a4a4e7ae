"""Find a dataset of a file, and everything that its values are read from.

A dataset may be a link into another file, be put together from datasets of other files (a virtual
one), or have its bytes in other files (an external one). If parts of the latter two are missing,
HDF5 silently reads zeros (1.14.6): so everything is looked for before anything is read.
"""

import contextlib
import math
import operator
import os
from collections.abc import Iterator
from pathlib import Path

import h5py

from pyimagesearch.io.opening import opened
from pyimagesearch.io.partialfile import reason
from pyimagesearch.utils import InputError

MOST_STEPS = 16  # links in a row, as many as HDF5 itself follows

Place = tuple[str, str]  # a file, and the name of a dataset in it


def find_dataset(
    db: h5py.File, path: Path, key: str, through: tuple[Place, ...] = ()
) -> h5py.Dataset:
    """Return a dataset of an open file, after finding everything that it is read from.

    Parameters
    ----------
    db : h5py.File
        The file.
    path : Path
        Its name, for messages.
    key : str
        The name of the dataset.
    through : tuple of (str, str)
        The datasets that take their values from this one: file and name of each.

    Returns
    -------
    h5py.Dataset

    Raises
    ------
    InputError
        If there is no such dataset, a file or dataset that it takes values from is missing, or its
        compression filter is not installed.
    """
    try:
        found = db[key]
    except (KeyError, OSError, RuntimeError) as error:
        raise InputError(_why_missing(db, path, key, error, through)) from error
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"'{path}' has a '{key}' that is not a dataset: expected one of that name")
    place = os.path.realpath(found.file.filename), found.name
    if place in through:  # reading it would end the process with a segmentation fault
        raise InputError(f"'{path}' has a '{key}' that takes its values from itself")
    _require_filters(found, path, key)
    _require_raw_files(found, path, key)
    if found.is_virtual:
        _require_parts(found, path, key, (*through, place))
    return found


def where_mapped(dataset: h5py.Dataset) -> tuple[str, int] | None:
    """Return the file and offset of a dataset that is stored as float32 are in memory.

    Returns
    -------
    (str, int) or None
        For a dataset found by a link, the file is not the one that was opened. None if the numbers
        are stored in pieces, in a file that is not HDF5, or in another format.
    """
    offset = dataset.id.get_offset()  # from the start of the file, before any user block
    is_plain = not (dataset.chunks or dataset.is_virtual or dataset.external)
    is_float32 = dataset.id.get_type().equal(h5py.h5t.NATIVE_FLOAT)
    if offset is None or not is_plain or not is_float32 or dataset.file.driver != "sec2":
        return None
    return dataset.file.filename, offset


@contextlib.contextmanager
def reading(what: str, path: Path) -> Iterator[None]:
    """Report in one line that a part of a file cannot be read."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot read {what} of '{path}': {reason(error)}") from error


def _why_missing(
    db: h5py.File, path: Path, key: str, error: Exception, through: tuple[Place, ...]
) -> str:
    """Return why there is no such dataset: how far a link leads, if it is one."""
    link = None
    with contextlib.suppress(KeyError, OSError, RuntimeError):
        link = db.get(key, getlink=True)
    if link is None:
        held = ", ".join(f"'{name}'" for name in db) or "nothing"
        return f"'{path}' has no '{key}' dataset: it holds {held}"
    leads_on = not isinstance(error, RuntimeError) and len(through) < MOST_STEPS
    step = (*through, (os.path.realpath(path), key))
    try:
        if isinstance(link, h5py.ExternalLink) and leads_on:
            with opened(_located(link.filename, path, "HDF5_EXT_PREFIX")) as other:
                find_dataset(other, Path(other.filename), link.path, step)
        elif isinstance(link, h5py.SoftLink) and leads_on:
            find_dataset(db, path, link.path, step)
    except InputError as missing:
        return f"'{path}' has '{key}' only as a link: {missing}"
    return f"cannot open '{key}' of '{path}': {reason(error)}"


def _require_filters(dataset: h5py.Dataset, path: Path, key: str) -> None:
    """Refuse a dataset whose compression filter is not installed."""
    lacking = _lacking_filters(dataset)
    if not lacking:
        return
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401 - it registers the common filters

        lacking = _lacking_filters(dataset)
    if not lacking:
        return
    try:
        dataset[(slice(1),) * dataset.ndim]  # it may be stored uncompressed, if it did not shrink
    except OSError as error:
        raise InputError(
            f"'{path}' has a '{key}' compressed with {', '.join(lacking)}, a filter of HDF5 that "
            "is not installed: pip install hdf5plugin, which has most of them, or write the file "
            "without it"
        ) from error


def _lacking_filters(dataset: h5py.Dataset) -> list[str]:
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    return [
        f"'{name.decode(errors='replace').split(';')[0] or number}'"  # a URL follows
        for number, _, _, name in filters
        if not h5py.h5z.filter_avail(number)
    ]


def _require_raw_files(dataset: h5py.Dataset, path: Path, key: str) -> None:
    """Refuse a dataset whose bytes should be in files that are missing or too short."""
    missing = math.prod(dataset.shape or ()) * dataset.id.get_type().get_size()
    for name, offset, size in dataset.external or ():
        file = Path(os.environ.get("HDF5_EXTFILE_PREFIX", "")) / name
        n_bytes = min(size, missing)
        missing -= n_bytes
        try:
            there = file.stat().st_size
        except OSError as error:
            raise InputError(
                f"'{path}' takes '{key}' from '{file}': {reason(error)}; "
                f"expected it in '{file.absolute().parent}'"
            ) from error
        if there < offset + n_bytes:
            raise InputError(
                f"'{path}' takes '{key}' from '{file}', which is truncated: {there:,} bytes, "
                f"expected {offset + n_bytes:,}"
            )


def _require_parts(dataset: h5py.Dataset, path: Path, key: str, through: tuple[Place, ...]) -> None:
    """Refuse a virtual dataset with a missing part, or with values that no part gives."""
    parts, shapes, n_given = dataset.virtual_sources(), {}, 0
    for part in parts:
        places = _places(part, dataset.shape)
        for file, name in places:
            if (file, name) not in shapes:
                shapes[file, name] = _shape_of_part(dataset, path, key, (file, name), through)
            shape = shapes[file, name]
            if not _is_large_enough(part, shape):
                raise InputError(
                    f"'{path}' takes '{key}' from '{name}' of '{file}', whose shape is now "
                    f"{shape}: expected its earlier shape"
                )
        n_given += _n_values(part.vspace) * len(places)
    if n_given < dataset.size and not any(_grows(part.vspace) for part in parts):
        raise InputError(
            f"'{path}' takes '{key}' from other datasets, which give {n_given:,} of its "
            f"{dataset.size:,} values: expected all"
        )


def _shape_of_part(
    dataset: h5py.Dataset, path: Path, key: str, place: Place, through: tuple[Place, ...]
) -> tuple[int, ...]:
    file, name = place
    own = Path(dataset.file.filename)
    try:
        if file == ".":
            return find_dataset(dataset.file, own, name, through).shape
        with opened(_located(file, own, "HDF5_VDS_PREFIX")) as other:
            return find_dataset(other, Path(other.filename), name, through).shape
    except InputError as error:
        raise InputError(f"'{path}' takes '{key}' from '{file}': {error}") from error


def _places(part, shape: tuple[int, ...]) -> list[Place]:
    """Return where a part of a virtual dataset is: in several places, if numbered."""
    names, numbers = (part.file_name, part.dset_name), [0]
    if any("%b" in name.replace("%%", "") for name in names):
        start, stride, count, _ = part.vspace.get_regular_hyperslab()
        axis = count.index(h5py.h5s.UNLIMITED)
        numbers = range(max(1, math.ceil((shape[axis] - start[axis]) / stride[axis])))
    return [tuple(_numbered(name, number) for name in names) for number in numbers]


def _numbered(name: str, number: int) -> str:
    return "%".join(piece.replace("%b", str(number)) for piece in name.split("%%"))


def _is_large_enough(part, shape: tuple[int, ...]) -> bool:
    """Return whether a dataset of a shape has everything that is taken from it."""
    taken = part.src_space
    if taken.get_select_type() == h5py.h5s.SEL_ALL:  # the shape is not recorded
        return math.prod(shape) == _n_values(part.vspace)
    if _grows(taken):
        return True
    ends = taken.get_select_bounds()[1]
    return len(ends) == len(shape) and all(map(operator.lt, ends, shape))


def _n_values(space: h5py.h5s.SpaceID) -> int:
    """Return how many values are selected; of an unlimited selection, in each of its blocks."""
    if not _grows(space):
        return space.get_select_npoints()
    _, _, count, block = space.get_regular_hyperslab()
    return math.prod(n for n in (*count, *block) if n != h5py.h5s.UNLIMITED)


def _grows(space: h5py.h5s.SpaceID) -> bool:
    """Return whether a selection is unlimited, so that it grows with its dataset."""
    is_regular = space.get_select_type() == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab()
    return is_regular and any(
        h5py.h5s.UNLIMITED in numbers for numbers in space.get_regular_hyperslab()[2:]
    )


def _located(name: str, holder: Path, variable: str) -> Path:
    """Return where HDF5 finds a file named in another (H5F_prefix_open_file in 1.14.6)."""
    given = Path(name)
    relative = Path(given.name) if given.is_absolute() else given
    prefixes = filter(None, os.environ.get(variable, "").split(os.pathsep))
    folders = [*prefixes, holder.parent, "", holder.resolve().parent]
    candidates = [given] * given.is_absolute() + [Path(folder) / relative for folder in folders]
    return next(filter(os.path.exists, candidates), holder.parent / relative)
