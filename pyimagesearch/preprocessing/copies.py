"""The same picture several times: where, and on which side of the training split."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.utils.split import n_train_rows

N_NAMED = 5  # contradictions that are named

Group = list[str]  # paths of one picture


def keep_copies_together(images: LabelledImages, digests: Mapping[str, str]) -> LabelledImages:
    """Reorder rows so that all copies of a picture train, or all of them judge.

    Copies are put behind the first of them. The groups keep their order,
    except that one which would lie across the split goes behind it, and later
    ones that fit take its place; where no groups fill it exactly, one lies
    across. Without copies the order stays as it is.

    Parameters
    ----------
    images : LabelledImages
        The pictures in shuffled order.
    digests : mapping of str to str
        The digest of each path's contents.

    Returns
    -------
    LabelledImages
        The same pictures, in groups.
    """
    groups = _groups(images, digests)
    if len(groups) == len(images):
        return images
    train, judge = _split(groups, n_train_rows(len(images)))
    return images.reordered(path for group in [*train, *judge] for path in group)


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
        for paths in found[:N_NAMED]
    ]
    if len(found) > N_NAMED:
        lines.append(f"{len(found) - N_NAMED:,} more pictures lie in several classes")
    return lines


def _groups(images: LabelledImages, digests: Mapping[str, str]) -> list[Group]:
    """Put the copies of a picture together, in the order in which each comes first."""
    groups: dict[str, Group] = {}
    for path in images.paths:
        groups.setdefault(digests[path], []).append(path)
    return list(groups.values())


def _split(groups: list[Group], room: int) -> tuple[list[Group], list[Group]]:
    """Take the first groups that fit into so many rows, and as many rows as can be."""
    taken, left = [], []
    for group in groups:
        fits = len(group) <= room
        (taken if fits else left).append(group)
        room -= len(group) if fits else 0
    return _exchanged(taken, left, room) if room else (taken, left)


def _exchanged(taken: list[Group], left: list[Group], room: int) -> tuple[list[Group], list[Group]]:
    """Fill the room with a group that is too large for it, where others can leave for it."""
    for size, group in {len(group): group for group in reversed(left)}.items():
        too_many = size - room
        for n_groups, n_images in ((too_many, 1), (1, too_many)):
            leaving = [one for one in taken if len(one) == n_images][-n_groups:]
            if len(leaving) == n_groups:
                gone = set(map(id, leaving))
                taken = [one for one in taken if id(one) not in gone]
                left = [one for one in left if one is not group]
                return [*taken, group], [*leaving, *left]
    return taken, left


def _one_a_class(group: Group) -> Group:
    first: dict[str, str] = {}
    for path in group:
        first.setdefault(PurePosixPath(path).parent.name, path)
    return list(first.values())
