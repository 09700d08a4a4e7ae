"""What a network computes, in a form that travels: to a file, and back into a network."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pyimagesearch.nn.conversion import Conversion


@dataclass(frozen=True)
class Weights:
    """Which weights a network has.

    Attributes
    ----------
    name : str
        ``"imagenet"``, ``"random"``, ``"preset"`` for one that KerasHub
        publishes, or the name of a file or a folder.
    sha256 : str
        Digest of the file, or of those of a preset; of the numbers, layer by
        layer, for ``"random"``.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Description:
    """Everything that determines the features of an image.

    It is recorded beside the features and in the classifier; two runs give
    the same features if it is the same.

    Attributes
    ----------
    network : str
        Name of a network of ``keras.applications``, of a ``.keras`` file, or of
        a preset of KerasHub or its folder.
    layer : str
        The layer after which the network is cut.
    pooling : str
        ``"none"``, ``"avg"`` or ``"max"`` over the rows and columns that the
        layer gives, or the tokens of its patches; or ``"cls"``, the token that
        stands for the whole image.
    size : tuple of int
        Height and width of an image, in pixels.
    preprocessing : str or Conversion
        One of `pyimagesearch.nn.preprocessing.PREPROCESSINGS`, or what a preset
        brings.
    feature_shape : tuple of int
        Shape of one image's features, before they become a row.
    weights : Weights
        Their name and digest; of a ``.keras`` file, which brings its own, the
        name and digest of that file.
    """

    network: str
    layer: str
    pooling: str
    size: tuple[int, int]
    preprocessing: str | Conversion
    feature_shape: tuple[int, ...]
    weights: Weights

    @property
    def n_features(self) -> int:
        """How many numbers there are per image."""
        return math.prod(self.feature_shape)

    @property
    def loaded_size(self) -> tuple[int, int] | None:
        """To which height and width images are loaded; None if a preset's conversion resizes."""
        return None if isinstance(self.preprocessing, Conversion) else self.size

    def __str__(self) -> str:
        """Return in a line which network gives the features.

        Examples
        --------
        >>> print(Description("VGG16", "block5_pool", "none", (224, 224), "caffe", (7, 7, 512),
        ...                   Weights("random", "ab")))
        VGG16 (random), cut after block5_pool: 7 x 7 x 512 = 25,088 numbers per image
        """
        pooled = {"none": "", "cls": ", cls token"}.get(self.pooling, f", {self.pooling} pooled")
        shape = " x ".join(f"{length:,}" for length in self.feature_shape)
        numbers = f" = {self.n_features:,}" if len(self.feature_shape) > 1 else ""
        return (
            f"{self.network} ({self.weights.name}), cut after {self.layer}{pooled}: "
            f"{shape}{numbers} numbers per image"
        )

    def to_json(self) -> dict[str, object]:
        """Return a form that ``json.dumps`` takes; `from_json` is the inverse.

        Examples
        --------
        >>> made = Description("VGG16", "block1_pool", "avg", (224, 224), "caffe", (64,),
        ...                    Weights("random", "ab"))
        >>> Description.from_json(made.to_json()) == made
        True
        """
        values = asdict(self)
        if isinstance(self.preprocessing, Conversion):
            values["preprocessing"] = self.preprocessing.to_json()
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
        preprocessing = recorded["preprocessing"]
        is_conversion = isinstance(preprocessing, Mapping)
        return cls(
            network=str(recorded["network"]),
            layer=str(recorded["layer"]),
            pooling=str(recorded["pooling"]),
            size=(height, width),
            preprocessing=Conversion.from_json(preprocessing)
            if is_conversion
            else str(preprocessing),
            feature_shape=tuple(int(length) for length in recorded["feature_shape"]),
            weights=Weights(**recorded["weights"]),
        )
