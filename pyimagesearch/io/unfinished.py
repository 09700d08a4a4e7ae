"""What an unfinished file holds: which run began it, and how many rows are done."""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import h5py
import numpy as np

from pyimagesearch.io import partialfile
from pyimagesearch.io.runrecord import RunRecord, differences, read_record
from pyimagesearch.utils import InputError
from pyimagesearch.utils.wording import counted


@dataclass(frozen=True)
class Unfinished:
    """The state of a ``.partial``.

    Besides one digest of all images, each has its own in the record, 20 bytes
    long: so a resumed run need not read the images that are done. That
    they have not changed since is seen from the file system, not recorded:
    equal images give equal files.

    Attributes
    ----------
    path : Path
        The file.
    n_rows : int
        How many rows are in it, from the first on.
    provenance : dict
        What it records about their origin, and their shape and dtype.
    """

    path: Path
    n_rows: int
    provenance: dict[str, object]

    @cached_property
    def record(self) -> RunRecord:
        """The record of the run that began it."""
        return RunRecord.from_json(self.provenance)

    def require_same(self, now: Mapping[str, object]) -> None:
        """Refuse to mix the rows of two different runs in one file.

        Parameters
        ----------
        now : mapping
            Some or all of what the current run would record.

        Raises
        ------
        InputError
            If a value differs that affects the rows.
        """
        now = json.loads(json.dumps(now))
        self._refuse(differences({key: self.provenance.get(key) for key in now}, now))

    def require_same_images(self, paths: Iterable[str]) -> None:
        """Refuse a folder with other images than were recorded, in any order."""
        recorded = [*(self.record.paths or ()), *(self.record.skipped or ())]
        self._refuse(differences({"paths": sorted(recorded)}, {"paths": sorted(paths)}))

    def untouched(self, root: Path) -> dict[str, str]:
        """Return the digests of the images whose rows are done and that are unchanged.

        Images whose contents, name or permissions have changed since the run
        began are not among them, nor are missing ones (Windows does not report
        a changed name). If the run began in the future, by a clock or
        ``SOURCE_DATE_EPOCH`` that is ahead, none is.
        """
        began = self.record.began
        if began is None or began > time.time():
            return {}
        done = islice(self.record.digest_of_path.items(), self.n_rows)
        return {path: digest for path, digest in done if _changed(root / path) < began}

    def require_same_contents(self, digests: Mapping[str, str]) -> None:
        """Refuse images that have changed since they were recorded.

        Parameters
        ----------
        digests : mapping of str to str
            The current digest by path.

        Raises
        ------
        InputError
            If one differs.
        """
        recorded = self.record.digest_of_path
        changed = [path for path in recorded if digests.get(path) != recorded[path]]
        if changed:
            raise InputError(
                f"{counted(len(changed), 'image')} changed since the interrupted run, such as "
                f"'{changed[0]}': restore them, or delete the .partial to start again"
            )

    def _refuse(self, changes: list[str]) -> None:
        if changes:
            raise InputError(
                f"cannot resume '{self.path}', which differs in {', '.join(changes)}: "
                "use the recorded settings, or delete the file to start again"
            )


def read_unfinished(output: Path, data_key: str) -> Unfinished | None:
    """Read how far an earlier run got.

    Parameters
    ----------
    output : Path
        The file to make.
    data_key : str
        Name of the dataset that holds its rows.

    Returns
    -------
    Unfinished or None
        None if there is no ``.partial``.

    Raises
    ------
    InputError
        If another process is writing it, it cannot be read, or it is not an
        unfinished file of such rows.
    """
    path = partialfile.partial_path(output)
    if not os.path.exists(path):
        return None
    partialfile.check_not_busy(output)
    with readable(path), partialfile.open_hdf5(path, "r") as db:
        return inspect(db, path, data_key)


def inspect(db: h5py.File, path: Path, data_key: str) -> Unfinished:
    """Return the state of an open ``.partial``; may raise any exception if it is damaged."""
    data, labels = db.get(data_key), db.get("labels")
    if not (_is_ours(data) and _is_ours(labels) and labels.shape == data.shape[:1]):
        raise InputError(_not_ours(path, data_key))
    if "label_names" in db:
        db["label_names"].asstr()[:]  # raises here rather than hours later
    try:
        recorded = read_record(data, path)
    except InputError as error:
        what = str(error).removeprefix(f"'{path}' ")
        raise InputError(f"cannot resume '{path}': it {what}; delete it to start again") from error
    missing = np.flatnonzero(labels[:] < 0)
    return Unfinished(
        path,
        int(missing[0]) if len(missing) else len(labels),
        recorded | {"dims": str(data.shape), "dtype": str(data.dtype)},
    )


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Report in one line that a file is not an unfinished one, or cannot be read."""
    try:
        if not partialfile.begins_like_hdf5(path):
            raise InputError(
                f"'{path}' is not an unfinished file: move it away, or delete it to start again"
            )
        yield
    except InputError:
        raise
    except Exception as error:  # h5py raises any type for a damaged file
        of_the_disk = partialfile.error_number(error) is not None
        advice = "check the disk" if of_the_disk else "delete it to start again"
        raise InputError(
            f"cannot resume '{path}': {partialfile.reason(error)}; {advice}"
        ) from error


def _not_ours(path: Path, data_key: str) -> str:
    return (
        f"'{path}' is not an unfinished file of '{data_key}': "
        "move it away, or delete it to start again"
    )


def _is_ours(dataset: object) -> bool:
    """Return whether rows can be written to it without changing metadata."""
    return (
        isinstance(dataset, h5py.Dataset)
        and dataset.chunks is None
        and dataset.id.get_offset() is not None
    )


def _changed(path: Path) -> float:
    """Return when a file was last written or renamed."""
    try:
        status = path.stat()
    except OSError:
        return float("inf")
    return max(status.st_mtime, status.st_ctime)
