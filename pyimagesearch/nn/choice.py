"""Which network a user asks for."""

from dataclasses import dataclass
from pathlib import Path

from pyimagesearch.nn import zoo
from pyimagesearch.nn.description import Description
from pyimagesearch.nn.preprocessing import PREPROCESSINGS
from pyimagesearch.nn.weights import IMAGENET, RANDOM
from pyimagesearch.utils import InputError

POOLINGS = ("none", "avg", "max")
SAVED = ".keras"


@dataclass(frozen=True)
class NetworkChoice:
    """A network, cut somewhere, with its weights: what a command line says of it.

    What can be checked without opening a file is checked here, without Keras.

    Parameters
    ----------
    network : str
        Name of a network of ``keras.applications``, in any letter case, or
        path of a ``.keras`` file.
    layer : str or None
        The layer after which it is cut; None is the last before its head.
    pooling : str
        One of `POOLINGS`: over the rows and columns that the layer gives.
    size : tuple of int or None
        Height and width of a picture, in pixels; None is the network's own.
    preprocessing : str or None
        One of `pyimagesearch.nn.preprocessing.PREPROCESSINGS`; None is the
        network's own, which nobody knows of a ``.keras`` file.
    weights : str or None
        ``"imagenet"``, ``"random"`` or the path of a file; None is
        ``"imagenet"``, or the weights in the ``.keras`` file.

    Raises
    ------
    InputError
        If there is no such network, or the parts contradict each other.
    """

    network: str = "VGG16"
    layer: str | None = None
    pooling: str = "none"
    size: tuple[int, int] | None = None
    preprocessing: str | None = None
    weights: str | None = None

    def __post_init__(self):
        if self.file is None:
            network = zoo.find(self.network)
            self._set(
                network=network.name,
                size=self.size or (network.size, network.size),
                preprocessing=self.preprocessing or network.preprocessing,
                weights=IMAGENET if self.weights is None else self.weights,
            )
            return
        if self.weights is not None:
            raise InputError(
                f"'{self.network}' brings its own weights: leave out --weights {self.weights}"
            )
        if self.preprocessing is None:
            raise InputError(
                f"nobody can guess what '{self.network}' expects of its pixels: "
                f"give --preprocessing, one of {', '.join(PREPROCESSINGS)}"
            )

    @property
    def file(self) -> Path | None:
        """The file of a whole saved network; None for one of ``keras.applications``."""
        return Path(self.network) if self.network.endswith(SAVED) else None

    @property
    def weights_file(self) -> Path | None:
        """The file that the user has the weights from, which may lie anywhere."""
        if self.file is not None:
            return self.file
        return None if self.weights in (IMAGENET, RANDOM) else Path(self.weights)

    @classmethod
    def again(cls, description: Description, weights_file: Path | None) -> "NetworkChoice":
        """Choose what a description tells of.

        Parameters
        ----------
        description : Description
            What was computed.
        weights_file : Path or None
            Where the file is now, if the weights were in one, or have been put into one.
        """
        saved = description.network.endswith(SAVED)
        weights = description.weights.name if weights_file is None else str(weights_file)
        return cls(
            network=weights if saved else description.network,
            layer=description.layer,
            pooling=description.pooling,
            size=description.size,
            preprocessing=description.preprocessing,
            weights=None if saved else weights,
        )

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)
