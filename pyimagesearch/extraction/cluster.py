"""Compute features on the workers of a Dask cluster that is there already.

The pictures' bytes and the network go from here to the scheduler, and from
there to the workers: these need no file of ours, and no route to this machine.
"""

import concurrent.futures
import contextlib
import hashlib
import io
import logging
import os
import time
import warnings
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cloudpickle
import dask
import numpy as np
from distributed import Client, KilledWorker, Security
from distributed.comm import CommClosedError
from distributed.versions import get_versions

from pyimagesearch.extraction import worker
from pyimagesearch.extraction.address import scheduler_address
from pyimagesearch.extraction.scheduler import require_scheduler
from pyimagesearch.extraction.worker import PREFIX, NetworkPlugin
from pyimagesearch.nn import Network
from pyimagesearch.preprocessing import Decoding
from pyimagesearch.utils import InputError, processor
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.orderedmap import ordered_map
from pyimagesearch.utils.processor import processor_model

CONNECT_S = 10.0  # until a scheduler must have taken this client in
WORKERS_S = 30.0  # until there must be a worker, at the start and later
LOOK_EVERY_S = 1.0
BATCHES_PER_THREAD = 3  # one is computed, one is on its way to it, one on its way back
MOST_BYTES = 256 * 2**20  # here, however many workers there are
SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1GB",  # large pictures are no mistake
    "distributed.admin.low-level-log-length": 0,  # else the last 1,000 batches sent stay here
}
PACKAGE = Path(__file__).parents[1]
ROOMS_ON_WORKERS = ("nn", "preprocessing", "utils")
ALWAYS = ("distributed", "numpy", "pillow")
NAMED = 4  # pictures of a batch that are named in a message

logger = logging.getLogger(__name__)

cloudpickle.register_pickle_by_value(worker)
cloudpickle.register_pickle_by_value(processor)


@dataclass
class _Batch:
    """Some pictures that are under way."""

    pictures: list[tuple[str, bytes]]
    future: concurrent.futures.Future | None = None
    workers: frozenset[str] = frozenset()  # the only ones that may compute it; if none, all
    alone: bool = False  # so that nothing else can have ended a worker

    def n_bytes(self, n_features: int) -> int:
        """Return what is kept of it here, at most: what was sent, and what comes back."""
        sent = sum(len(contents) for _, contents in self.pictures)
        return sent + len(self.pictures) * n_features * np.dtype(np.float32).itemsize

    def refusal(self) -> tuple[str, str] | None:
        """Return the worker that could not compute it, and why; None if there is no such."""
        future = self.future
        if not future.done() or future.cancelled() or future.exception():
            return None
        address, why, features = future.result()
        return (address, why) if features is None else None


class _ByValue:
    """A function that travels whole, also within what Dask pickles by reference."""

    def __init__(self, function: Callable):
        self._pickled = cloudpickle.dumps(function)

    def __reduce__(self):
        return cloudpickle.loads, (self._pickled,)

    def __call__(self, *arguments):
        """Run it here, which nobody does: Dask asks for a callable."""
        return cloudpickle.loads(self._pickled)(*arguments)


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
    n_workers : int
        How many workers there are now that can compute.
    processors : Counter of str
        How many workers of each model of processor there were at first.
    took_part : dict of str to str
        The address of each worker that has computed, and its processor.

    Raises
    ------
    InputError
        On entering: if there is no scheduler or no worker, or if these have
        other versions than this machine. Later: if they are lost.
    """

    def __init__(self, address: str, network: Network):
        self.n_workers = 0
        self.processors: Counter[str] = Counter()
        self.took_part: dict[str, str] = {}
        self._address = address
        self._network = network
        self._code = _code()
        self._versions = _versions(network.engine)
        self._name = PREFIX + _digest(self._code, network, self._versions)
        self._compute = _ByValue(worker.compute_features)
        self._fit: frozenset[str] = frozenset()
        self._unfit: set[str] = set()
        self._n_threads = 0
        self._looked = self._seen = 0.0
        self._decoding: dict[str, object] = {}

    def __enter__(self) -> "Cluster":
        """Connect, check the workers, and give them the network."""
        _quiet()
        self._client = self._connect()
        try:
            with self._lost():
                self._wait_for_workers()
                self._check_versions()
                self._send_network()
                self.processors = Counter(self._client.run(processor_model).values())
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster; what was still under way is dropped there."""
        self._client.close()

    def stream_features(
        self,
        read: Callable[[int], tuple[str, bytes]],
        rows: range,
        executor: Executor,
        jobs: int,
        decoding: Decoding,
    ) -> Iterator[np.ndarray]:
        """Yield the features of pictures, batch by batch.

        Parameters
        ----------
        read : callable
            Takes a row's number, returns the name of its picture and the
            contents of the file; called in the executor.
        rows : range
            The rows to compute.
        executor : concurrent.futures.Executor
            Where files are read: here, not on the cluster.
        jobs : int
            How many workers that executor has.
        decoding : Decoding
            How the workers read the pictures.

        Yields
        ------
        ndarray of float32, shape (b, n_features)
            As from `pyimagesearch.extraction.stream_features`.

        Raises
        ------
        InputError
            If the scheduler or all workers are lost, or if a batch ends every
            worker that computes it.
        """
        self._decoding = decoding.record()
        size = self._network.batch_size
        pictures = ordered_map(read, rows, executor, jobs + 2 * size)
        under_way: deque[_Batch] = deque()
        try:
            with self._lost():
                for batch in iter(lambda: list(islice(pictures, size)), []):
                    under_way.append(_Batch(batch))
                    self._submit(under_way[-1])
                    while self._enough(under_way):
                        yield self._result(under_way)
                while under_way:
                    yield self._result(under_way)
        finally:
            for batch in under_way:
                batch.future.cancel()

    def recorded_processors(self) -> str | dict[str, int]:
        """Return what a file says of the processors that its features come from.

        Of one model, how many there were changes nothing: the file is that of
        a single machine. Of several, how many of each.
        """
        models = dict(sorted(self.processors.items()))
        return next(iter(models)) if len(models) == 1 else models

    def note(self) -> str:
        """Return what the progress tells of the workers."""
        return f"{self.n_workers} {'worker' if self.n_workers == 1 else 'workers'}"

    def _connect(self) -> Client:
        address = scheduler_address(self._address)
        if address.startswith("tls:"):
            # Without a certificate Dask would try, and fail in many lines.
            _require_certificate()
        dask.config.set(SETTINGS)
        require_scheduler(address, self._address)
        try:
            with warnings.catch_warnings(action="ignore"):  # other versions: in our own words
                return Client(address, name=self._name, timeout=CONNECT_S, set_as_default=False)
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
        if self._name in kept:
            return
        network = cloudpickle.dumps(self._network)
        plugin = NetworkPlugin(self._name, self._code, network, self._versions)
        try:
            self._client.register_plugin(plugin)
        except BaseException as error:
            failures = self._failures() if isinstance(error, (ImportError, OSError)) else {}
            self._client.unregister_worker_plugin(self._name)
            if failures:
                address, why = next(iter(failures.items()))
                raise InputError(
                    f"worker {address} cannot take the network in: {why}; install the same there "
                    "as here, and look whether it has room"
                ) from error
            raise

    def _failures(self) -> dict[str, str]:
        found = self._client.run(worker.failure, self._name)
        return {address: why for address, why in found.items() if why}

    def _submit(self, batch: _Batch) -> None:
        batch.workers = self._fit if self._unfit else frozenset()
        executor = self._client.get_executor(pure=False, workers=list(batch.workers) or None)
        batch.future = executor.submit(self._compute, self._name, batch.pictures, self._decoding)

    def _enough(self, under_way: deque[_Batch]) -> bool:
        """Tell whether as much is under way as the workers, or the memory here, can take."""
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._look()
        n_features = self._network.description.n_features
        return (
            len(under_way) >= max(1, BATCHES_PER_THREAD * self._n_threads)
            or sum(batch.n_bytes(n_features) for batch in under_way) >= MOST_BYTES
        )

    def _look(self) -> None:
        threads = self._client.nthreads(callback_timeout=WORKERS_S)
        self._unfit &= threads.keys()
        threads = {address: n for address, n in threads.items() if address not in self._unfit}
        self._fit = frozenset(threads)
        self.n_workers, self._n_threads = len(threads), sum(threads.values())
        self._looked = time.monotonic()
        if threads:
            self._seen = self._looked

    def _result(self, under_way: deque[_Batch]) -> np.ndarray:
        """Wait for the first batch, as long as there is hope."""
        batch = under_way[0]
        while True:
            try:
                address, model, features = batch.future.result(timeout=LOOK_EVERY_S)
                if features is not None:
                    break
                self._pass_over(under_way)
            except KilledWorker as error:
                self._try_alone(under_way, error)
            except TimeoutError:
                if batch.future.done():
                    raise
                self._look()
                self._refuse_to_wait(under_way)
                if self._fit and batch.workers and not batch.workers & self._fit:
                    self._submit(batch)
        under_way.popleft()
        if batch.alone:
            for other in under_way:
                self._submit(other)
        self.took_part[address] = model
        return features

    def _pass_over(self, under_way: deque[_Batch]) -> None:
        """Compute elsewhere what has come to workers that could not take the network in."""
        refused = [(batch, *said) for batch in under_way if (said := batch.refusal())]
        for _, address, why in refused:
            if address not in self._unfit:
                self._unfit.add(address)
                logger.warning(
                    f"worker {address} takes no part: {why}; put it right and start it again"
                )
        self._look()
        while not self._fit:
            self._refuse_to_wait(under_way)
            time.sleep(LOOK_EVERY_S)
            self._look()
        for batch, *_ in refused:
            self._submit(batch)

    def _try_alone(self, under_way: deque[_Batch], error: KilledWorker) -> None:
        """Find out whether a batch ends workers, or has only been there when another did.

        Dask counts the end of a worker against all that was assigned to it.
        """
        batch = under_way[0]
        self._look()
        if batch.alone or not self.n_workers:
            raise _fatal(batch, error) from error
        for other in under_way:
            other.future.cancel()
        batch.alone = True
        self._submit(batch)

    def _refuse_to_wait(self, under_way: Iterable[_Batch]) -> None:
        """End the run if no worker is left, and a batch is to blame or none comes back."""
        if self.n_workers:
            return
        for batch in under_way:
            if batch.future.cancelled() or not batch.future.done():
                continue
            if isinstance(error := batch.future.exception(), KilledWorker):
                raise _fatal(batch, error) from error
        if time.monotonic() - self._seen > WORKERS_S:
            names = [name for batch in under_way for name, _ in batch.pictures]
            raise InputError(
                f"the cluster at '{self._address}' had no worker for {WORKERS_S:.0f} s, "
                f"while {_named(names)} were to be computed: start some, and give the same "
                "command again"
            )

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        """Turn what Dask raises when the scheduler is gone into one line."""
        try:
            yield
        except InputError:
            raise
        except (CommClosedError, TimeoutError, concurrent.futures.CancelledError) as error:
            raise self._loss(error) from error
        except (OSError, RuntimeError, ValueError, AttributeError, TypeError) as error:
            if self._client.status != "running":
                raise self._loss(error) from error
            if not isinstance(error, OSError):
                raise
            raise InputError(
                f"a worker of the cluster at '{self._address}' failed ({first_line(error)}): put "
                "it right, and give the same command again"
            ) from error

    def _loss(self, error: BaseException) -> InputError:
        why = first_line(error)
        return InputError(
            f"lost the scheduler at '{self._address}' ({why}): look whether it runs, and give "
            "the same command again"
        )


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


def _fatal(batch: _Batch, error: KilledWorker) -> InputError:
    names = [name for name, _ in batch.pictures]
    return InputError(
        f"{error.allowed_failures + 1} workers ended while they computed {_named(names)}: "
        "remove what is wrong with these, or give the workers more memory"
    )


def told(processors: Iterable[str]) -> str:
    """Return a phrase on some workers' processors.

    Examples
    --------
    >>> told(["A", "B", "A"])
    '2 x A, 1 x B'
    """
    return ", ".join(f"{n} x {model}" for model, n in sorted(Counter(processors).items()))


def _code() -> bytes:
    """Return a zip archive of what a worker needs of this project: with numpy and Pillow alone.

    The rooms' ``__init__.py`` would import all of each room, h5py and imutils
    with it; so they are empty there.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for room in ROOMS_ON_WORKERS:
            for path in sorted((PACKAGE / room).glob("*.py")):
                empty = path.name == "__init__.py" and room != "utils"
                name = zipfile.ZipInfo(path.relative_to(PACKAGE.parent).as_posix())  # no date
                file.writestr(name, "" if empty else path.read_bytes())
        file.writestr(zipfile.ZipInfo("pyimagesearch/__init__.py"), "")
    return archive.getvalue()


def _digest(code: bytes, network: Network, versions: dict[str, str | None]) -> str:
    what = (network.description, network.engine, network.batch_size, versions)
    plugin = Path(worker.__file__).read_bytes()
    return hashlib.sha256(repr(what).encode() + plugin + code).hexdigest()[:16]


def _versions(engine: str) -> dict[str, str | None]:
    """Return the versions here of what has a part in the features."""
    packages = list(ALWAYS)
    if engine == "ncnn":
        packages.append("ncnn")
    elif engine == "keras":
        packages += ["keras", os.environ.get("KERAS_BACKEND", "tensorflow")]
    here = get_versions(packages=[*packages, "pillow-heif"])["packages"]
    if here["pillow-heif"]:
        packages.append("pillow-heif")
    return {package: here[package] for package in ["python", *packages]}


def _quiet() -> None:
    """Keep what Dask and tornado log about a lost cluster off the screen: one line says it."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _named(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:NAMED])
