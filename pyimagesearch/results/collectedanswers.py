"""A classifier's answers to images: collected, then reported, drawn and written."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyimagesearch.linear import (
    Answer,
    LabelledEvaluation,
    Tally,
    TrainingImages,
    report_labelled,
)
from pyimagesearch.preprocessing import UnlabelledImages, image_digest, image_reader
from pyimagesearch.reporting import AnswersReport, SheetTile, draw_contact_sheet
from pyimagesearch.utils import InputError
from pyimagesearch.utils.classfolders import ClassFolders
from pyimagesearch.utils.wording import counted

UNKNOWN_FOLDER = "_unknown"  # not "?", which Windows does not allow in a name

logger = logging.getLogger(__name__)


class CollectedAnswers:
    """The answers to many images, in little memory.

    Parameters
    ----------
    names : sequence of str
        Names of the classes.
    images : UnlabelledImages
        The images that are classified.
    """

    def __init__(self, names: Sequence[str], images: UnlabelledImages):
        self._names, self._images = names, images
        self._tally, self._report = Tally(names), AnswersReport(names)
        self._folders: ClassFolders | None = None
        self._evaluation: LabelledEvaluation | None = None

    def sort_into(self, folder: str, link: bool) -> None:
        """Have each image copied, or linked, into a folder per class from now on.

        Raises
        ------
        InputError
            If that cannot be a folder, or a class cannot have one in it.
        """
        self._folders = ClassFolders(folder, [*self._names, UNKNOWN_FOLDER], link)

    def compare_with(self, labels: Mapping[Path, str], training: TrainingImages) -> None:
        """Have each answer compared with the label that its image has already from now on."""
        self._evaluation = LabelledEvaluation(self._names, labels, training, image_digest)

    def add(self, answer: Answer) -> None:
        """Take note of an answer, or log why there is none.

        Raises
        ------
        InputError
            If the image cannot be put into the folder of its class.
        """
        if answer.problem is not None:
            logger.error(answer.problem)
            self._report.add_unreadable(answer.path, answer.problem)
            return
        self._tally.add(answer)
        self._report.add(answer)
        if self._folders is not None:
            name = UNKNOWN_FOLDER if answer.is_unknown else self._names[answer.predicted]
            self._folders.add(answer.path, name)
        if self._evaluation is not None:
            self._evaluation.add(answer)

    def report(self, elapsed_s: float) -> None:
        """Log how many images are of each class, and how many answers agree with their labels."""
        n_answers, n_images = self._tally.n_answers, len(self._images)
        images = counted(n_images, "image")
        logger.info(f"classified {n_answers:,} of {images} in {elapsed_s:.1f} s")
        for line in self._tally.summary():
            logger.info(line)
        if self._evaluation is not None:
            report_labelled(self._evaluation)

    def draw_least_sure(self, path: str) -> None:
        """Draw the images that the classifier is least sure of, the least sure first, if any."""
        tally = self._tally
        if not tally.n_answers:
            return
        tiles = [
            SheetTile(answer.path, answer.path.name, *answer.caption(self._names))
            for answer in tally.least_sure
        ]
        similar = " (?: similarity of the nearest image)" if tally.n_unknown else ""
        draw_contact_sheet(
            tiles,
            Path(path),
            title=f"{len(tiles):,} of {tally.n_answers:,} images, the least sure first",
            legend="file → class and its probability" + similar,
            load=image_reader(self._images.decoding),
        )
        logger.info(f"sheet: {path}")

    def write_report(self, path: str, about: Mapping[str, str], n_threads: int) -> None:
        """Write a page to look at, or JSON, by the name of the file.

        Parameters
        ----------
        path : str
            The file to write.
        about : mapping of str to str
            The heading of a page, by its names.
        n_threads : int
            How many images are loaded at a time.
        """
        notes = [] if self._evaluation is None else self._evaluation.report()
        load = image_reader(self._images.decoding)
        self._report.write(path, load, about, notes, n_threads)
        logger.info(f"report: {path}")

    def require_all(self) -> None:
        """Raise if images have no answer.

        Raises
        ------
        InputError
            If there are any.
        """
        n_images = len(self._images)
        if n_bad := n_images - self._tally.n_answers:
            others = "; the others are classified" if n_bad < n_images else ""
            raise InputError(
                f"{n_bad:,} of {counted(n_images, 'image')} cannot be read: "
                f"replace {'it' if n_bad == 1 else 'them'}{others}"
            )
