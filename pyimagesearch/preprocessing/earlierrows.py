"""What an interrupted run has recorded about its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyimagesearch.preprocessing.decoding import Decoding
from pyimagesearch.preprocessing.duplicates import Duplicates


@dataclass(frozen=True)
class EarlierRows:
    """The rows of an interrupted run; by default there are none.

    Attributes
    ----------
    known : mapping of str to str
        Digests of the images whose features are done: these are not read
        again.
    paths : sequence of str
        The image of each row. Their order is kept: an earlier release may have
        ordered them differently.
    duplicates : Duplicates
        The duplicates among them.
    n_train : int or None
        How many rows train, if that is recorded.
    decoding : Decoding or None
        How the images were read; None to choose it now.
    """

    known: Mapping[str, str] = field(default_factory=dict)
    paths: Sequence[str] = ()
    duplicates: Duplicates = field(default_factory=Duplicates)
    n_train: int | None = None
    decoding: Decoding | None = None

    @classmethod
    def recorded(
        cls, provenance: Mapping[str, object], paths: Sequence[str], known: Mapping[str, str]
    ) -> "EarlierRows":
        """Return what a provenance records about the images; `paths` are empty if unknown."""
        duplicates = Duplicates.recorded(provenance, paths) if paths else Duplicates()
        decoding = Decoding.recorded(provenance)
        return cls(known, paths, duplicates, provenance.get("n_train"), decoding)


NO_EARLIER_ROWS = EarlierRows()
