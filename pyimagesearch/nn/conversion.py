"""The preprocessing that a preset of KerasHub brings: resizing, then scaling and shifting."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Conversion:
    """What KerasHub's ``ImageConverter`` does to an image of any size.

    Attributes
    ----------
    interpolation : str
        Such as ``"bicubic"``.
    antialias : bool
        Whether it is blurred first where it becomes smaller.
    crop_to_aspect_ratio, pad_to_aspect_ratio : bool
        Whether the longer side of an image is cropped, or the shorter one padded; with neither,
        the image is stretched.
    scale, offset : float, tuple of float or None
        What pixels from 0 to 255 are multiplied by, and what is added then; for all channels, or
        for each.
    """

    interpolation: str
    antialias: bool
    crop_to_aspect_ratio: bool
    pad_to_aspect_ratio: bool
    scale: float | tuple[float, ...] | None
    offset: float | tuple[float, ...] | None

    @classmethod
    def of(cls, converter) -> "Conversion":
        """Read the settings of a converter of KerasHub."""
        return cls.from_json({name: getattr(converter, name) for name in FIELDS})

    @classmethod
    def from_json(cls, recorded: Mapping[str, object]) -> "Conversion":
        """Build a conversion from what `to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            If a key is missing or its value is of another kind.
        """
        texts = {"interpolation": str(recorded["interpolation"])}
        flags = {name: bool(recorded[name]) for name in FIELDS[1:4]}
        return cls(**texts | flags | {name: _numbers(recorded[name]) for name in FIELDS[4:]})

    def to_json(self) -> dict[str, object]:
        """Return what ``json.dumps`` takes.

        Examples
        --------
        >>> made = Conversion("bicubic", True, True, False, 1 / 255, (0.0, 0.5, 1.0))
        >>> Conversion.from_json(made.to_json()) == made
        True
        """
        values = asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    def to_size(self, size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
        """Return what prepares an image for a network that takes images of a size.

        It takes uint8 (height, width, 3), red, green and blue, and gives float32 (*size, 3);
        several threads may call it.
        """
        from keras_hub.layers import ImageConverter

        # The Python of KerasHub makes the same calls for each of its subclasses.
        converter = ImageConverter(image_size=size, **asdict(self))

        def convert(pixels: np.ndarray) -> np.ndarray:
            # Integers would be rounded after resizing.
            return np.asarray(converter(pixels.astype(np.float32)), np.float32)

        return convert


FIELDS = tuple(field.name for field in fields(Conversion))


def _numbers(value: object) -> float | tuple[float, ...] | None:
    if value is None:
        return None
    numbers = np.asarray(value, float)
    return tuple(numbers.tolist()) if numbers.ndim else float(numbers)
