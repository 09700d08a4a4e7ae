"""What may become a row, a label or a name of a dataset, and what may not.

h5py would store most of what is refused here: wrapped round, cut off or
rounded to another class. Each check raises InputError before anything is kept.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pyimagesearch.utils import InputError


def checked_rows(rows: ArrayLike, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Copy rows of one `shape` to `dtype`: (n, *shape)."""
    try:
        given = np.asarray(rows)
    except ValueError as error:
        raise InputError("rows differ in shape from one another: expected equal shapes") from error
    if given.size == 0 and len(given) == 0:
        return np.empty((0, *shape), dtype)
    if given.shape[1:] != shape:
        expected = ", ".join(["n", *map(str, shape)])
        raise InputError(f"rows have shape {given.shape}: expected ({expected})")
    return converted(given, dtype)


def converted(given: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Copy to `dtype`, or refuse: rounding is fine, another number is not."""
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
    given = np.asarray(labels)
    if given.ndim != 1:
        raise InputError(f"labels have shape {given.shape}: expected one dimension")
    if given.size == 0:
        return np.empty(0, np.int64)
    if given.dtype.kind not in "biuf" or not np.array_equal(given, given.astype(np.int64)):
        raise InputError(f"labels have dtype {given.dtype}: expected class indices, as integers")
    if given.min() < 0:
        raise InputError(f"label {given.min()} is below 0: expected class indices from 0 on")
    return given.astype(np.int64)


def checked_dims(dims: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a dataset as integers, or refuse it."""
    numbers = tuple(dims)
    if not numbers or not all(isinstance(n, int | np.integer) and n >= 1 for n in numbers):
        raise InputError(f"dims is {dims}: expected the shape of the dataset, all numbers above 0")
    return tuple(map(int, numbers))


def checked_key(key: str) -> str:
    """Return the name of the dataset of rows, or refuse it."""
    if not key or "/" in key or key in (".", "labels", "label_names"):
        raise InputError(f"dataKey is '{key}': expected a name other than labels and label_names")
    return key


def checked_dtype(dtype: DTypeLike) -> np.dtype:
    """Return the number type of the rows, or refuse it."""
    checked = np.dtype(dtype)
    if checked.kind not in "biufc":
        raise InputError(f"dtype is '{checked}': expected a number type such as float32 or uint8")
    return checked


def checked_name(name: str | bytes) -> str:
    """Return a class name that HDF5 can hold, or refuse it."""
    text = name.decode() if isinstance(name, bytes) else str(name)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"class label {text!r} is not valid UTF-8: rename it") from error
    if "\0" in text:
        raise InputError(f"class label {text!r} holds a NUL: rename it")
    return text
