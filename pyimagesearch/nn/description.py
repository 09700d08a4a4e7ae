"""What a network computes, in a form that travels: to a file, and back into a network."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Weights:
    """Which weights a network has.

    Attributes
    ----------
    name : str
        ``"imagenet"``, ``"random"`` or the name of a file.
    sha256 : str
        Digest of the file; of the numbers, layer by layer, for ``"random"``.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Description:
    """Everything that decides which features a picture has.

    It is recorded beside the features and in the classifier; two runs give
    the same features if it is the same.

    Attributes
    ----------
    network : str
        Name of a network of ``keras.applications``, or of a ``.keras`` file.
    layer : str
        The layer after which the network is cut.
    pooling : str
        ``"none"``, ``"avg"`` or ``"max"`` over the rows and columns that the
        layer gives.
    size : tuple of int
        Height and width of a picture, in pixels.
    preprocessing : str
        One of `pyimagesearch.nn.preprocessing.PREPROCESSINGS`.
    feature_shape : tuple of int
        Shape of one picture's features, before they become a row.
    weights : Weights
        Their name and digest; of a ``.keras`` file, which brings its own, the
        name and digest of that file.
    """

    network: str
    layer: str
    pooling: str
    size: tuple[int, int]
    preprocessing: str
    feature_shape: tuple[int, ...]
    weights: Weights

    @property
    def n_features(self) -> int:
        """How many numbers there are per picture."""
        return math.prod(self.feature_shape)

    def __str__(self) -> str:
        """Return in a line which network gives the features.

        Examples
        --------
        >>> print(Description("VGG16", "block5_pool", "none", (224, 224), "caffe", (7, 7, 512),
        ...                   Weights("random", "ab")))
        VGG16 (random), cut after block5_pool: 7 x 7 x 512 = 25,088 numbers per picture
        """
        pooled = "" if self.pooling == "none" else f", {self.pooling} pooled"
        shape = " x ".join(f"{length:,}" for length in self.feature_shape)
        numbers = f" = {self.n_features:,}" if len(self.feature_shape) > 1 else ""
        return (
            f"{self.network} ({self.weights.name}), cut after {self.layer}{pooled}: "
            f"{shape}{numbers} numbers per picture"
        )

    def to_json(self) -> dict[str, object]:
        """Return what ``json.dumps`` takes, and `from_json` turns back.

        Examples
        --------
        >>> made = Description("VGG16", "block1_pool", "avg", (224, 224), "caffe", (64,),
        ...                    Weights("random", "ab"))
        >>> Description.from_json(made.to_json()) == made
        True
        """
        values = asdict(self)
        return values | {key: list(values[key]) for key in ("size", "feature_shape")}

    @classmethod
    def from_json(cls, recorded: Mapping[str, object]) -> "Description":
        """Build a description from a mapping that has at least its keys.

        Raises
        ------
        KeyError, TypeError, ValueError
            If a key is missing or its value is of another kind.
        """
        height, width = (int(n_pixels) for n_pixels in recorded["size"])
        return cls(
            network=str(recorded["network"]),
            layer=str(recorded["layer"]),
            pooling=str(recorded["pooling"]),
            size=(height, width),
            preprocessing=str(recorded["preprocessing"]),
            feature_shape=tuple(int(length) for length in recorded["feature_shape"]),
            weights=Weights(**recorded["weights"]),
        )
