"""Which versions of libraries made a pickle, as far as it records them."""

import contextlib
import pickletools
from itertools import pairwise
from pathlib import Path

VERSION_KEYS = ("_sklearn_version", "sklearn_version_")  # scikit-learn's own, and ours
# NumPy's pickled arrays name a module that has moved from one major version to the next.
NUMPY_MODULES = {"numpy._core.": "numpy 2", "numpy.core.": "numpy 1"}


def pickle_makers(path: Path) -> list[str]:
    """Read from a pickle, without running it, what it was made with.

    Parameters
    ----------
    path : Path
        The file; of a damaged one, what comes before the damage is read.

    Returns
    -------
    list of str
        Such as ``["scikit-learn 1.9.1", "numpy 2"]``; what is not known is missing.
    """
    texts = []
    with contextlib.suppress(Exception), path.open("rb") as file:  # damage raises any type
        for _, argument, _ in pickletools.genops(file):
            if isinstance(argument, str):
                texts.append(argument)
    versions = [f"scikit-learn {text}" for key, text in pairwise(texts) if key in VERSION_KEYS]
    numpys = [
        name
        for module, name in NUMPY_MODULES.items()
        if any(text.startswith(module) for text in texts)
    ]
    return [*versions[:1], *numpys[:1]]
