"""The same picture several times: how often, and in how many classes."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.utils.wording import first_lines

Group = list[str]  # paths of one picture


def n_copies(images: LabelledImages, digests: Mapping[str, str]) -> int:
    """Count the pictures that are the same as an earlier one of their class, to the byte."""
    groups = _groups(images, digests)
    return len(images) - sum(len(_one_a_class(group)) for group in groups)


def contradictions(images: LabelledImages, digests: Mapping[str, str]) -> list[str]:
    """Name the pictures that lie in the folders of several classes, a line each."""
    found = [_one_a_class(group) for group in _groups(images, digests)]
    found = [paths for paths in found if len(paths) > 1]
    lines = [
        f"the same picture lies in {len(paths)} classes: {', '.join(map(repr, paths))}; "
        "keep it in the right one only"
        for paths in found
    ]
    return first_lines(lines, "more pictures lie in several classes")


def _groups(images: LabelledImages, digests: Mapping[str, str]) -> list[Group]:
    """Put the copies of a picture together, in the order in which each comes first."""
    groups: dict[str, Group] = {}
    for path in images.paths:
        groups.setdefault(digests[path], []).append(path)
    return list(groups.values())


def _one_a_class(group: Group) -> Group:
    first: dict[str, str] = {}
    for path in group:
        first.setdefault(PurePosixPath(path).parent.name, path)
    return list(first.values())
