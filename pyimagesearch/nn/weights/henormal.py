"""Random weights, for trying things out without a download."""

import hashlib

import numpy as np

RANDOM_SEED = 42
# What the variables of layers that normalise are where nothing was learnt: the
# layer then passes on what it gets.
NEUTRAL = {"gamma": 1, "moving_variance": 1, "variance": 1}


class HeNormal:
    """Draw random weights that every machine and backend has the same.

    He et al., "Delving Deep into Rectifiers", ICCV 2015: normally distributed,
    with a variance of 2 / fan-in.
    """

    def __init__(self):
        self._rng = np.random.default_rng(RANDOM_SEED)
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of all that has been drawn."""
        return self._digest.hexdigest()

    def kernel(self, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        """Draw the kernel of a layer."""
        drawn = self._rng.standard_normal(shape, np.float32)
        return self._recorded(drawn * np.float32(np.sqrt(2 / fan_in)))

    def constant(self, shape: tuple[int, ...], name: str) -> np.ndarray:
        """Return what is not random, such as a bias, by the name of the variable."""
        return self._recorded(np.full(shape, NEUTRAL.get(name, 0), np.float32))

    def _recorded(self, array: np.ndarray) -> np.ndarray:
        self._digest.update(array)
        return array
