"""A classifier's file: written with how its features were made, and read with its network."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pyimagesearch.io import FeaturesFile
from pyimagesearch.linear import Training, from_softmax_head, load_classifier, save_classifier
from pyimagesearch.nn import (
    Description,
    Network,
    WholeClassifier,
    is_whole,
    load_whole_network,
    read_whole,
)
from pyimagesearch.results.wholemodels import training_digests, write_whole_models
from pyimagesearch.utils import InputError
from pyimagesearch.utils.filenames import recorded_path


def write_models(
    paths: Sequence[str],
    training: Training,
    features: FeaturesFile,
    network: tuple[Description, Path | None] | None,
    jobs: int,
) -> None:
    """Save the classifier in each form that is asked for, alone or together with its network.

    Parameters
    ----------
    paths : sequence of str
        The files, whose suffixes choose the format.
    training, features : Training, FeaturesFile
        What was trained, and on what.
    network : tuple of Description and Path, or None
        As `network_of` returns it for these files.
    jobs : int
        How many threads to use.
    """
    whole = [path for path in paths if is_whole(path)]
    for path in paths:
        if path not in whole:
            write_model(path, training, features)
    if whole:
        write_whole_models(whole, training, features, network, jobs)


def write_model(path: str, training: Training, features: FeaturesFile) -> None:
    """Save the classifier, with the names of its classes and how its features were made."""
    extraction, trained = features.record.for_classifier(), training_digests(features)
    if training.unknown:
        training.unknown.detector.attach(training.search.model)
    save_classifier(path, training.search.model, features.label_names, extraction, trained)


def read_classifier(path: str, weights: str | None):
    """Read a classifier; for a whole model, also the record of its network.

    Returns
    -------
    LogisticRegression or LinearClassifier
    WholeClassifier or None
    """
    if not is_whole(path):
        return load_classifier(path, only_coefficients=True), None
    if weights:
        raise InputError(f"'{path}' holds its own weights: leave out --weights {weights}")
    whole = read_whole(Path(path))
    parts = whole.kernel, whole.bias, whole.label_names, whole.extraction, whole.training_digests
    return from_softmax_head(*parts, path), whole


def recorded_network(
    model,
    path: str,
    weights: str | None,
    load: Callable[..., Network],
    whole: WholeClassifier | None = None,
    **options: object,
) -> Network:
    """Load the network that a classifier was trained behind.

    Raises
    ------
    InputError
        If its weights are missing, or differ from those recorded.
    """
    try:
        description = Description.from_json(model.extraction_)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'{path}' describes its network in a way that is not understood "
            f"({error!r}): train it again"
        ) from error
    if whole is not None:
        return load_whole_network(Path(path), description, whole.output_layer, **options)
    file = weights or model.extraction_.get("weights_file")
    return load(description, file and recorded_path(str(file)), **options)
