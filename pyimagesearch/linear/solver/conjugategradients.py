"""A linear system, solved by preconditioned conjugate gradients, one product at a time."""

from collections.abc import Callable

import numpy as np

MAX_PRODUCTS = 60  # of one system; with 40 or 100, real features take as long
LEAST_FALL = 0.02  # of the model's fall so far: when a product adds less, a step far off is taken


class System:
    """A Newton system ``H step = -gradient``, whose products with H are computed by others.

    It is solved when half the square of its residual is below a goal; or, if its model has fallen
    far, when it hardly falls any more (Nash and Sofer, Assessing a search direction within a
    truncated-Newton method, 1990). Otherwise the step is the one with the least residual: that of
    conjugate gradients itself rises on the way (Zhou and Walker, Residual smoothing techniques for
    iterative methods, 1994).

    Attributes
    ----------
    direction : ndarray
        What to multiply by H next, in the shape and precision of the gradient.
    step : ndarray
        The solution so far.
    unsolved : bool
        Whether a product is needed.
    n_products : int
        How many there were.
    """

    def __init__(
        self,
        gradient: np.ndarray,
        precondition: Callable[[np.ndarray], np.ndarray],
        goal: float,
        far: float = np.inf,
    ):
        self._precondition, self._goal, self._far = precondition, goal, far
        self._residual, self._least = -gradient, -gradient
        self.direction, self._solution, self.step = (np.zeros_like(gradient) for _ in range(3))
        self.n_products, self._size, self._fallen = 0, np.inf, 0.0
        self._turn()

    def _turn(self) -> None:
        """Choose the next direction, conjugate to those before."""
        preconditioned = self._precondition(self._residual)
        before, self._size = self._size, float(np.vdot(self._residual, preconditioned))
        self.unsolved = self._size > 0  # else rounding errors dominate
        self.direction *= self._residual.dtype.type(self._size / before)
        self.direction += preconditioned

    def advance(self, image: np.ndarray) -> None:
        """Take the product of H and the direction, and go along it as far as is best."""
        self.n_products += 1
        dtype, curvature = image.dtype.type, float(np.vdot(image, self.direction))
        if not curvature > 0:
            self.unsolved = False
            return
        length = dtype(self._size / curvature)
        self._solution += length * self.direction
        self._residual -= length * image
        change = self._residual - self._least
        t = dtype(
            -np.vdot(self._least, change) / max(np.vdot(change, change), np.finfo(dtype).tiny)
        )
        self.step += t * (self._solution - self.step)
        self._least += t * change
        fall, far = float(length) * self._size / 2, self._fallen > self._far
        solved = np.vdot(self._least, self._least) / 2 < self._goal
        solved = solved or (far and fall < LEAST_FALL * self._fallen)
        self._fallen += fall
        self.unsolved = not solved and self.n_products < MAX_PRODUCTS
        if self.unsolved:
            self._turn()
        elif far:
            self.step = self._solution
