"""Stream labelled rows of any shape into one HDF5 file."""

import json
import math
import os
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence

import h5py
import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pyimagesearch.io import partialfile, rowchecks, unfinished
from pyimagesearch.utils import InputError, files
from pyimagesearch.utils.errors import NotResumableError
from pyimagesearch.utils.wording import listed

UNWRITTEN = -1  # the label of a row that is not written yet
FLUSH_SECONDS = 10.0  # a kill may cost this much work, and one batch, but no more
OVERHEAD_BYTES = 2**16  # more than HDF5 needs besides the data: 4 to 12 kB
BLOCK_BYTES = 8 * 2**20  # rows are stacked and written in pieces of this size


class HDF5DatasetWriter:
    """Buffer rows and labels in memory, and append them to an HDF5 file.

    The file has a dataset `dataKey` of shape `dims`, a dataset ``labels`` of
    shape ``(dims[0],)`` (int64) and, with `classLabels` or once
    `storeClassLabels` has been called, ``label_names`` of shape
    ``(n_classes,)`` (variable-length UTF-8).

    The rows are collected in ``<outputPath>.partial``; `close` moves it to
    `outputPath` when every row is there, so a file of that name is whole.
    Rows reach the disk before their labels, and a row that is not there has
    the label -1: after a kill at any moment, each row whose label is 0 or
    more is complete, and ``resume=True`` continues at the first missing one.
    ``<outputPath>.partial.lock`` keeps other processes away meanwhile.

    Parameters
    ----------
    dims : tuple of int
        Shape of the whole dataset; the first number counts the rows.
    outputPath : str or Path
        The file to make. It must not exist.
    dataKey : str
        Name of the dataset that holds the rows.
    bufSize : int
        How many rows are buffered before they are written. Rows that have
        waited for 10 seconds are written with the next `add` anyway.
    dtype : dtype
        Number type of the rows in the file.
    provenance : mapping, optional
        The origin of the rows, as JSON can hold it: stored as the
        attribute ``provenance`` of the dataset `dataKey`.
    classLabels : iterable of str, optional
        The names of the classes, in the order of the labels 0, 1, 2, ...; see
        `storeClassLabels` if they are known later.
    resume : bool
        Continue the ``.partial`` of an earlier run, if there is one.
        Its shape, dtype, class labels and provenance must be the same, except
        for the date and the versions, which stay those of the first run.

    Attributes
    ----------
    db : h5py.File
        The open file.
    data, labels : h5py.Dataset
        The rows and their labels.
    buffer : dict
        The rows (``"data"``) and labels (``"labels"``) not yet written.
    bufSize : int
        As given.
    idx : int
        How many rows are safely in the file.

    Raises
    ------
    InputError
        A ValueError: if an argument is wrong, `outputPath` exists, an earlier
        ``.partial`` exists or does not match, another process is
        writing, or the disk cannot hold the file.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/images.hdf5"
    >>> names = ["cats", "dogs"]
    >>> with HDF5DatasetWriter((3, 32, 32, 3), path, dtype="uint8", classLabels=names) as writer:
    ...     writer.add(np.zeros((3, 32, 32, 3), np.uint8), [0, 1, 1])
    >>> with h5py.File(path) as db:
    ...     print(list(db), db["images"].shape, db["labels"][:])
    ['images', 'label_names', 'labels'] (3, 32, 32, 3) [0 1 1]
    >>> folder.cleanup()
    """

    def __init__(
        self,
        dims: Sequence[int],
        outputPath: str | os.PathLike[str],
        dataKey: str = "images",
        bufSize: int = 1000,
        *,
        dtype: DTypeLike = "float32",
        provenance: Mapping[str, object] | None = None,
        classLabels: Iterable[str] | None = None,
        resume: bool = False,
    ):
        self.db = self._lock = None
        self.outputPath = rowchecks.checked_path(outputPath)
        self.partialPath = partialfile.partial_path(self.outputPath)
        # Absolute, in case the current folder changes meanwhile.
        self._output, self._partial = self.outputPath.absolute(), self.partialPath.absolute()
        self.dims = rowchecks.checked_dims(dims)
        self.dataKey = rowchecks.checked_key(dataKey)
        self.dtype = rowchecks.checked_dtype(dtype)
        self.bufSize = rowchecks.checked_size(bufSize)
        self.provenance = rowchecks.checked_provenance(provenance)
        names = None if classLabels is None else rowchecks.checked_names(classLabels)
        self.buffer = {"data": [], "labels": []}
        self.idx = 0
        self._failed = False
        self._last_flush = time.monotonic()

        partialfile.check_new_output(self.outputPath)
        self._lock = partialfile.lock(self.partialPath)
        try:
            partialfile.check_new_output(self.outputPath)  # not finished in the meantime
            if not os.path.lexists(self._partial):
                self._create(names)
            elif resume:
                self._reopen(names)
            else:
                raise InputError(
                    f"'{self.partialPath}' holds an unfinished run: "
                    "pass resume=True to continue it, or delete it to start again"
                )
        except BaseException:
            self._release()
            raise

    def add(self, rows: ArrayLike, labels: ArrayLike) -> None:
        """Append rows with their labels; write the buffer when it is full.

        Parameters
        ----------
        rows : array-like, shape (n_rows, *dims[1:])
            Numbers that the file's dtype can hold. They are copied.
        labels : array-like of int, shape (n_rows,)
            Class indices, 0 or more.

        Raises
        ------
        InputError
            If the writer is closed, or shapes, lengths or values do not fit;
            nothing is then buffered or written.
        """
        self._check_open()
        rows = rowchecks.checked_rows(rows, self.dims[1:], self.dtype)
        labels = rowchecks.checked_labels(labels)
        if len(rows) != len(labels):
            raise InputError(
                f"rows and labels differ in length: {len(rows)} rows, {len(labels)} labels"
            )
        taken = self.idx + len(self.buffer["data"])
        if taken + len(rows) > self.dims[0]:
            raise InputError(
                f"cannot add {len(rows)} rows to '{self.outputPath}': "
                f"{taken} of {self.dims[0]} are already in"
            )
        self.buffer["data"].extend(rows)
        self.buffer["labels"].extend(labels)
        overdue = time.monotonic() - self._last_flush >= FLUSH_SECONDS
        if len(self.buffer["data"]) >= self.bufSize or overdue:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows, and return once they are on the disk.

        Raises
        ------
        InputError
            If the file cannot be written, for example on a full disk. The rows
            written before are safe.
        """
        self._check_open()
        self._last_flush = time.monotonic()
        # An `add` that was interrupted may have left more rows than labels.
        n_rows = len(self.buffer["labels"])
        if not n_rows:
            return
        end = self.idx + n_rows
        try:
            self._write_rows(n_rows)
            # Only now may the labels mark the rows as written.
            partialfile.sync(self.db)
            self.labels[self.idx : end] = np.asarray(self.buffer["labels"], np.int64)
            partialfile.sync(self.db)
        except OSError as error:
            self._failed = True
            raise InputError(
                f"cannot write to '{self.partialPath}': {partialfile.reason(error)}"
            ) from error
        self.idx, self.buffer = end, {"data": [], "labels": []}

    def storeClassLabels(self, classLabels: Iterable[str]) -> None:
        """Store the names of the classes, before the rows or after them.

        The structure of a file never changes once it holds rows, so if there
        are rows they are copied to a new file: with many rows, call it before.

        Parameters
        ----------
        classLabels : iterable of str
            The names, in the order of the labels 0, 1, 2, ...

        Raises
        ------
        InputError
            If it is a single name, other names are stored already, or a name is
            not UTF-8 or repeated.
        """
        self._check_open()
        names = rowchecks.checked_names(classLabels)
        if "label_names" not in self.db:
            self._create(names)
            return
        stored = list(self.db["label_names"].asstr()[:])
        if stored != names:
            raise InputError(
                f"'{self.partialPath}' has other class labels: "
                f"{listed(stored)} recorded, {listed(names)} given"
            )

    def close(self) -> None:
        """Write what is buffered, and move the file into place if it is complete.

        If rows are missing, the ``.partial`` stays and a warning gives its
        number of rows. Closing twice is harmless.

        Raises
        ------
        InputError
            If the last rows cannot be written, or the file cannot be moved.
        """
        if self.db is None:
            return
        try:
            if not self._failed:
                self.flush()
            complete = self.idx == self.dims[0]
            if complete:
                self._publish()
        except BaseException as error:
            if not os.path.lexists(self._output):
                error.add_note(self._unfinished())
            raise
        finally:
            self._release()
        if not complete:
            warnings.warn(self._unfinished(), stacklevel=2)

    def __enter__(self) -> "HDF5DatasetWriter":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if error is None or self.db is None:
            self.close()
            return
        try:
            if not self._failed:
                self.flush()
        except InputError as failure:
            error.add_note(str(failure))  # the first error is the one to report
        finally:
            self._release()
            error.add_note(self._unfinished(error))

    def __repr__(self) -> str:
        state = "closed" if self.db is None else f"{len(self.buffer['data'])} buffered"
        return (
            f"<HDF5DatasetWriter '{self.outputPath}': "
            f"{self.idx:,} of {self.dims[0]:,} rows, {state}>"
        )

    def _create(self, classLabels: list[str] | None) -> None:
        """Make a new ``.partial`` with what is known, and copy the rows of the old one."""
        draft = self._partial.with_name(self._partial.name + ".new")
        db = None
        try:
            if self.db is not None and self.idx == 0:
                # No rows to copy: make room first, space for two may be missing.
                self._close_file()
                self._partial.unlink()
            n_bytes, n_others = self._sizes(classLabels)
            with partialfile.making(self.partialPath, n_bytes):
                partialfile.require_room(draft, n_bytes, n_others)
                db = partialfile.open_hdf5(draft, "w")
                self._lay_out(db, classLabels)
                self._copy_rows(db)
                partialfile.finish(db)
                self._close_file()  # or neither could be renamed on Windows
                files.move_into_place(draft, self._partial)
                self._open_file()
        except BaseException as error:
            partialfile.abandon(db)
            draft.unlink(missing_ok=True)
            self._continue_after(error)
            raise

    def _sizes(self, classLabels: list[str] | None) -> tuple[int, int]:
        """Return how large the file gets, at most, and how much of that is not rows."""
        texts = [json.dumps(self.provenance), *(classLabels or [])]
        others = sum(64 + 2 * len(text.encode()) for text in texts)
        others += self.dims[0] * np.dtype(np.int64).itemsize + OVERHEAD_BYTES
        return math.prod(self.dims) * self.dtype.itemsize + others, others

    def _lay_out(self, db: h5py.File, classLabels: list[str] | None) -> None:
        # A write that fails when a dataset is closed is lost silently, so all of
        # them stay open until everything is on the disk.
        datasets = [partialfile.create_dataset(db, self.dataKey, self.dims, self.dtype)]
        if self.provenance is not None:
            datasets[0].attrs["provenance"] = json.dumps(self.provenance)
        shape = self.dims[:1]
        datasets.append(partialfile.create_dataset(db, "labels", shape, np.int64, UNWRITTEN))
        if classLabels is not None:
            dtype = h5py.string_dtype()
            datasets.append(db.create_dataset("label_names", data=classLabels, dtype=dtype))
        partialfile.sync(db)
        partialfile.reserve(db)

    def _copy_rows(self, db: h5py.File) -> None:
        data, labels = db[self.dataKey], db["labels"]  # open until they are synced
        step = self._rows_a_block()
        for start in range(0, self.idx, step):
            block = slice(start, min(start + step, self.idx))
            data[block] = self.data[block]
            labels[block] = self.labels[block]
        partialfile.sync(db)

    def _reopen(self, classLabels: list[str] | None) -> None:
        """Continue the ``.partial`` of an earlier run, if it is the same."""
        with unfinished.readable(self.partialPath):
            self._open_file()
            found = unfinished.inspect(self.db, self.partialPath, self.dataKey)
        now = {"dims": str(self.dims), "dtype": str(self.dtype), **(self.provenance or {})}
        found.require_same(dict.fromkeys(found.provenance) | now)
        self.idx = found.n_rows
        if classLabels is not None:
            self.storeClassLabels(classLabels)

    def _open_file(self) -> None:
        self.db = partialfile.open_hdf5(self._partial, "r+")
        self.data, self.labels = self.db.get(self.dataKey), self.db.get("labels")

    def _continue_after(self, error: BaseException) -> None:
        """Open the file again if it has rows, and end if it has none or cannot be opened."""
        if self.db is None and self.idx:
            try:
                self._open_file()
            except Exception:  # as of `error`; h5py raises any type
                error.add_note(self._unfinished())
        if self.db is None:
            self._release()

    def _write_rows(self, n_rows: int) -> None:
        rows, step = self.buffer["data"][:n_rows], self._rows_a_block()
        for start in range(0, len(rows), step):
            block = np.stack(rows[start : start + step])
            self.data[self.idx + start : self.idx + start + len(block)] = block

    def _rows_a_block(self) -> int:
        row_bytes = int(np.prod(self.dims[1:], dtype=np.int64)) * self.dtype.itemsize
        return max(1, BLOCK_BYTES // max(1, row_bytes))

    def _publish(self) -> None:
        if os.path.lexists(self._output):
            raise InputError(
                f"'{self.outputPath}' has appeared in the meantime and is not overwritten: "
                f"the complete file is '{self.partialPath}'"
            )
        with partialfile.as_input_error(f"cannot move '{self.partialPath}' into place"):
            partialfile.finish(self.db)
            files.move_into_place(self._partial, self._output)

    def _close_file(self) -> None:
        db, self.db = self.db, None
        partialfile.abandon(db)

    def _release(self) -> None:
        """Close the file, then give up its lock."""
        self._close_file()
        if self._lock is not None:
            lock, self._lock = self._lock, None
            partialfile.unlock(self._partial, lock)

    def _unfinished(self, error: BaseException | None = None) -> str:
        held = f"'{self.partialPath}' holds {self.idx:,} of {self.dims[0]:,} rows"
        if isinstance(error, NotResumableError):
            return f"{held} and cannot be resumed: delete it"
        return f"{held}: run the same command again to resume"

    def _check_open(self) -> None:
        if self.db is None:
            raise InputError(f"the writer of '{self.outputPath}' is closed: open a new one")
        if self._failed:
            raise InputError(
                f"writing to '{self.partialPath}' failed before: close the writer, and resume"
            )
