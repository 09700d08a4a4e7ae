"""Keep a network busy: load pictures ahead of it, in order, in little memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from itertools import islice

import numpy as np

from pyimagesearch.nn import Network
from pyimagesearch.utils.orderedmap import ordered_map


def stream_features(
    network: Network,
    load: Callable[[int], np.ndarray],
    rows: range,
    executor: Executor,
    jobs: int,
) -> Iterator[np.ndarray]:
    """Yield the features of pictures, batch by batch.

    A network that several threads may call is called where the pictures are
    loaded, so that each core loads and computes by turns and none waits. Any
    other is called here, while the executor loads the next pictures.

    Parameters
    ----------
    network : Network
        What computes the features.
    load : callable
        Takes a row's number, returns its uint8 pixels (height, width, 3);
        called in the executor.
    rows : range
        The rows to compute.
    executor : concurrent.futures.Executor
        Where pictures are loaded.
    jobs : int
        How many workers the executor has.

    Yields
    ------
    ndarray of float32, shape (b, n_features)
        Features in the order of `rows`; b is the network's batch size, less
        in the last batch.
    """

    def prepare(row: int) -> np.ndarray:
        return network.preprocess(load(row))

    def compute(batch: list[int]) -> np.ndarray:
        return network(np.stack([prepare(row) for row in batch]))

    if network.concurrent:
        # Twice the workers: each finds its next batch while results wait their turn.
        yield from ordered_map(compute, _batches(rows, network.batch_size), executor, 2 * jobs)
    else:
        ahead = jobs + 2 * network.batch_size
        pictures = ordered_map(prepare, rows, executor, ahead)
        yield from map(network, map(np.stack, _batches(pictures, network.batch_size)))


def _batches(items, size: int) -> Iterator[list]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch
