"""What is sent to the workers of a cluster: this project's code, and the versions it needs."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cloudpickle
from distributed.versions import get_versions

from pyimagesearch.extraction import worker
from pyimagesearch.nn import Network
from pyimagesearch.utils import processor

PACKAGE = Path(__file__).parents[1]
ROOMS_ON_WORKERS = ("nn", "preprocessing", "utils")
ALWAYS = ("distributed", "numpy", "pillow")

cloudpickle.register_pickle_by_value(worker)
cloudpickle.register_pickle_by_value(processor)


class ByValue:
    """A function that is pickled by value, even inside what Dask pickles by reference."""

    def __init__(self, function: Callable):
        self._pickled = cloudpickle.dumps(function)

    def __reduce__(self):
        return cloudpickle.loads, (self._pickled,)

    def __call__(self, *arguments):
        """Run it here, which never happens: Dask requires a callable."""
        return cloudpickle.loads(self._pickled)(*arguments)


def packed_code() -> bytes:
    """Return a zip archive of the code that a worker needs, besides numpy and Pillow.

    The sub-packages' ``__init__.py`` would import everything, with h5py and
    imutils; so they are empty there.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for room in ROOMS_ON_WORKERS:
            for path in sorted((PACKAGE / room).rglob("*.py")):
                empty = path.name == "__init__.py" and room != "utils"
                name = zipfile.ZipInfo(path.relative_to(PACKAGE.parent).as_posix())  # no date
                file.writestr(name, "" if empty else path.read_bytes())
        file.writestr(zipfile.ZipInfo("pyimagesearch/__init__.py"), "")
    return archive.getvalue()


def required_versions(engine: str, others: Sequence[str] = ()) -> dict[str, str | None]:
    """Return the versions here of the packages that affect the features, and of `others`."""
    packages = [*ALWAYS, *others]
    if engine in ("ncnn", "openvino"):
        packages.append(engine)
    elif engine == "keras":
        packages += ["keras", os.environ.get("KERAS_BACKEND", "tensorflow")]
    here = get_versions(packages=[*packages, "pillow-heif"])["packages"]
    if here["pillow-heif"]:
        packages.append("pillow-heif")
    return {package: here[package] for package in ["python", *packages]}


def shipment_name(network: Network, code: bytes, versions: Mapping[str, str | None]) -> str:
    """Return a name that differs if network, code or versions do."""
    what = (network.description, network.engine, network.batch_size, versions)
    plugin = Path(worker.__file__).read_bytes()
    digest = hashlib.sha256(repr(what).encode() + plugin + code)
    return worker.PREFIX + digest.hexdigest()[:16]
