"""Duplicates of a photograph: byte for byte, saved again, resized or mirrored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.preprocessing.nearduplicates import find_near_duplicates, group_near_duplicates
from pyimagesearch.utils.wording import counted, first_lines

GROUPS, NEAR = "duplicate_groups", "near_duplicates"  # in the provenance, if there are any


@dataclass(frozen=True)
class Duplicates:
    """Which images of a data set show the same photograph.

    Attributes
    ----------
    group_of : mapping of str to str
        For each image that has duplicates, the path that represents the
        group.
    near : tuple of (str, str, bool)
        Pairs of images that differ in their bytes, and whether one is the
        mirror image of the other.
    """

    group_of: Mapping[str, str] = field(default_factory=dict)
    near: tuple[tuple[str, str, bool], ...] = ()

    def groups(self, paths: Sequence[str]) -> list[list[int]]:
        """Return the rows of each group of duplicates."""
        groups = defaultdict(list)
        for row, path in enumerate(paths):
            if path in self.group_of:
                groups[self.group_of[path]].append(row)
        return list(groups.values())

    def record(self, paths: Sequence[str]) -> dict[str, object]:
        """Return what a provenance records of it, by row; nothing without duplicates.

        Examples
        --------
        >>> found = Duplicates({"a/1": "a/1", "b/3": "a/1"}, (("a/1", "b/3", False),))
        >>> found.record(["b/3", "a/2", "a/1"])
        {'duplicate_groups': [[0, 2]], 'near_duplicates': [[2, 0, False]]}
        >>> Duplicates.recorded(found.record(["b/3", "a/2", "a/1"]), ["b/3", "a/2", "a/1"]).near
        (('a/1', 'b/3', False),)
        """
        row = {path: i for i, path in enumerate(paths)}
        groups = self.groups(paths)
        pairs = [[row[one], row[other], mirrored] for one, other, mirrored in self.near]
        return ({GROUPS: groups} if groups else {}) | ({NEAR: pairs} if pairs else {})

    @classmethod
    def recorded(cls, provenance: Mapping[str, object], paths: Sequence[str]) -> "Duplicates":
        """Return what a features file records of its rows; none for one made by 1.0.0."""
        groups = provenance.get(GROUPS) or ()
        return cls(
            {paths[row]: paths[group[0]] for group in groups for row in group},
            tuple((paths[i], paths[j], mirrored) for i, j, mirrored in provenance.get(NEAR) or ()),
        )


def find_duplicates(
    paths: Sequence[str], digests: Mapping[str, str], thumbnails: np.ndarray
) -> Duplicates:
    """Find the images that show the same photograph.

    Parameters
    ----------
    paths : sequence of str
        The images, in any order: the result does not depend on it.
    digests : mapping of str to str
        The digest of each image's contents.
    thumbnails : ndarray of uint8, shape (n, 16, 16)
        Of each of `paths`.
    """
    order = sorted(range(len(paths)), key=paths.__getitem__)
    first_with: dict[str, str] = {}
    for i in order:
        first_with.setdefault(digests[paths[i]], paths[i])
    distinct = [i for i in order if first_with[digests[paths[i]]] == paths[i]]
    thumbnails = thumbnails[distinct]
    pairs = find_near_duplicates(thumbnails)
    grouped = group_near_duplicates(thumbnails, pairs)
    path_of = [paths[i] for i in distinct]
    stands_for = {path_of[i]: path_of[first] for i, first in grouped.items()}

    group_of = {path: first_with[digests[path]] for path in paths}
    group_of = {path: stands_for.get(first, first) for path, first in group_of.items()}
    n_in_group = defaultdict(int)
    for first in group_of.values():
        n_in_group[first] += 1
    near = tuple((path_of[i], path_of[j], mirrored) for i, j, mirrored in pairs)
    return Duplicates(
        {path: first for path, first in group_of.items() if n_in_group[first] > 1}, near
    )


def duplicate_notes(
    images: LabelledImages, digests: Mapping[str, str], duplicates: Duplicates
) -> list[str]:
    """Count the exact and the near duplicates, a line each.

    Images that are in several classes are left to `contradictions`.
    """
    notes = []
    by_contents = _by_class(images, {path: digests[path] for path in images.paths})
    n_exact = len(images) - sum(map(len, by_contents))
    if n_exact:
        notes.append(
            f"duplicates: {n_exact:,} of {counted(len(images), 'image')} repeat another of their "
            "class byte for byte; duplicates stay on the same side of the split"
        )
    if duplicates.near:
        distinct = defaultdict(set)
        for path, first in duplicates.group_of.items():
            distinct[first].add(digests[path])
        n_near = sum(len(group) - 1 for group in distinct.values())
        n_mirrored = len({other for _, other, mirrored in duplicates.near if mirrored})
        mirrored = f", {n_mirrored:,} of them mirrored" if n_mirrored else ""
        notes.append(
            f"near duplicates: {counted(n_near, 'image')} {'repeats' if n_near == 1 else 'repeat'} "
            f"another one (saved again or resized{mirrored}); "
            "duplicates stay on the same side of the split"
        )
    return notes


def contradictions(
    images: LabelledImages, digests: Mapping[str, str], duplicates: Duplicates
) -> list[str]:
    """Name the images that are in several classes, a line each."""
    same = [
        f"the same image is in {len(paths)} classes: {', '.join(map(repr, paths))}; "
        "keep it in the right one only"
        for paths in _by_class(images, {path: digests[path] for path in images.paths})
        if len(paths) > 1
    ]
    label_of = dict(zip(images.paths, images.labels.tolist(), strict=True))
    alike = [
        f"{one!r} and {other!r} look like the same image, in 2 classes: "
        "keep it in the right one only"
        for one, other, _ in duplicates.near
        if label_of[one] != label_of[other]
    ]
    return [
        *first_lines(same, "more images are in several classes"),
        *first_lines(alike, "more pairs look like the same image in 2 classes"),
    ]


def _by_class(images: LabelledImages, key_of: Mapping[str, str]) -> list[list[str]]:
    """Return, for each key, the first image of each class that has it."""
    first: dict[str, dict[int, str]] = defaultdict(dict)
    for path, label in zip(images.paths, images.labels.tolist(), strict=True):
        first[key_of[path]].setdefault(label, path)
    return [list(of_class.values()) for of_class in first.values()]
