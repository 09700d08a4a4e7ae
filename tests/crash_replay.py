"""Record what a writer does to a folder, and rebuild every state a crash may leave.

The folder is looked at before each line of `pyimagesearch.io`, while the writer
runs on its real driver: strace shows that no line makes more than one write to
a file that is in place. (h5py's ``fileobj`` driver would name each write, but
has neither HDF5's sieve nor its accumulator of metadata, and so makes others.)

A disk keeps what was there at the last ``fsync`` of a file. Of what came since,
it may have kept a prefix, or any sectors: the system writes them in any order.
The same holds for names, until the folder is synced, except that they change
one after the other.
"""

import os
import random
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np

import pyimagesearch.io

WATCHED = str(Path(pyimagesearch.io.__file__).parent)
SECTOR = 512  # bytes that a disk writes as a whole, at least


@dataclass(frozen=True)
class Write:
    """Bytes that came to a file; `size` is what the file has then."""

    file: int
    offset: int
    data: bytes
    size: int

    def upto(self, cut: int) -> "Write":
        """Return the part before a cut."""
        return Write(self.file, self.offset, self.data[:cut], self.size)

    def sectors(self) -> Iterator["Write"]:
        """Split it where sectors of the disk meet."""
        end = self.offset + len(self.data)
        edges = range(self.offset // SECTOR * SECTOR + SECTOR, end, SECTOR)
        for start, stop in zip([self.offset, *edges], [*edges, end], strict=True):
            data = self.data[start - self.offset : stop - self.offset]
            yield Write(self.file, start, data, self.size)

    def apply(self, contents: bytes) -> bytes:
        """Return a file's contents with this written to it."""
        contents = bytearray(contents[: self.size].ljust(self.size, b"\0"))
        contents[self.offset : self.offset + len(self.data)] = self.data
        return bytes(contents)


@dataclass(frozen=True)
class Sync:
    """All that a file holds is on the disk."""

    file: int


@dataclass(frozen=True)
class Names:
    """The folder has other names in it, or they lead to other files."""

    names: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SyncNames:
    """The names in the folder are on the disk."""


@dataclass(frozen=True)
class Promise:
    """The writer has reported that so many rows are safe."""

    n_rows: int


@dataclass(frozen=True)
class State:
    """What may be found after a crash.

    Attributes
    ----------
    files : dict of str to bytes
        The folder.
    promised : int
        How many rows the writer has reported safe.
    """

    files: dict[str, bytes]
    promised: int


@dataclass
class Recorder:
    """A context in which what happens in a folder is written down."""

    folder: Path
    log: list = field(default_factory=list)
    _ids: dict[str, tuple[int, int]] = field(default_factory=dict)  # name -> inode, number
    _contents: dict[int, bytes] = field(default_factory=dict)

    def __enter__(self) -> "Recorder":
        self._fsync = mock.patch.object(os, "fsync", self._record_sync)
        self._fsync.start()
        self._trace_before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error) -> None:
        sys.settrace(self._trace_before)
        self._fsync.stop()
        self._look()

    def promise(self, n_rows: int) -> None:
        """Note that the writer says that so many rows are safe."""
        self.log.append(Promise(n_rows))

    def _trace(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(WATCHED):
            return None
        self._look()
        return self._trace

    def _record_sync(self, descriptor: int) -> None:
        self._look()
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.log.append(SyncNames())
            return
        numbers = [number for inode, number in self._ids.values() if inode == status.st_ino]
        self.log += map(Sync, numbers)  # none, for a file that has lost its name

    def _look(self) -> None:
        before = dict(self._ids.values())
        inodes = {entry.name: entry.inode() for entry in os.scandir(self.folder)}
        known = {inode: before[inode] for inode in inodes.values() if inode in before}
        for inode in sorted(set(inodes.values()) - set(known)):
            known[inode] = len(self._contents)
            self._contents[known[inode]] = b""
        ids = {name: (inode, known[inode]) for name, inode in sorted(inodes.items())}
        if ids != self._ids:
            self._ids = ids
            self.log.append(Names(tuple((name, number) for name, (_, number) in ids.items())))
        for name, (_, number) in ids.items():
            contents = (self.folder / name).read_bytes()
            if contents != self._contents[number]:
                self.log.append(_change(number, self._contents[number], contents))
                self._contents[number] = contents


def _change(file: int, before: bytes, after: bytes) -> Write:
    old = np.frombuffer(before[: len(after)].ljust(len(after), b"\0"), np.uint8)
    changed = np.flatnonzero(old != np.frombuffer(after, np.uint8))
    if not len(changed):
        return Write(file, 0, b"", len(after))
    first, last = int(changed[0]), int(changed[-1])
    return Write(file, first, after[first : last + 1], len(after))


def crashes(log: Iterable, n_cuts: int = 32, n_subsets: int = 32) -> Iterator[State]:
    """Yield the states that a crash may leave, some of them more than once.

    Parameters
    ----------
    log : iterable
        What a `Recorder` has written down.
    n_cuts : int
        At how many places a write is torn, more or less: at each byte if it
        is shorter than twice that.
    n_subsets : int
        Of how many sets of sectors it is tried that just they were written
        since the last ``fsync``: all sets, if there are not more.
    """
    rng = random.Random(0)
    contents: dict[int, bytes] = {}  # as a program sees them
    pending: dict[int, list[Write]] = {}  # since the file was last synced
    synced: dict[int, bytes] = {}
    names: list[tuple] = [()]  # those on the disk, then those since
    promised = 0

    def states(file: int | None, versions: Iterable[bytes]) -> Iterator[State]:
        for data, found in product(versions, names):
            files = {name: data if n == file else contents.get(n, b"") for name, n in found}
            yield State(files, promised)

    def reordered() -> Iterator[State]:
        for file, writes in pending.items():
            pieces = [piece for write in writes for piece in write.sectors()]
            yield from states(file, _subsets(synced.get(file, b""), pieces, n_subsets, rng))

    for event in [*log, SyncNames()]:
        match event:
            case Write(file=file):
                before = contents.get(file, b"")
                cuts = range(0, len(event.data), max(1, len(event.data) // n_cuts))
                yield from states(file, (event.upto(cut).apply(before) for cut in cuts))
                contents[file] = event.apply(before)
                pending.setdefault(file, []).append(event)
                yield from states(None, [b""])
            case Sync(file=file):
                yield from reordered()
                synced[file] = contents.get(file, b"")
                pending.pop(file, None)
            case Names():
                names.append(event.names)
                yield from reordered()
                yield from states(None, [b""])
            case SyncNames():
                yield from reordered()
                del names[:-1]
            case Promise():
                promised = event.n_rows
                yield from reordered()
                yield from states(None, [b""])


def _subsets(base: bytes, pieces: list[Write], most: int, rng: random.Random) -> Iterator[bytes]:
    n = len(pieces)
    if 2**n <= most:
        chosen = product((False, True), repeat=n)
    else:
        chosen = (rng.choices((False, True), k=n) for _ in range(most))
    for kept in chosen:
        contents = base
        for piece, keep in zip(pieces, kept, strict=True):
            contents = piece.apply(contents) if keep else contents
        yield contents
