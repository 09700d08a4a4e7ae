"""Join a Dask cluster, and give its workers a network."""

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

CONNECT_S = 10.0  # until a scheduler must have taken this client in
WORKERS_S = 30.0  # until there must be a worker, at the start and later
SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1GB",  # large images are no mistake
    "distributed.admin.low-level-log-length": 0,  # else the last 1,000 batches sent stay here
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
        Tells the network from others that the cluster may keep.
    usable : frozenset of str
        The addresses of the workers that can compute, as of the last `refresh`.
    n_threads : int
        How many batches these compute at a time.
    processors : Counter of str
        How many workers of each model of processor there were at first.
    took_part : dict of str to str
        The address of each worker that has computed, and its processor.

    Raises
    ------
    InputError
        On entering: if there is no scheduler or no worker, or if these have
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
        """Connect, check the workers, and give them the network."""
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
        """Leave the cluster; what was still under way is dropped there."""
        self._client.close()
        if kind is not None:
            return
        models = self.took_part.values()
        logger.info(f"{counted(len(models), 'worker')} took part: {_counted_models(models)}")
        if others := set(models) - set(self.processors):
            logger.warning(
                "processors that were not there at the start, and are not recorded: "
                f"{', '.join(sorted(others))}"
            )

    def submit(
        self, images: list[NamedContents], decoding: Decoding
    ) -> tuple[concurrent.futures.Future, frozenset[str]]:
        """Send images to a worker, and how it is to read them.

        Returns
        -------
        Future
            Gives the worker's address, its processor and the features, float32
            of shape (n, n_features); or its address, why it cannot compute, and
            None.
        frozenset of str
            The only workers that may compute them; if none, all.
        """
        workers = self.usable if self._rejected else frozenset()
        executor = self._client.get_executor(pure=False, workers=list(workers) or None)
        return executor.submit(self._compute, self.network_name, images, decoding.record()), workers

    def refresh(self, max_age_s: float = 0.0) -> None:
        """Look which workers there are now, unless that was done so short a time ago."""
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
            logger.warning(
                f"worker {address} takes no part: {why}; put it right and start it again"
            )

    def require_workers(self, waiting: Iterable[str], ended_workers: bool = False) -> None:
        """Give up if no worker has been seen for long.

        Parameters
        ----------
        waiting : iterable of str
            Names of the images that are to be computed, for the message.
        ended_workers : bool
            Whether it may be one of these that ended the workers.
        """
        if time.monotonic() - self._seen > WORKERS_S:
            maybe = "one of these may have ended them; " if ended_workers else ""
            raise InputError(
                f"the cluster at '{self._address}' had no worker for {WORKERS_S:.0f} s, "
                f"while {listed(waiting)} were to be computed: {maybe}start some, and give the "
                "same command again"
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
                f"a worker of the cluster at '{self._address}' failed ({first_line(error)}): put "
                "it right, and give the same command again"
            ) from error

    def _lost_scheduler(self, error: BaseException) -> InputError:
        return InputError(
            f"lost the scheduler at '{self._address}' ({first_line(error)}): look whether it "
            "runs, and give the same command again"
        )

    def _connect(self) -> Client:
        address = scheduler_address(self._address)
        if address.startswith("tls:"):
            # Without a certificate Dask would try, and fail in many lines.
            _require_certificate()
        dask.config.set(SETTINGS)
        require_scheduler(address, self._address)
        try:
            with warnings.catch_warnings(action="ignore"):  # other versions: in our own words
                return Client(
                    address, name=self.network_name, timeout=CONNECT_S, set_as_default=False
                )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(
                f"the scheduler at '{self._address}' does not take this client in: "
                f"{first_line(error)}; look whether it runs, and give the same command again"
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
        """Refuse other versions, with which the features might be others, too."""
        here = self._versions
        found = self._client.get_versions(packages=[name for name in here if name != "python"])
        scheduler = {name: here[name] for name in ("python", "distributed")}
        checks = [("the scheduler", scheduler, found["scheduler"])]
        checks += [(f"worker {name}", here, there) for name, there in found["workers"].items()]
        for who, expected, there in checks:
            if wrong := worker.difference(expected, there["packages"]):
                raise InputError(f"{who} {wrong}: install the same there as here")

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
                    f"worker {address} cannot take the network in: {why}; install the same there "
                    "as here, and look whether it has room"
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
    """Keep what Dask and tornado log about a lost cluster off the screen: one line says it."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _counted_models(processors: Iterable[str]) -> str:
    """Return a phrase on some workers' processors, such as 2 x A, 1 x B."""
    return ", ".join(f"{n} x {model}" for model, n in sorted(Counter(processors).items()))
