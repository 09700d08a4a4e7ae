"""Join a Dask cluster, and send a network to its workers."""

import concurrent.futures
import contextlib
import logging
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator

import cloudpickle
import dask
from distributed import Client, Security
from distributed.comm import CommClosedError

from pyimagesearch.extraction import worker
from pyimagesearch.extraction.address import scheduler_address
from pyimagesearch.extraction.scheduler import require_scheduler
from pyimagesearch.extraction.shipment import (
    ByValue,
    packed_code,
    required_versions,
    shipment_name,
)
from pyimagesearch.nn import Network
from pyimagesearch.preprocessing import Decoding
from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.processor import processor_model
from pyimagesearch.utils.wording import counted, listed

CONNECT_S = 10.0  # until a scheduler must have accepted this client
WORKERS_S = 30.0  # until there must be a worker, at the start and later
SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1GB",  # large images are not a mistake
    "distributed.admin.low-level-log-length": 0,  # else the last 1,000 batches sent are kept here
}

NamedContents = tuple[str, bytes]  # an image's name, and the contents of its file

logger = logging.getLogger(__name__)


class Cluster:
    """The workers of a cluster, each with a network: a context manager.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or the path of a scheduler file.
    network : Network
        What computes the features there; it must not have computed here.

    Attributes
    ----------
    network_name : str
        Distinguishes the network from others that the cluster may keep.
    usable : frozenset of str
        The addresses of the workers that can compute, as of the last `refresh`.
    n_threads : int
        How many batches these compute at a time.
    processors : Counter of str
        How many workers had each CPU model at the start.
    took_part : dict of str to str
        The address of each worker that has computed, and its CPU model.

    Raises
    ------
    InputError
        On entering: if there is no scheduler or no worker, or if they have
        other versions than this machine.
    """

    def __init__(self, address: str, network: Network):
        self.usable: frozenset[str] = frozenset()
        self.n_threads = 0
        self.processors: Counter[str] = Counter()
        self.took_part: dict[str, str] = {}
        self._address = address
        self._network = network
        self._code = packed_code()
        self._versions = required_versions(network.engine, getattr(network, "packages", ()))
        self.network_name = shipment_name(network, self._code, self._versions)
        self._compute = ByValue(worker.compute_features)
        self._rejected: set[str] = set()
        self._refreshed = self._seen = 0.0

    def __enter__(self) -> "Cluster":
        """Connect, check the workers, and send them the network."""
        _silence_dask()
        self._client = self._connect()
        try:
            with self.connection_errors():
                self._wait_for_workers()
                self._check_versions()
                self._send_network()
                self.processors = Counter(self._client.run(processor_model).values())
        except BaseException:
            self._client.close()
            raise
        workers = counted(self.processors.total(), "worker")
        logger.info(f"cluster: {workers}, {_counted_models(self.processors.elements())}")
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        """Leave the cluster; what was still in progress is dropped there."""
        self._client.close()
        if kind is not None:
            return
        models = self.took_part.values()
        logger.info(f"computed on {counted(len(models), 'worker')}: {_counted_models(models)}")
        if others := set(models) - set(self.processors):
            logger.warning(
                f"processors that joined later and are not recorded: {', '.join(sorted(others))}"
            )

    def submit(
        self, images: list[NamedContents], decoding: Decoding
    ) -> tuple[concurrent.futures.Future, frozenset[str]]:
        """Send images to a worker, with how to decode them.

        Returns
        -------
        Future
            Returns the worker's address, its CPU model and the features, float32
            of shape (n, n_features); or its address, why it cannot compute, and
            None.
        frozenset of str
            The only workers that may compute them; if none, all.
        """
        workers = self.usable if self._rejected else frozenset()
        executor = self._client.get_executor(pure=False, workers=list(workers) or None)
        return executor.submit(self._compute, self.network_name, images, decoding.record()), workers

    def refresh(self, max_age_s: float = 0.0) -> None:
        """Update which workers there are, unless that was done less than `max_age_s` ago."""
        if time.monotonic() - self._refreshed < max_age_s:
            return
        threads = self._client.nthreads(callback_timeout=WORKERS_S)
        self._rejected &= threads.keys()
        threads = {address: n for address, n in threads.items() if address not in self._rejected}
        self.usable, self.n_threads = frozenset(threads), sum(threads.values())
        self._refreshed = time.monotonic()
        if threads:
            self._seen = self._refreshed

    def reject(self, address: str, why: str) -> None:
        """Send nothing more to a worker that cannot compute."""
        if address not in self._rejected:
            self._rejected.add(address)
            logger.warning(f"worker {address} ignored: {why}; fix and restart it")

    def require_workers(self, waiting: Iterable[str], ended_workers: bool = False) -> None:
        """Give up if there has been no worker for too long.

        Parameters
        ----------
        waiting : iterable of str
            Names of the images that are not computed yet, for the message.
        ended_workers : bool
            Whether one of these may have ended the workers.
        """
        if time.monotonic() - self._seen > WORKERS_S:
            maybe = "one of these may have ended them; " if ended_workers else ""
            raise InputError(
                f"the cluster at '{self._address}' had no worker for {WORKERS_S:.0f} s, "
                f"with {listed(waiting)} not computed: {maybe}start some, and run the same command "
                "again"
            )

    @contextlib.contextmanager
    def connection_errors(self) -> Iterator[None]:
        """Turn what Dask raises when the scheduler is gone into one line."""
        try:
            yield
        except InputError:
            raise
        except (CommClosedError, TimeoutError, concurrent.futures.CancelledError) as error:
            raise self._lost_scheduler(error) from error
        except (OSError, RuntimeError, ValueError, AttributeError, TypeError) as error:
            if self._client.status != "running":
                raise self._lost_scheduler(error) from error
            if not isinstance(error, OSError):
                raise
            raise InputError(
                f"a worker of the cluster at '{self._address}' failed ({first_line(error)}): fix "
                "it, and run the same command again"
            ) from error

    def _lost_scheduler(self, error: BaseException) -> InputError:
        return InputError(
            f"lost the scheduler at '{self._address}' ({first_line(error)}): check that it "
            "runs, and run the same command again"
        )

    def _connect(self) -> Client:
        address = scheduler_address(self._address)
        if address.startswith("tls:"):
            # Without a certificate Dask would try, and fail with many lines.
            _require_certificate()
        dask.config.set(SETTINGS)
        require_scheduler(address, self._address)
        try:
            with warnings.catch_warnings(action="ignore"):  # about other versions: reported below
                return Client(
                    address, name=self.network_name, timeout=CONNECT_S, set_as_default=False
                )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(
                f"the scheduler at '{self._address}' refuses this client: "
                f"{first_line(error)}; check that it runs, and run the same command again"
            ) from error

    def _wait_for_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError as error:
            file = "" if "://" in self._address else "--scheduler-file "
            raise InputError(
                f"the cluster at '{self._address}' had no worker for {WORKERS_S:.0f} s: "
                f"start some with: dask worker {file}{self._address}"
            ) from error

    def _check_versions(self) -> None:
        """Refuse other versions, which might give other features."""
        here = self._versions
        found = self._client.get_versions(packages=[name for name in here if name != "python"])
        scheduler = {name: here[name] for name in ("python", "distributed")}
        checks = [("the scheduler", scheduler, found["scheduler"])]
        checks += [(f"worker {name}", here, there) for name, there in found["workers"].items()]
        for who, expected, there in checks:
            if wrong := worker.difference(expected, there["packages"]):
                raise InputError(f"{who} does not match: {wrong}; install the same version there")

    def _send_network(self) -> None:
        kept, unused = self._client.run_on_scheduler(worker.networks_on)
        for name in unused:
            self._client.unregister_worker_plugin(name)
        if self.network_name in kept:
            return
        network = cloudpickle.dumps(self._network)
        plugin = worker.NetworkPlugin(self.network_name, self._code, network, self._versions)
        try:
            self._client.register_plugin(plugin)
        except BaseException as error:
            failures = self._failures() if isinstance(error, (ImportError, OSError)) else {}
            self._client.unregister_worker_plugin(self.network_name)
            if failures:
                address, why = next(iter(failures.items()))
                raise InputError(
                    f"worker {address} cannot load the network: {why}; install the same versions "
                    "as here, and check its disk"
                ) from error
            raise

    def _failures(self) -> dict[str, str]:
        found = self._client.run(worker.failure, self.network_name)
        return {address: why for address, why in found.items() if why}


def _require_certificate() -> None:
    try:
        context = Security().get_connection_args("client").get("ssl_context")
    except OSError as error:
        raise InputError(
            f"the certificates for tls:// cannot be read: {first_line(error)}; correct "
            "distributed.comm.tls in Dask's configuration"
        ) from error
    if context is None:
        raise InputError(
            "no certificates for tls://: expected their files in Dask's configuration, under "
            "distributed.comm.tls"
        )


def _silence_dask() -> None:
    """Silence what Dask and tornado log about a lost cluster: one line reports it."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _counted_models(processors: Iterable[str]) -> str:
    """Count the CPU models of workers, as in 2 x A, 1 x B."""
    return ", ".join(f"{n} x {model}" for model, n in sorted(Counter(processors).items()))
