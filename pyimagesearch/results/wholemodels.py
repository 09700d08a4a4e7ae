"""Network and classifier as one model, from a features file and what was trained on it."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pyimagesearch.io import FeaturesFile
from pyimagesearch.linear import Training, softmax_head
from pyimagesearch.nn import (
    Description,
    WholeClassifier,
    check_built_in,
    check_described,
    check_suffix,
    is_whole,
    load_described,
    write_whole,
)
from pyimagesearch.preprocessing import Decoding, sample_images
from pyimagesearch.utils import InputError
from pyimagesearch.utils.filenames import recorded_path

logger = logging.getLogger(__name__)


def training_digests(features: FeaturesFile) -> list[str]:
    """Return the digests of the images that train; empty if they are not recorded."""
    digests = features.record.digests
    known = isinstance(digests, list) and len(digests) == features.shape[0]
    return digests[: features.n_train] if known else []


def network_of(
    features: FeaturesFile, paths: Sequence[str], weights: str | None, jobs: int = 1
) -> tuple[Description, Path | None] | None:
    """Return the network for whole models, and where its weights are, before the search.

    None if none of the files is to be a whole model.

    Raises
    ------
    InputError
        If a file's suffix promises another format, if the features file does not record the
        network, if the weights are missing or differ, or if a whole model cannot hold it.
    """
    for path in paths:
        check_suffix(path)
    paths = [path for path in paths if is_whole(path)]
    if not paths:
        return None
    try:
        description = Description.from_json(features.record.to_json())
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'{features.path}' does not record which network made its features, which a whole "
            "model needs: expected a file made by extract_features.py; leave out --model "
            f"{paths[0]}"
        ) from error
    if description.n_features != features.shape[1]:
        raise InputError(
            f"'{features.path}' has {features.shape[1]:,} features per row, but its network "
            f"gives {description.n_features:,}: extract the features again"
        )
    if description.loaded_size is None:
        raise InputError(
            f"'{features.path}' has features of {description.network}, a preset that resizes "
            "images in its own way, which a whole model cannot: expected a network of "
            f"keras.applications or of a .keras file; leave out --model {paths[0]}, and "
            "classify_images.py takes a pickle or FILE.skops"
        )
    file = weights or features.record.weights_file
    file = file and recorded_path(file)
    check_described(description, file)
    check_built_in(description, file, jobs)
    return description, file


def write_whole_models(
    paths: Sequence[str],
    training: Training,
    features: FeaturesFile,
    network: tuple[Description, Path | None],
    jobs: int,
) -> None:
    """Save network and classifier as one model, once it has proved to give the same answers."""
    model, (description, file) = training.search.model, network
    kernel, bias = softmax_head(model)
    if training.unknown:
        logger.info(
            "note: a whole model cannot recognise unknown images and names a class for "
            "every image: only a pickle or FILE.skops can"
        )
    names = [features.label_names[label] for label in model.classes_]
    extraction = features.record.for_classifier()
    classifier = WholeClassifier(kernel, bias, names, extraction, training_digests(features))
    test_paths = features.record.image_paths[features.n_train :]
    decoding = Decoding.recorded(extraction)
    pixels, sample = sample_images(test_paths, description.size, decoding)
    keras_network = load_described(description, file, engine="keras", jobs=jobs)
    files = [Path(path) for path in paths]
    for path, difference in write_whole(
        files, keras_network, classifier, model.predict_proba, pixels
    ).items():
        logger.info(
            f"'{path}' in a fresh process: the probabilities of {sample} differ from the "
            f"classifier's by at most {difference:.1g}"
        )
