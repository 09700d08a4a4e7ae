"""What runs on the machines of a cluster, which have neither this project nor its files.

Everything here is sent by value, also to schedulers that have only Dask: so
other imports are where they are used.
"""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from distributed import WorkerPlugin, get_worker

from pyimagesearch.utils.processor import processor_model

PREFIX = "pyimagesearch-"  # of the names of networks, among a cluster's other plugins


class NetworkPlugin(WorkerPlugin):
    """A network that each worker of a cluster gets once, even if it joins late.

    The scheduler keeps it, and sends it to every present and future worker. It
    stays for further runs, until one with another network finds it unused.

    Parameters
    ----------
    name : str
        Distinguishes it from other networks and other versions of the code.
    code : bytes
        A zip archive with the modules that compute it.
    network : bytes
        The network, pickled.
    versions : mapping of str to str or None
        What the worker must have installed, by package.
    """

    idempotent = True

    def __init__(self, name: str, code: bytes, network: bytes, versions: Mapping[str, str | None]):
        self.name = name
        self.code = code
        self.network = network
        self.versions = versions

    def setup(self, worker) -> None:
        """Load the code and the network; called by Dask, in one thread."""
        self._address = worker.address
        self._processor = processor_model()
        self._lock = threading.Lock()
        self._archive = Path(worker.local_directory, f"{self.name}.zip")
        self.failure = None
        try:
            self._require_versions()
            self._load(worker.state.nthreads)
        except Exception as error:
            # For tasks that are still sent here: Dask logs the error, and continues.
            self.failure = str(error).strip().partition("\n")[0] or type(error).__name__
            raise

    def teardown(self, worker) -> None:
        """Leave nothing behind; called by Dask."""
        if str(self._archive) in sys.path:
            sys.path.remove(str(self._archive))
        self._archive.unlink(missing_ok=True)

    def compute(self, images: list[tuple[str, bytes]], recorded: Mapping[str, object]):
        """Return this worker's address, its CPU model, and the features of images.

        `recorded` is how to decode them, as in a provenance. If the network could
        not be loaded: the address, why, and None.
        """
        if self.failure:
            return self._address, self.failure, None
        rows = [self._prepare(*image, self._decoding(recorded)) for image in images]
        batch = self._stack(rows)
        if self._computes.concurrent:
            return self._address, self._processor, self._computes(batch)
        with self._lock:  # it uses all threads itself
            return self._address, self._processor, self._computes(batch)

    def _require_versions(self) -> None:
        from distributed.versions import get_versions

        found = get_versions(packages=self.versions.keys() - {"python"})["packages"]
        if wrong := difference(self.versions, found):
            raise ImportError(wrong)

    def _load(self, n_threads: int) -> None:
        # Keras's backends read these when they are imported.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(n_threads))
        os.environ.setdefault("OMP_NUM_THREADS", str(n_threads))
        self._archive.write_bytes(self.code)
        for name in [name for name in sys.modules if name.split(".")[0] == "pyimagesearch"]:
            del sys.modules[name]  # of another version, or of a local copy
        sys.path.insert(0, str(self._archive))

        import pickle

        import numpy as np

        from pyimagesearch.preprocessing.decoding import Decoding
        from pyimagesearch.preprocessing.imageloader import load_image

        self._stack, self._load_image = np.stack, load_image
        self._decoding = Decoding.recorded
        self._computes = pickle.loads(self.network)
        self.network = b""

    def _prepare(self, name: str, contents: bytes, decoding):
        size = self._computes.description.loaded_size
        return self._computes.preprocess(self._load_image(name, size, contents, decoding))


def compute_features(network: str, images: list[tuple[str, bytes]], recorded: Mapping[str, object]):
    """Compute a batch with a network that this worker already has."""
    return get_worker().plugins[network].compute(images, recorded)


def failure(network: str, dask_worker) -> str | None:
    """Return why a worker could not load a network; None if it could."""
    return dask_worker.plugins[network].failure


def networks_on(dask_scheduler) -> tuple[list[str], list[str]]:
    """Return the networks that a scheduler keeps, and the unused ones of them."""
    kept = [name for name in dask_scheduler.worker_plugins if name.startswith(PREFIX)]
    # A client's identifier contains the name of the network it is here for.
    unused = [name for name in kept if not any(name in one for one in dask_scheduler.clients)]
    return kept, unused


def difference(expected: Mapping[str, str | None], found: Mapping[str, str | None]) -> str | None:
    """Return the first package that differs between two machines; None if none does."""
    for package, here in expected.items():
        there = found.get(package)
        if package == "python":  # the third number changes neither features nor bytecode
            here, there = (".".join(version.split(".")[:2]) for version in (here, there))
        if here != there:
            return f"{package} is {there or 'missing'} there ({here or 'missing'} here)"
    return None
