"""A map over an executor that keeps the order and bounds the memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    executor: Executor,
    ahead: int,
) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in order, working ahead.

    At most `ahead` items are loading, computing or waiting to be consumed,
    however slow the consumer is: ``Executor.map`` submits everything at once
    and would fill the memory. Works with any executor, threads or a cluster.

    Parameters
    ----------
    function : callable
        Called with one item, in the executor's workers.
    items : iterable
        Consumed lazily, in the consumer's thread.
    executor : concurrent.futures.Executor
        Where the calls run.
    ahead : int
        How many items may be in progress, at least 1.

    Yields
    ------
    object
        The results, in the order of `items`. An exception of one call is
        raised at its turn; calls that have not started are then cancelled,
        as they are when the consumer stops early.
    """
    items = iter(items)
    pending = deque(executor.submit(function, item) for item in islice(items, ahead))
    try:
        while pending:
            result = pending.popleft().result()
            pending.extend(executor.submit(function, item) for item in islice(items, 1))
            yield result
    finally:
        for future in pending:
            future.cancel()


def threaded_map(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int, ahead: int
) -> Iterator[Result]:
    """Yield what `ordered_map` does, from threads that end with the iteration."""
    with ThreadPoolExecutor(n_threads) as executor:
        yield from ordered_map(function, items, executor, ahead)
