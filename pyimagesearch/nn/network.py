"""What the scripts know of a network, whatever computes it."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from pyimagesearch.nn.description import Description


class Network(Protocol):
    """A headless network that turns a batch of images into rows of features.

    Attributes
    ----------
    description : Description
        What is computed.
    engine : str
        What computes it: ``"keras"``, ``"ncnn"`` or ``"openvino"``.
    why : str
        Why that was chosen, in a few words.
    batch_size : int
        The best number of images at a time; only the last batch may be
        smaller.
    concurrent : bool
        Whether it is called from several threads at once, one core each.
        Otherwise it uses all cores itself, and is called from one thread.
    independent : bool
        Whether an image's features do not depend on the rest of its batch, to
        the last bit.
    preprocess : callable
        Takes uint8 pixels (height, width, 3), gives what the network takes.
    """

    description: Description
    engine: str
    why: str
    batch_size: int
    concurrent: bool
    independent: bool
    preprocess: Callable[[np.ndarray], np.ndarray]

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Turn (b, height, width, 3) into float32 rows (b, n_features)."""
