"""Save a classifier with all that it needs to classify new images, and load it again.

Two formats, chosen by the suffix: ``.skops`` is safe to load, since it is read
without running code; any other suffix is a pickle, which can run any code.
"""

import logging
import math
import os
import pickle
import stat
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.linear.linearclassifier import CoefficientsUnpickler, LinearClassifier
from pyimagesearch.linear.picklemakers import pickle_makers
from pyimagesearch.linear.trainingimages import pack_digests
from pyimagesearch.linear.unknown import UnknownDetector
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.files import replacing

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

SKOPS = ".skops"

logger = logging.getLogger(__name__)


def save_classifier(
    path: str | Path,
    model: "LogisticRegression",
    label_names: Sequence[str],
    extraction: Mapping[str, object],
    training_digests: Sequence[object] = (),
) -> None:
    """Write a classifier, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file; ``.skops`` is written in skops's format, all else pickled.
    model : LogisticRegression
        Fitted to indices into `label_names`. It gets the attributes
        ``label_names_``, ``extraction_`` and ``sklearn_version_``; where the
        training images are known, ``training_digests_`` too.
    label_names : sequence of str
        Names of the classes.
    extraction : mapping
        How the features were made, as JSON has it; empty if not recorded.
    training_digests : sequence of str
        The digests of the images that it was fitted to, for
        `pyimagesearch.linear.trainingimages.pack_digests`.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    import sklearn

    model.label_names_ = list(label_names)
    model.extraction_ = dict(extraction)
    model.sklearn_version_ = sklearn.__version__
    if (packed := pack_digests(training_digests)) is not None:
        model.training_digests_ = packed
    with replacing(path) as temporary, temporary.open("wb") as file:
        if Path(path).suffix.lower() == SKOPS:
            import skops.io  # takes 0.7 s

            skops.io.dump(model, file)
        else:
            pickle.dump(model, file)


def load_classifier(
    path: str | Path, only_coefficients: bool = False
) -> "LogisticRegression | LinearClassifier":
    """Read a classifier that can classify new images.

    A warning is logged if the file is a pickle that others could have written,
    or was written by another version of scikit-learn.

    Parameters
    ----------
    path : str or Path
        A file that `save_classifier` has written.
    only_coefficients : bool
        Read a pickle without importing scikit-learn, which takes a second or two,
        and is not needed to classify images.

    Returns
    -------
    LogisticRegression, or LinearClassifier if only the coefficients are read
        With the attributes that `save_classifier` describes.

    Raises
    ------
    InputError
        If the file is missing or damaged, holds anything else, or does not
        record how its features were made.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no classifier '{path}': expected a file made by train_model.py")
    if path.suffix.lower() == SKOPS:
        model = _read_skops(path)
    else:
        model = _read_pickle(path, CoefficientsUnpickler if only_coefficients else pickle.Unpickler)
    needs_sklearn = not isinstance(model, LinearClassifier)
    if needs_sklearn:
        import sklearn
        from sklearn.linear_model import LogisticRegression

        if not isinstance(model, LogisticRegression):
            raise _no_classifier(path, f"it holds a {type(model).__name__}")
    check_classifier(model, path)
    version = getattr(model, "sklearn_version_", None)
    if not isinstance(version, str):
        raise _no_classifier(path, "it does not record which scikit-learn made it")
    if needs_sklearn and version != sklearn.__version__:
        logger.warning(
            f"'{path}' was made with scikit-learn {version}, and this is "
            f"{sklearn.__version__}: its answers may differ; train it again to be sure"
        )
    return model


def others_can_write(path: Path) -> bool:
    """Return whether other users than its owner, this one or root could have put a file there."""
    file, folder = path.stat(), path.parent.stat()
    if file.st_uid not in (0, os.getuid()) or _is_open_to_others(file):
        return True
    # In a folder like /tmp only owners may replace a file.
    return _is_open_to_others(folder) and not folder.st_mode & stat.S_ISVTX


def _is_open_to_others(status: os.stat_result) -> bool:
    # A group of the user's own, with the same number, has no one else in it.
    group = stat.S_IWGRP if status.st_gid != status.st_uid else 0
    return bool(status.st_mode & (stat.S_IWOTH | group))


def _read_pickle(path: Path, unpickler: type[pickle.Unpickler]) -> object:
    if hasattr(os, "getuid") and others_can_write(path):
        logger.warning(
            f"'{path}' is a pickle in a place that others can write to, and loading it can run "
            "any code: a .skops file cannot"
        )
    try:
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            return unpickler(file).load()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    except (ImportError, AttributeError) as error:  # a module, or what it held, has moved
        raise _of_others(path, error, pickle_makers(path)) from error
    except Exception as error:  # a damaged pickle raises any type
        raise _no_classifier(path, "not a valid pickle") from error


def _read_skops(path: Path) -> object:
    import skops.io

    try:
        unknown = skops.io.get_untrusted_types(file=path)
        if unknown:
            raise _no_classifier(path, f"it holds types that are not trusted: {', '.join(unknown)}")
        return skops.io.load(path, trusted=[])
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    except (ImportError, AttributeError) as error:
        raise _of_others(path, error, []) from error
    except Exception as error:  # zipfile, json, numpy and skops each have their own
        raise _no_classifier(path, "not a valid skops file, or tampered with") from error


def check_classifier(model: object, path: Path) -> None:
    """Refuse what cannot classify an image."""
    try:
        why = _defect(model)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        import sklearn

        version = getattr(model, "sklearn_version_", None)
        if isinstance(version, str) and version != sklearn.__version__:
            raise _of_others(path, error, [f"scikit-learn {version}"]) from error
        raise _no_classifier(path, f"it is damaged ({first_line(error)})") from error
    if why:
        raise _no_classifier(path, why)


def _defect(model: object) -> str | None:
    """Return why a model cannot classify; of a damaged one, it may raise as scikit-learn."""
    names, extraction = (getattr(model, key, None) for key in ("label_names_", "extraction_"))
    if not hasattr(model, "coef_") or not isinstance(names, list) or not extraction:
        return (
            "it does not record how its features were made, as a classifier trained on a file "
            "of extract_features.py does"
        )
    if len(names) <= max(model.classes_):
        return f"it has {len(names)} names for {len(model.classes_)} classes"
    if not all(isinstance(names[label], str) for label in model.classes_):
        return "the names of its classes are not text"
    shape = extraction.get("feature_shape", ())
    if math.prod(shape) != model.n_features_in_:
        return (
            f"it takes {model.n_features_in_:,} numbers per image, but the network that it "
            f"names gives {' x '.join(map(str, shape)) or 'none'}"
        )
    if not isinstance(extraction.get("weights_file") or "", str):
        return "the name of its weights file is not text"
    if model.coef_.shape[1] != model.n_features_in_:
        return (
            f"it has coefficients of {model.coef_.shape[1]:,}, not {model.n_features_in_:,} numbers"
        )
    probabilities = model.predict_proba(np.zeros((1, model.n_features_in_)))
    if probabilities.shape != (1, len(model.classes_)) or not np.isfinite(probabilities).all():
        return "its coefficients do not give a probability for each class"
    digests = getattr(model, "training_digests_", np.empty(0, np.uint64))  # 1.0.0 kept none
    if not isinstance(digests, np.ndarray) or (digests.dtype, digests.ndim) != (np.uint64, 1):
        return "its training images are not recorded as digests of 8 bytes"
    detector = UnknownDetector.of(model)
    return detector and detector.defect(model)


def _no_classifier(path: Path, why: str) -> InputError:
    return InputError(
        f"'{path}' is not a classifier for images: {why}; expected a file made by train_model.py"
    )


def _of_others(path: Path, error: Exception, makers: Sequence[str]) -> InputError:
    """Return the error of a classifier that cannot be used with the versions that are installed."""
    import sklearn

    made = f"it was made with {' and '.join(makers)}; " if makers else ""
    advice = "install these, or train it again" if makers else "train it again with these"
    return InputError(
        f"'{path}' cannot be used with scikit-learn {sklearn.__version__} and numpy "
        f"{np.__version__} ({first_line(error)}): {made}{advice}"
    )
