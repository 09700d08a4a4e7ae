"""A layer of Keras as its file describes it: settings, and weights to be taken one by one."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from pyimagesearch.nn.graph.node import NoTranslationError

# Gives the arrays of a layer in the order in which Keras saves them, by the layer's path:
# its name, behind those of the models that it lies in, and of a part of it behind its own.
Arrays = Callable[[str], list[np.ndarray]]


class Layer:
    """What a translation is made from.

    Parameters
    ----------
    path : str
        Where it lies, see `Arrays`.
    config : mapping
        Its settings, as Keras saves them.
    arrays : Arrays
        Where its weights are.
    """

    def __init__(self, path: str, config: Mapping[str, object], arrays: Arrays):
        self.path = path
        self.config = config
        self._arrays = arrays
        self._left: Iterator[np.ndarray] | None = None

    def __getitem__(self, setting: str):
        """Return one of its settings."""
        return self.config[setting]

    def take(self, *shape: int) -> np.ndarray:
        """Return the next of its arrays, which must have a shape."""
        if self._left is None:
            self._left = iter(self._arrays(self.path))
        array = next(self._left, None)
        if array is None or array.shape != shape:
            given = "is missing" if array is None else f"has the shape {array.shape}"
            raise NoTranslationError(f"an array of {shape} {given}")
        return array

    def require_all_taken(self) -> None:
        """Refuse a layer that has more arrays than its translation knows of."""
        left = self._arrays(self.path) if self._left is None else list(self._left)
        if left:
            raise NoTranslationError(f"{len(left)} arrays too many")

    def part(self, name: str) -> "Layer":
        """Return a layer that it is made of."""
        return Layer(f"{self.path}/{name}", {}, self._arrays)
