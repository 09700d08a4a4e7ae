"""Images that train and test at once, in two files."""

import logging

from pyimagesearch.io import FeaturesFile, JoinedFeatures
from pyimagesearch.preprocessing import near_duplicates_between
from pyimagesearch.utils.wording import counted

logger = logging.getLogger(__name__)


def warn_of_near_duplicates(features: FeaturesFile | JoinedFeatures) -> None:
    """Count the images of a file to test on that look like one of those that train.

    Duplicates within a file are on one side of its split already, and exact duplicates
    are counted where the files are opened.
    """
    if not isinstance(features, JoinedFeatures):
        return
    n_train, record = features.n_train, features.record
    known = [record.fingerprints[:n_train], record.fingerprints[n_train:]]
    if not all(map(any, known)):
        logger.info(
            "note: near duplicates between the two files cannot be found: one of them does not "
            "record what its images look like; extract its features again to find them"
        )
        return
    digests = record.digests
    learnt = set(filter(None, digests[:n_train]))
    pairs = {
        n_train + pair.second: pair.first
        for pair in near_duplicates_between(*known)
        if digests[n_train + pair.second] not in learnt
    }
    if not pairs:
        return
    row = min(pairs)
    paths = record.image_paths
    example = f", such as '{paths[row]}' like '{paths[pairs[row]]}'" if paths else ""
    look = "looks" if len(pairs) == 1 else "look"
    logger.warning(
        f"{len(pairs):,} of {counted(features.shape[0] - n_train, 'image')} of "
        f"'{features.test_path}' {look} like one of '{features.train_path}', saved again, resized "
        f"or mirrored{example}: the accuracy will be too high; remove them from one of the two"
    )
