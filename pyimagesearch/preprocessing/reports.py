"""Log what was found of the images, before hours are spent on them."""

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

logger = logging.getLogger(__name__)


def report_classes(images: LabelledImages) -> None:
    """Log the classes of a folder, and warn where it may mean something else.

    Raises
    ------
    InputError
        If there is one class only.
    """
    require_two_classes(images)
    logger.info(f"{len(images.label_names):,} classes:\n{class_table(images)}")
    if images.skipped.kinds:
        logger.info(f"passed over: {images.skipped}")
    for line in [*skipped_folder_warnings(images), *class_warnings(images), *small_classes(images)]:
        logger.warning(line)


def report_unreadable(checked: CheckedImages, are_skipped: bool) -> None:
    """Log each image that cannot be read, and why."""
    for path, reason in sorted(checked.bad.items()):
        if are_skipped:
            logger.warning(f"left out {path!r}: {reason}")
        else:
            logger.error(f"cannot read {path!r}: {reason}")


def report_duplicates(images: LabelledImages, checked: CheckedImages) -> None:
    """Log what only the contents of the images have shown, of all that were listed.

    Raises
    ------
    InputError
        If those that can be read are of one class only.
    """
    require_two_classes(checked.images)
    found = checked.images, checked.digests, checked.duplicates
    for line in [*checked.notes, *duplicate_notes(*found)]:
        logger.info(line)
    known = small_classes(images)
    newly_small = [line for line in small_classes(checked.images) if line not in known]
    for line in [*contradictions(*found), *newly_small]:
        logger.warning(line)
