from types import SimpleNamespace

import pytest

from pyimagesearch.linear import TrainingImages
from pyimagesearch.linear.trainingimages import pack_digests

DIGESTS = ["ffffffffffffffff", "0000000000000000", "8000000000000001"]
PACKED = pack_digests(DIGESTS)
OTHERS = ["fffffffffffffffe", "0000000000000001", "8000000000000000"]


def counted(images: list[tuple[str, bool]], packed=PACKED) -> str | None:
    """Return the warning after images of these digests, each classified correctly or not."""
    known = {} if packed is None else {"training_digests_": packed}
    training = TrainingImages(SimpleNamespace(**known))
    for digest, right in images:
        training.add(digest, right)
    return training.warning()


@pytest.mark.parametrize("digest", DIGESTS)
def test_a_training_image_is_recognised(digest):
    training = TrainingImages(SimpleNamespace(training_digests_=PACKED))
    assert digest in training


@pytest.mark.parametrize("digest", OTHERS)
def test_another_image_is_not(digest):
    training = TrainingImages(SimpleNamespace(training_digests_=PACKED))
    assert digest not in training


def test_images_that_train_are_counted_and_the_others_have_an_accuracy_of_their_own():
    images = [(DIGESTS[0], True), (OTHERS[0], True), (OTHERS[1], False), (OTHERS[2], False)]
    assert counted(images) == (
        "1 of 4 evaluated images trained the classifier: the accuracy of the others is 0.3333"
    )


def test_where_all_images_train_there_is_no_other_accuracy():
    assert counted([(digest, True) for digest in DIGESTS]) == (
        "3 of 3 evaluated images trained the classifier: the accuracy means nothing for new "
        "images; evaluate others"
    )


def test_new_images_and_none_at_all_need_no_warning():
    assert counted([(digest, True) for digest in OTHERS]) is None
    assert counted([]) is None
    assert counted([], packed=None) is None


def test_a_classifier_without_a_record_of_training_images_is_reported():
    assert counted([(OTHERS[0], True)], packed=None) == (
        "the classifier does not record which images trained it: train it again to be warned if "
        "it evaluates these"
    )
