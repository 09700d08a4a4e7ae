"""Join a cluster where one is asked for, and import Dask only then."""

import contextlib
import logging
from collections.abc import Iterator

from pyimagesearch.nn import Network
from pyimagesearch.utils import InputError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def joined(address: str | None, network: Network) -> Iterator:
    """Give a network to the workers of a cluster, and log which have taken part.

    Parameters
    ----------
    address : str or None
        The scheduler's, see `pyimagesearch.extraction.cluster.Cluster`.
    network : Network
        What computes the features; it must not have computed here.

    Yields
    ------
    Cluster or None
        None without an address.

    Raises
    ------
    InputError
        If Dask is not installed; and as `Cluster` does.
    """
    if address is None:
        yield None
        return
    try:
        from pyimagesearch.extraction.cluster import Cluster, told
    except ImportError as error:
        raise InputError(
            f"--cluster needs Dask ({error}): pip install -r requirements-cluster.txt"
        ) from error
    with Cluster(address, network) as cluster:
        workers = cluster.processors.total()
        logger.info(
            f"cluster: {workers} {_workers(workers)}, {told(cluster.processors.elements())}"
        )
        yield cluster
        took_part = cluster.took_part.values()
        logger.info(f"{len(took_part)} {_workers(len(took_part))} took part: {told(took_part)}")
        if others := set(took_part) - set(cluster.processors):
            logger.warning(
                "processors that were not there at the start, and are not recorded: "
                f"{', '.join(sorted(others))}"
            )


def _workers(n: int) -> str:
    return "worker" if n == 1 else "workers"
