"""Which network a user asks for."""

from dataclasses import dataclass
from pathlib import Path

from pyimagesearch.nn import presets, zoo
from pyimagesearch.nn.conversion import Conversion
from pyimagesearch.nn.description import Description
from pyimagesearch.nn.preprocessing import PREPROCESSINGS
from pyimagesearch.nn.weights import IMAGENET, RANDOM
from pyimagesearch.utils import InputError

POOLINGS = ("none", "avg", "max", "cls")
SAVED = ".keras"


@dataclass(frozen=True)
class NetworkChoice:
    """A network, cut somewhere, with its weights: as a command line describes it.

    What can be checked without opening a file is checked here, without Keras.

    Parameters
    ----------
    network : str
        Name of a network of ``keras.applications``, in any letter case, path
        of a ``.keras`` file, or name or folder of a preset of KerasHub.
    layer : str or None
        The layer after which it is cut; None is the last before its head.
    pooling : str or None
        One of `POOLINGS`: over the rows and columns that the layer gives, or
        over tokens; None is the usual one: ``"none"`` but for tokens.
    size : tuple of int or None
        Height and width of an image, in pixels; None is the network's own.
    preprocessing : str, Conversion or None
        One of `pyimagesearch.nn.preprocessing.PREPROCESSINGS`; None is the
        network's own, which is unknown for a ``.keras`` file.
    weights : str or None
        ``"imagenet"``, ``"random"`` or the path of a file; None is
        ``"imagenet"``, or the weights in the ``.keras`` file or the preset.
    part : str or None
        The layer of a ``.keras`` file that is the network; None is all of the file. Its weights
        then have no digest.

    Raises
    ------
    InputError
        If there is no such network, or the parts contradict each other.
    """

    network: str = "VGG16"
    layer: str | None = None
    pooling: str | None = None
    size: tuple[int, int] | None = None
    preprocessing: str | Conversion | None = None
    weights: str | None = None
    part: str | None = None

    def __post_init__(self):
        if self.folder and self.folder.is_file():
            raise InputError(
                f"network '{self.network}' is a file that does not end in {SAVED}: expected a "
                f"name, a {SAVED} file or a preset's folder; give a file of weights as the weights"
            )
        if self.file is None and not self.is_preset:
            network = zoo.find(self.network, presets.image_presets())
            self._set(
                network=network.name,
                pooling=self.pooling or "none",
                size=self.size or (network.size, network.size),
                preprocessing=self.preprocessing or network.preprocessing,
                weights=IMAGENET if self.weights is None else self.weights,
            )
            return
        if self.weights is not None:
            raise InputError(f"'{self.network}' brings its own weights: leave out '{self.weights}'")
        if self.is_preset:
            presets.require_installed(f"preset '{self.network}'")
        elif self.preprocessing is None:
            raise InputError(
                f"preprocessing of '{self.network}' is unknown: "
                f"give the preprocessing, one of {', '.join(PREPROCESSINGS)}"
            )

    @property
    def file(self) -> Path | None:
        """The file of a whole saved network; None for one of ``keras.applications``."""
        return Path(self.network) if self.network.endswith(SAVED) else None

    @property
    def is_preset(self) -> bool:
        """Whether it is a preset of KerasHub: networks of keras.applications are not."""
        if self.file is not None or self.network.lower() in map(str.lower, zoo.ZOO):
            return False
        return self.network in presets.image_presets() or self.folder is not None

    @property
    def folder(self) -> Path | None:
        """The user's folder that holds a preset; None without one."""
        return None if self.file else presets.folder_of(self.network)

    @property
    def name(self) -> str:
        """Its name in a description."""
        path = self.file or (self.folder if self.is_preset else None)
        return self.network if path is None else path.resolve().name

    @property
    def weights_file(self) -> Path | None:
        """The user's file or folder with the weights, wherever it is."""
        if self.file is not None:
            return self.file
        if self.is_preset:
            return self.folder
        return None if self.weights in (IMAGENET, RANDOM) else Path(self.weights)

    @classmethod
    def again(cls, description: Description, weights_file: Path | None) -> "NetworkChoice":
        """Choose the network of a description.

        Parameters
        ----------
        description : Description
            What was computed.
        weights_file : Path or None
            Where the file or the folder is now, if the weights were in one, or have been put into
            one.
        """
        saved = description.network.endswith(SAVED)
        weights = description.weights.name if weights_file is None else str(weights_file)
        if weights_file is not None and weights_file.is_dir():
            saved, weights = True, str(weights_file.absolute())
        return cls(
            network=weights if saved else description.network,
            layer=description.layer,
            pooling=description.pooling,
            size=description.size,
            preprocessing=description.preprocessing,
            weights=None if saved or description.weights.name == presets.PRESET else weights,
        )

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)
