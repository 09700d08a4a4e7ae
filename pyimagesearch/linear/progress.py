"""scikit-learn's callback protocol, for a bar that counts fits."""

import threading
from collections.abc import Callable


class CountFits:
    """Call a function after each fit of a grid search.

    To be given to ``GridSearchCV.set_callbacks`` (scikit-learn 1.9). The fits
    may run in threads of this process; the calls follow one another.

    Parameters
    ----------
    advance : callable
        Called without arguments, once a fit of a fold and once for the last.
    """

    def __init__(self, advance: Callable[[], object]):
        self._advance = advance
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict) -> "CountFits":
        """Stay one object, which has one bar to advance."""
        return self

    def setup(self, estimator, context) -> None:
        """Begin: there is nothing to prepare."""

    def teardown(self, estimator, context) -> None:
        """End: there is nothing to clear up."""

    def on_fit_task_begin(self, estimator, context) -> None:
        """Start a fit: not counted yet."""

    def on_fit_task_end(self, estimator, context) -> None:
        """Finish a task; those without tasks below them are fits."""
        if context.max_subtasks == 0:
            with self._lock:
                self._advance()
