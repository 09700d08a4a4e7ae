"""What runs on the machines of a cluster, which have neither this project nor its files.

Everything here is sent by value, to schedulers that have Dask alone: so what
it needs besides is imported where it is used.
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
    """A network that each worker of a cluster gets once, however late it joins.

    The scheduler keeps it, and hands it to every worker that it has or will
    have. It stays for further runs, until one with another network finds that
    nobody uses it.

    Parameters
    ----------
    name : str
        Tells it from other networks, and from other versions of the code.
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
        """Take the code and the network in; called by Dask, in one thread."""
        self._address = worker.address
        self._processor = processor_model()
        self._lock = threading.Lock()
        self._archive = Path(worker.local_directory, f"{self.name}.zip")
        self.failure = None
        try:
            self._require_versions()
            self._take_in(worker.state.nthreads)
        except Exception as error:
            # For the tasks that come here all the same: Dask logs the error, and goes on.
            self.failure = str(error).strip().partition("\n")[0] or type(error).__name__
            raise

    def teardown(self, worker) -> None:
        """Leave nothing behind; called by Dask."""
        if str(self._archive) in sys.path:
            sys.path.remove(str(self._archive))
        self._archive.unlink(missing_ok=True)

    def compute(self, pictures: list[tuple[str, bytes]], recorded: Mapping[str, object]):
        """Return who computes, on which processor, and the features of some pictures.

        How these are decoded is given as a provenance records it.

        Where the network could not be taken in: who, why, and None.
        """
        if self.failure:
            return self._address, self.failure, None
        rows = [self._prepare(*picture, self._decoding(recorded)) for picture in pictures]
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

    def _take_in(self, n_threads: int) -> None:
        # Keras's backends read these when they are imported.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(n_threads))
        os.environ.setdefault("OMP_NUM_THREADS", str(n_threads))
        self._archive.write_bytes(self.code)
        for name in [name for name in sys.modules if name.split(".")[0] == "pyimagesearch"]:
            del sys.modules[name]  # of another version, or with files of its own
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


def compute_features(
    network: str, pictures: list[tuple[str, bytes]], recorded: Mapping[str, object]
):
    """Compute a batch with a network that is on this worker already."""
    return get_worker().plugins[network].compute(pictures, recorded)


def failure(network: str, dask_worker) -> str | None:
    """Return why a worker could not take a network in; None if it could."""
    return dask_worker.plugins[network].failure


def networks_on(dask_scheduler) -> tuple[list[str], list[str]]:
    """Return the networks that a scheduler keeps, and those of them that nobody uses."""
    kept = [name for name in dask_scheduler.worker_plugins if name.startswith(PREFIX)]
    # A client's identifier contains the name of the network it is here for.
    unused = [name for name in kept if not any(name in one for one in dask_scheduler.clients)]
    return kept, unused


def difference(expected: Mapping[str, str | None], found: Mapping[str, str | None]) -> str | None:
    """Say in which package two machines differ first; None if in none."""
    for package, here in expected.items():
        there = found.get(package)
        if package == "python":  # the third number changes no features, and no bytecode
            here, there = (".".join(version.split(".")[:2]) for version in (here, there))
        if here != there:
            return f"has {package} {there or 'not at all'}, and here it is {here or 'missing'}"
    return None
