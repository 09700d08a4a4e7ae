"""Checks of rows, labels and names before they are stored.

h5py would store most of what is refused here: wrapped around, truncated or
rounded to another class. Each check raises InputError before anything is kept.
"""

import json
import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pyimagesearch.utils import InputError

MOST_DIMENSIONS = 32  # of a dataset (HDF5 1.14)
MOST_NUMBERS = 2**58  # of any type: their bytes can be counted in 63 bits


def checked_rows(rows: ArrayLike, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Copy rows of one `shape` to `dtype`: (n, *shape)."""
    try:
        given = np.asarray(rows)
    except ValueError as error:
        raise InputError("rows differ in shape: expected equal shapes") from error
    if given.ndim and len(given) == 0:
        return np.empty((0, *shape), dtype)
    if given.ndim == 0 or given.shape[1:] != shape:
        expected = ", ".join(["n", *map(str, shape)])
        raise InputError(f"rows have shape {given.shape}: expected ({expected})")
    return converted(given, dtype)


def converted(given: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Copy to `dtype`, or refuse: rounding is allowed, overflow is not."""
    if given.dtype.kind not in "biufc":
        raise InputError(f"rows have dtype {given.dtype}: expected numbers")
    if given.dtype.kind == "c" and dtype.kind != "c":
        raise InputError(f"rows have dtype {given.dtype}, which {dtype} cannot hold")
    with np.errstate(over="ignore", invalid="ignore"):
        rows = given.astype(dtype)  # a copy: the caller may use its array again
    if rows.dtype == given.dtype:
        return rows
    if dtype.kind in "biu":
        kept = np.array_equal(rows, given)
    else:
        kept = np.array_equal(np.isinf(rows), np.isinf(given))
    if not kept:
        raise InputError(
            f"rows of {given.dtype} hold values that {dtype} cannot: "
            "convert them first, or make the writer with another dtype"
        )
    return rows


def checked_labels(labels: ArrayLike) -> np.ndarray:
    """Return class indices as int64 (n,), or refuse them."""
    try:
        given = np.asarray(labels)
    except ValueError as error:
        raise InputError("labels differ in length: expected one class index per row") from error
    if given.ndim != 1:
        raise InputError(f"labels have shape {given.shape}: expected one dimension")
    if given.size == 0:
        return np.empty(0, np.int64)
    with np.errstate(invalid="ignore"):  # NaN equals no integer
        is_whole = given.dtype.kind in "biuf" and np.array_equal(given, given.astype(np.int64))
    if not is_whole:
        raise InputError(f"labels have dtype {given.dtype}: expected class indices, as integers")
    if given.min() < 0:
        raise InputError(f"label {given.min()} is below 0: expected class indices from 0 on")
    return given.astype(np.int64)


def checked_dims(dims: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a dataset as integers, or refuse it."""
    wanted = f"dims is {dims!r}: expected the shape of the dataset, as (rows, columns)"
    try:
        numbers = tuple(map(operator.index, dims))
    except TypeError as error:
        raise InputError(wanted) from error
    if not numbers or min(numbers) < 1:
        raise InputError(f"{wanted}, all numbers above 0")
    if len(numbers) > MOST_DIMENSIONS or math.prod(numbers) > MOST_NUMBERS:
        raise InputError(f"dims is {dims!r}: HDF5 cannot hold a dataset that large")
    return numbers


def checked_size(size: int) -> int:
    """Return how many rows are buffered, or refuse it."""
    try:
        number = operator.index(size)
    except TypeError:
        number = 0
    if number < 1:
        raise InputError(f"bufSize is {size!r}: expected a number of rows, at least 1")
    return number


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file to make, or refuse it."""
    try:
        checked = Path(os.fspath(path))
        os.fsencode(checked)
    except (TypeError, UnicodeEncodeError):
        checked = None
    if checked is None or "\0" in str(checked):
        raise InputError(f"outputPath is {path!r}: expected the name of a file")
    return checked


def checked_key(key: str) -> str:
    """Return the name of the dataset of rows, or refuse it."""
    try:
        is_free = key not in ("", ".", "labels", "label_names") and not set(key) & {"/", "\0"}
        is_free = is_free and bool(key.encode())
    except (AttributeError, TypeError, UnicodeEncodeError):
        is_free = False
    if not is_free:
        raise InputError(f"dataKey is {key!r}: expected a name other than labels and label_names")
    return key


def checked_dtype(dtype: DTypeLike) -> np.dtype:
    """Return the number type of the rows, or refuse it."""
    try:
        checked = np.dtype(dtype)
    except (SyntaxError, TypeError, ValueError):  # any of them for a string
        checked = None
    if checked is None or checked.kind not in "biufc":
        raise InputError(f"dtype is {dtype!r}: expected a number type such as float32 or uint8")
    return checked


def checked_provenance(provenance: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """Return the provenance, or refuse what JSON cannot hold."""
    if not isinstance(provenance, Mapping | None):
        raise InputError(f"provenance is {provenance!r}: expected a mapping")
    try:
        json.dumps(provenance)
    except (RecursionError, TypeError, ValueError) as error:
        raise InputError(f"provenance cannot be written as JSON: {error}") from error
    return provenance


def checked_names(names: Iterable[str | bytes]) -> list[str]:
    """Return distinct class names that HDF5 can hold, or refuse them."""
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise InputError(
            f"classLabels is {names!r}: expected several names, such as ['cats', 'dogs']"
        )
    checked = [checked_name(name) for name in names]
    if not checked:
        raise InputError("no class labels: expected at least one name")
    if len(set(checked)) < len(checked):
        twice = next(name for name in checked if checked.count(name) > 1)
        raise InputError(f"class label {twice!r} appears more than once: expected each name once")
    return checked


def checked_name(name: str | bytes) -> str:
    """Return a class name that HDF5 can hold, or refuse it."""
    try:
        text = name.decode() if isinstance(name, bytes) else str(name)
        text.encode()
    except UnicodeError as error:
        raise InputError(f"class label {name!r} is not valid UTF-8: rename it") from error
    if "\0" in text:
        raise InputError(f"class label {text!r} holds a NUL: rename it")
    return text
