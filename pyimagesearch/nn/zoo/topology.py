"""The networks of ``keras.applications`` as Keras builds them, without weights.

Only Keras's code knows of which layers a network consists, and that depends on the
size of its images, as the pads of a stride do. So Keras builds
each network once, and what its layers are is kept in the user's cache folder.
"""

import contextlib
import gzip
import hashlib
import importlib.metadata
import json
import os
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from pyimagesearch.nn import zoo
from pyimagesearch.nn.backend import import_keras
from pyimagesearch.nn.graph.reading import Config
from pyimagesearch.nn.kerasmodel import fan_in, replaced
from pyimagesearch.utils import InputError
from pyimagesearch.utils.files import replacing

FORMAT = 1  # of the files in the cache


@dataclass(frozen=True)
class Variable:
    """An array of a layer.

    Attributes
    ----------
    name : str
        As the layer calls it, such as ``"kernel"``.
    shape : tuple of int
    trainable : bool
        Whether it comes before or behind others in the oldest kind of files.
    fan_in : int
        Of a kernel, how many inputs each output has; 0 of others.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool
    fan_in: int = 0


@dataclass(frozen=True)
class Topology:
    """A network without its weights.

    Attributes
    ----------
    config : dict
        Its layers and their calls, as ``keras.Model.to_json`` has them.
    variables : dict of str to list of Variable
        The arrays of each layer that has any, by its path, in Keras's order.
    url, digest : str or None
        Where its ImageNet weights are published, and their MD5 or SHA-256, if
        Keras has one; None without these weights.
    """

    config: Config
    variables: dict[str, list[Variable]]
    url: str | None = None
    digest: str | None = None

    def to_json(self) -> str:
        """Return a text that `from_json` turns back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Topology":
        """Build a topology from its text."""
        values = json.loads(text)
        variables = {
            path: [Variable(**each | {"shape": tuple(each["shape"])}) for each in found]
            for path, found in values["variables"].items()
        }
        return cls(values["config"], variables, values["url"], values["digest"])


def zoo_topology(
    network: zoo.ZooNetwork, size: tuple[int, int], published: bool = False, jobs: int = 1
) -> Topology:
    """Return the layers of a network, from the cache or else from Keras.

    Parameters
    ----------
    network : ZooNetwork
        Which one.
    size : tuple of int
        Height and width of its images, in pixels.
    published : bool
        Whether it is for its ImageNet weights: an EfficientNetB0 then has a
        layer more, a MobileNet other weights for each size.
    jobs : int
        How many threads Keras may use, if it is needed.

    Raises
    ------
    InputError
        If the network cannot be built for images of that size.
    """
    kept = _kept_file(network, size, published)
    found = _read(kept)
    if found is None:
        found = _built(network, size, published, jobs)
        _keep(kept, found)
    return found


def cache_folder() -> Path | None:
    """Return the folder where the user's programs keep what they can make again."""
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    with contextlib.suppress(RuntimeError):  # no home folder is known
        folder = Path(given) if given else Path("~/.cache").expanduser()
        return folder / "pyimagesearch"
    return None


def _kept_file(network: zoo.ZooNetwork, size: tuple[int, int], published: bool) -> Path | None:
    """Return the name that encodes everything that a topology depends on."""
    weights = "imagenet" if published else "any"
    keras = importlib.metadata.version("keras")
    name = f"{network.name}-{size[0]}x{size[1]}-{weights}-keras-{keras}-v{FORMAT}.json.gz"
    folder = cache_folder()
    return folder and folder / "networks" / name


def _read(path: Path | None) -> Topology | None:
    """Return what is kept in a file, if it is there and whole."""
    if path is None:
        return None
    try:
        sha256, _, packed = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(packed).hexdigest().encode() != sha256:
        return None
    return Topology.from_json(gzip.decompress(packed))


def _keep(path: Path | None, topology: Topology) -> None:
    """Write a file with its digest before it; where that cannot be, Keras builds it again."""
    if path is None:
        return
    packed = gzip.compress(topology.to_json().encode(), mtime=0)
    sha256 = hashlib.sha256(packed).hexdigest().encode()
    with contextlib.suppress(OSError, InputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(sha256 + b"\n" + packed)


def _built(network: zoo.ZooNetwork, size: tuple[int, int], published: bool, jobs: int) -> Topology:
    keras = import_keras(jobs)
    if not published:
        return topology_of(zoo.build(network, size))
    zoo.build(network, size)  # whose error names what is wrong with the size
    asked: list[tuple[str, str | None]] = []

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_) -> str:
        asked.append((origin, file_hash))
        return fname

    module = sys.modules[getattr(keras.applications, network.name).__module__]
    with (
        replaced(module.file_utils, "get_file", get_file),
        replaced(keras.Model, "load_weights", lambda model, path: None),
        warnings.catch_warnings(action="ignore"),  # of sizes other than the usual
    ):
        model = zoo.build(network, size, weights="imagenet")
    ((url, digest),) = asked
    return topology_of(model, url, digest)


def topology_of(model, url: str | None = None, digest: str | None = None) -> Topology:
    """Return the layers of a network that Keras has built."""
    variables = {}

    def note(layers, above: str) -> None:
        for layer in layers:
            path = f"{above}{layer.name}"
            if hasattr(layer, "layers"):
                note(layer.layers, f"{path}/")
            elif layer.weights:
                variables[path] = [
                    Variable(each.name, tuple(each.shape), each.trainable, fan_in(layer, each))
                    for each in layer.weights
                ]

    note(model.layers, "")
    return Topology(json.loads(model.to_json()), variables, url, digest)
