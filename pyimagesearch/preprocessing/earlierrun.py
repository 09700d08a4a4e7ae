"""What a run that was broken off has recorded of its pictures, to go on from there."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pyimagesearch.preprocessing.decoding import Decoding
from pyimagesearch.preprocessing.duplicates import Duplicates
from pyimagesearch.utils import InputError


@dataclass(frozen=True)
class EarlierRun:
    """The pictures of a run that was broken off; none by default.

    Digests of single pictures are recorded, 20 bytes each, beside the one over
    all: with these a run that goes on need not read the pictures that are
    done. That nobody has touched those since is seen from the file system,
    and not recorded: equal pictures are to give equal files.

    Attributes
    ----------
    digests : mapping of str to str
        The digest of each picture's contents, in the order of the rows.
    n_rows : int
        How many of the rows, from the first on, are done.
    began : float
        When the run recorded that, in seconds since 1970.
    decoding : Decoding or None
        How it has read its images; None if there was no such run.
    duplicates : Duplicates
        What it has found of them.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    n_rows: int = 0
    began: float = 0.0
    decoding: Decoding | None = None
    duplicates: Duplicates = field(default_factory=Duplicates)

    @classmethod
    def recorded(cls, provenance: Mapping[str, object], n_rows: int) -> "EarlierRun":
        """Take the pictures from what a file of features records of its rows."""
        decoding = Decoding.recorded(provenance)
        if not {"paths", "digests", "created"} <= provenance.keys():
            return cls(decoding=decoding)
        digests = dict(zip(provenance["paths"], provenance["digests"], strict=True))
        began = datetime.fromisoformat(provenance["created"]).timestamp()
        duplicates = Duplicates.recorded(provenance, provenance["paths"])
        return cls(digests, n_rows, began, decoding, duplicates)

    @property
    def paths(self) -> list[str]:
        """The pictures in the order of the rows."""
        return list(self.digests)

    def untouched(self, root: Path) -> dict[str, str]:
        """Return the digests of the pictures that are done, and as they were.

        A picture whose contents, name or permissions have been changed since
        the run began is left out, and one that is gone (Windows does not tell
        of a changed name). Of a run that began in the future, by a clock or
        ``SOURCE_DATE_EPOCH`` that is ahead, nobody knows: all are left out.
        """
        if self.began > time.time():
            return {}
        return {
            path: self.digests[path]
            for path in self.paths[: self.n_rows]
            if _changed(root / path) < self.began
        }

    def require_same(self, digests: Mapping[str, str]) -> None:
        """Refuse pictures that are others than were recorded.

        Parameters
        ----------
        digests : mapping of str to str
            Digest by path, as of now.

        Raises
        ------
        InputError
            If one differs.
        """
        changed = [path for path in self.digests if digests.get(path) != self.digests[path]]
        if changed:
            raise InputError(
                f"{len(changed):,} pictures are others than in the run to go on with, such as "
                f"'{changed[0]}': put them back, or delete the .partial to start again"
            )


def _changed(path: Path) -> float:
    """Return when a file was written or renamed for the last time."""
    try:
        status = path.stat()
    except OSError:
        return float("inf")
    return max(status.st_mtime, status.st_ctime)
