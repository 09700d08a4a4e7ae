"""How a file is decoded to 8-bit pixels, in a form that features files record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from pyimagesearch.utils import InputError

KEY = "decoding"  # in the provenance; files and classifiers made by 1.0.0 have none


@dataclass(frozen=True)
class Decoding:
    """What determines an image's pixels besides its file and the size.

    Attributes
    ----------
    upright : bool
        Whether to turn images by their orientation flag; TIFF and HEIC, as
        cameras write it, are always turned.
    float_range : tuple of float or None
        The values that become black and white in every image of floats or
        32-bit integers; values beyond are clipped. With None such images are
        refused.
    white_16_bit : int or None
        The value that becomes white in every 16-bit image; None is the
        largest of the file's own type.
    per_image : bool
        Choose both for each image from its own values, as 1.0.0 did: images
        of one data set may then differ in brightness.
    """

    upright: bool = True
    float_range: tuple[float, float] | None = None
    white_16_bit: int | None = None
    per_image: bool = False

    def record(self) -> dict[str, object]:
        """Return what a provenance records of it; nothing for that of 1.0.0.

        Examples
        --------
        >>> made = Decoding(float_range=(0.0, 1.0))
        >>> Decoding.recorded(made.record()) == made
        True
        >>> Decoding.recorded({}) == AS_STORED, AS_STORED.record()
        (True, {})
        """
        if self.per_image:
            return {}
        values = asdict(self)
        del values["per_image"]
        return {KEY: values | {"float_range": self.float_range and list(self.float_range)}}

    def to_show(self) -> "Decoding":
        """Return the decoding for showing images to people: the same values, upright."""
        return replace(self, upright=True)

    @classmethod
    def recorded(cls, provenance: Mapping[str, object]) -> "Decoding":
        """Return what a features file or a classifier records; 1.0.0's if it records none.

        Raises
        ------
        InputError
            If the record is not understood.
        """
        values = provenance.get(KEY)
        if values is None:
            return AS_STORED
        try:
            black_white, white = values["float_range"], values["white_16_bit"]
            if black_white is not None:
                black, white_float = black_white
                black_white = (float(black), float(white_float))
            return cls(bool(values["upright"]), black_white, None if white is None else int(white))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"the recorded decoding {values!r} is not understood: "
                "extract the features and train again"
            ) from error


AS_STORED = Decoding(upright=False, per_image=True)  # what 1.0.0 did
TO_SHOW = AS_STORED.to_show()
