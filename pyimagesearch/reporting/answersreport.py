"""The report of new images: how many there are of each class, and which are the least sure."""

import heapq
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from pyimagesearch.reporting.confusions import cap
from pyimagesearch.reporting.page import Shown, is_page, write_json, write_page
from pyimagesearch.reporting.thumbnails import thumbnails

UNKNOWN = "?"
# All images together, which bounds the size of the page; per class, which bounds the memory.
N_IN_CLASSES, N_PER_CLASS, N_UNKNOWN, N_LEAST_SURE = 600, 100, 100, 24
N_ANSWERS, N_UNREADABLE = 10_000, 200


class Classified(Protocol):
    """What the report needs of an answer."""

    path: Path
    predicted: int
    probability: float
    is_unknown: bool


class Kept(NamedTuple):
    """An image that may be shown, ordered by the certainty of its class."""

    number: float  # the probability; of an unknown image, how similar the nearest one is
    place: int
    path: Path
    name: str  # of the class; of an unknown image, of the nearest one


class AnswersReport:
    """What is kept of answers, to be written as a page or as JSON.

    Parameters
    ----------
    names : sequence of str
        Names of the classes.
    """

    def __init__(self, names: Sequence[str]):
        self._names = names
        self._counts: Counter[str] = Counter()
        self._least_sure: dict[str, list[tuple]] = {}
        self._answers: list[dict[str, object]] = []
        self._unreadable: list[tuple[str, str]] = []
        self._n_answers = self._n_unreadable = 0

    def add(self, answer: Classified) -> None:
        """Take note of an answer, in little memory."""
        if answer.is_unknown:
            like = answer.likeness
            group, name, number = UNKNOWN, self._names[like.nearest], float(like.similarity)
            numbers = {"probability": None, "nearest_class": name, "similarity": number}
            key = UNKNOWN
        else:
            group = name = self._names[answer.predicted]
            number = float(answer.probability)
            numbers = {"probability": number}
            key = f"class {name}"  # which may be called "?", too
        self._counts[key] += 1
        self._n_answers += 1
        heap = self._least_sure.setdefault(key, [])
        # The heap's first is the surest, which makes room for one that is less sure.
        entry = (-number, -self._n_answers, answer.path, name)
        (heapq.heappush if len(heap) < N_PER_CLASS else heapq.heappushpop)(heap, entry)
        if len(self._answers) < N_ANSWERS:
            self._answers.append({"path": str(answer.path), "class": group, **numbers})

    def add_unreadable(self, path: Path, problem: str) -> None:
        """Take note of an image that cannot be read."""
        self._n_unreadable += 1
        if len(self._unreadable) < N_UNREADABLE:
            self._unreadable.append((str(path), problem))

    def to_json(self) -> dict[str, object]:
        """Return the counts, and the numbers of the first answers."""
        return {
            "n_images": self._n_answers,
            "n_unreadable": self._n_unreadable,
            "n_unknown": self._counts[UNKNOWN],
            "classes": {name: self._counts[f"class {name}"] for name in self._names},
            "n_answers_left_out": self._n_answers - len(self._answers),
            "answers": self._answers,
        }

    def write(
        self,
        path: str | Path,
        load: Callable[[Path], np.ndarray],
        about: Mapping[str, str],
        notes: Sequence[str] = (),
        n_threads: int = 1,
    ) -> None:
        """Write a page to look at if the name asks for one, and else JSON.

        Parameters
        ----------
        path : str or Path
            The file to write.
        load : callable
            Takes a path, and returns pixels: uint8, (height, width, 3), RGB.
        about : mapping of str to str
            The heading of the page, by its names.
        notes : sequence of str
            Texts of several lines, such as a classification report.
        n_threads : int
            How many images are loaded at a time.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        if not is_page(path):
            write_json(path, self.to_json())
            return
        kept = {
            key: [Kept(-number, -place, *rest) for number, place, *rest in sorted(heap)[::-1]]
            for key, heap in self._least_sure.items()
        }
        unknown = kept.pop(UNKNOWN, [])[:N_UNKNOWN]
        # The classes in order; of very many, those of the fewest images have none shown.
        ranked = sorted(kept, key=lambda key: -self._counts[key])
        most = cap([len(kept[key]) for key in ranked], N_IN_CLASSES) if kept else 0
        sections = [
            (kept[key][0].name, self._counts[key], kept[key][:most])
            for key in ranked[:N_IN_CLASSES]
        ]
        least_sure = heapq.nsmallest(N_LEAST_SURE, chain.from_iterable(kept.values()))
        folder = common_folder(
            [image.path for images in (unknown, *kept.values()) for image in images]
        )
        wanted = dict.fromkeys(
            image.path
            for image in chain(unknown, least_sure, *(images for _, _, images in sections))
        )
        write_page(
            path,
            "answers.html",
            about=about,
            notes=notes,
            report=self.to_json(),
            sections=sections,
            n_sections=len(ranked),
            most_per_class=most,
            unknown=unknown,
            least_sure=least_sure,
            unreadable=self._unreadable,
            shown=lambda image: Shown(
                image.path,
                os.path.relpath(image.path, folder),
                image.name,
                probability=image.number,
            ),
            thumbnails=thumbnails(wanted, load, n_threads),
        )


def common_folder(paths: Sequence[Path]) -> str:
    """Return the folder that all paths lie in."""
    folders = {os.path.abspath(path.parent) for path in paths}  # noqa: PTH100 - links stay
    return os.path.commonpath(folders) if folders else "."
