"""Log what was found about the images, before hours are spent on them."""

import logging

from pyimagesearch.preprocessing.checkedimages import CheckedImages
from pyimagesearch.preprocessing.classes import (
    class_table,
    class_warnings,
    require_two_classes,
    skipped_folder_warnings,
    small_classes,
)
from pyimagesearch.preprocessing.duplicates import contradictions, duplicate_notes
from pyimagesearch.preprocessing.imagepaths import LabelledImages
from pyimagesearch.utils import InputError
from pyimagesearch.utils.wording import counted, listed

logger = logging.getLogger(__name__)


def report_classes(images: LabelledImages) -> None:
    """Log the classes of a folder, and warn where the folders may not be classes.

    Raises
    ------
    InputError
        If there is only one class.
    """
    require_two_classes(images)
    logger.info(f"{len(images.label_names):,} classes:\n{class_table(images)}")
    for line in images.labelling.notes:
        logger.info(line)
    if images.skipped.kinds:
        logger.info(f"skipped: {images.skipped}")
    for line in [*skipped_folder_warnings(images), *class_warnings(images), *small_classes(images)]:
        logger.warning(line)


def report_unreadable(checked: CheckedImages, are_skipped: bool) -> None:
    """Log each image that cannot be read, and why."""
    for path, reason in sorted(checked.bad.items()):
        if are_skipped:
            logger.warning(f"skipped {path!r}: {reason}")
        else:
            logger.error(f"cannot read {path!r}: {reason}")


def report_duplicates(images: LabelledImages, checked: CheckedImages) -> None:
    """Log what only the contents of the images show.

    Raises
    ------
    InputError
        If the readable images are of one class, on one side of a given
        split, or of one group.
    """
    require_two_classes(checked.images)
    require_two_sides(checked)
    found = checked.images, checked.digests, checked.duplicates
    for line in [*checked.notes, *duplicate_notes(*found)]:
        logger.info(line)
    known = small_classes(images)
    newly_small = [line for line in small_classes(checked.images) if line not in known]
    for line in [*contradictions(*found), *split_duplicates(checked), *newly_small]:
        logger.warning(line)


def require_two_sides(checked: CheckedImages) -> None:
    """Refuse a given split or given groups that leave no image to train or to test.

    Raises
    ------
    InputError
        Naming what was given.
    """
    n_images, labelling = len(checked.images), checked.images.labelling
    if 0 < checked.n_train < n_images or not (labelling.group_of or labelling.test):
        return
    given, leave = ("the split", "leaves") if labelling.test else ("the groups", "leave")
    side = "train" if checked.n_train == 0 else "test"
    raise InputError(
        f"{given} {leave} none of {counted(n_images, 'image')} to {side}: expected some; "
        "correct the table"
    )


def split_duplicates(checked: CheckedImages) -> list[str]:
    """Count the duplicates that are on both sides of a given split, in one line if any."""
    groups = checked.duplicates.groups(checked.images.paths)
    divided = [rows for rows in groups if min(rows) < checked.n_train <= max(rows)]
    if checked.images.is_test is None or not divided:
        return []
    first = [checked.images.paths[row] for row in (min(divided[0]), max(divided[0]))]
    return [
        f"the given split has {counted(len(divided), 'photograph')} on both sides, such as "
        f"{listed(first)}: the accuracy will be too high; correct the split"
    ]
