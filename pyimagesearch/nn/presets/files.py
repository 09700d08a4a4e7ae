"""The files of a preset: a network's configuration, its weights and its preprocessing."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pyimagesearch.nn.description import Weights
from pyimagesearch.nn.presets.download import fetch, fetch_if_there, named_failure
from pyimagesearch.nn.presets.names import folder_of
from pyimagesearch.nn.weights import sha256_of
from pyimagesearch.utils import InputError
from pyimagesearch.utils.pathchecks import require_readable

PRESET = "preset"  # the name of weights that KerasHub publishes
CONFIG, CONVERTER = "config.json", "image_converter.json"
WEIGHTS, SHARDS = "model.weights.h5", "model.weights.json"


@dataclass(frozen=True)
class Preset:
    """A preset whose files are here.

    Attributes
    ----------
    name : str
        As KerasHub spells it, or that of the user's folder.
    folder : Path
        Where its files are.
    is_published : bool
        Whether KerasHub knows it by its name.
    """

    name: str
    folder: Path
    is_published: bool = False

    @property
    def has_converter(self) -> bool:
        """Whether it records how images are prepared."""
        return (self.folder / CONVERTER).exists()

    @property
    def weights_path(self) -> Path:
        """The file of its weights, or the list of several such files."""
        whole, shards = self.folder / WEIGHTS, self.folder / SHARDS
        return shards if shards.exists() and not whole.exists() else whole

    def weights(self) -> Weights:
        """Return what its weights are called, and one digest of all files that affect the features.

        Raises
        ------
        InputError
            If one of them is missing or cannot be read.
        """
        names = [CONFIG, *([CONVERTER] if self.has_converter else []), self.weights_path.name]
        if self.weights_path.name == SHARDS:
            names += shard_names(self.weights_path)
        digest = hashlib.sha256()
        for path in (self.folder / name for name in names):
            require_readable(path, "file", "that of a preset, as save_to_preset makes it")
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
        return Weights(PRESET if self.is_published else self.name, digest.hexdigest())


def find(network: str, with_weights: bool = True) -> Preset:
    """Return a preset by its name, fetched if need be, or by its folder.

    Parameters
    ----------
    network : str
        One of `image_presets`, or the path of a folder.
    with_weights : bool
        Whether its weights are needed, too.

    Raises
    ------
    InputError
        If it is not there, and cannot be fetched.
    """
    folder = folder_of(network)
    if folder is None:
        return Preset(network, _fetched(network, with_weights), is_published=True)
    require_readable(folder / CONFIG, "file", "a folder as KerasHub's save_to_preset makes it")
    return Preset(folder.resolve().name, folder)


def shard_names(path: Path) -> list[str]:
    """Return the files of weights that a list names.

    Raises
    ------
    InputError
        If it is damaged.
    """
    try:
        found = json.loads(path.read_bytes())["weight_map"].values()
        return sorted({name for one in found for name in ([one] if isinstance(one, str) else one)})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'{path}' is damaged: expected a list of files of weights; get the preset again"
        ) from error


def _fetched(name: str, with_weights: bool) -> Path:
    """Fetch what is missing, and return its folder."""
    with named_failure(name):
        folder = fetch(name, CONFIG).parent
        fetch_if_there(name, CONVERTER)
        if with_weights and not fetch_if_there(name, WEIGHTS):
            for shard in shard_names(fetch(name, SHARDS)):
                fetch(name, shard)
    return folder
