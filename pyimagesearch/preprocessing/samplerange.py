"""Which values of 16-bit and float images become black and white: one choice per dataset.

The range of an 8-bit image is known. A 16-bit file may hold 12 bits, and a
float may be anything: a single image does not show its range, so that is
chosen once, from all images, and recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pyimagesearch.preprocessing.decoding import Decoding
from pyimagesearch.utils import InputError

FLOAT, GREY_16, COLOUR_16 = "float", "16-bit grey", "16-bit colour"

# Ranges in which float and 32-bit grey images are commonly written.
COMMON_RANGES = ((0, 1), (0, 255), (0, 65535))
# Resizing, sharpening and flat-field division overshoot a common range: bicubic kernels by up
# to 8 % of an edge in each direction. If more is outside, the dataset's own range is used.
OVERSHOOT = 0.1
OVERSHOOT_OF_BULK = 0.02
BULK = 0.998  # of an image's values, around the median: without hot pixels
LEAST_FILLED = 0.5  # the part of a common range that values must reach: 0 to 100 is not 0 to 255
OUTLYING = 2  # times as wide as the bulk: then the range of the bulk is used
FEW_BITS = (8, 10, 12, 14)  # that cameras and scanners store in 16
COLOUR_BITS = 12  # Pillow, which halves 16-bit colour, would keep 4 of them
N_LEVELS = 255  # between black and white
FEW_LEVELS = 4  # too few for an image of another scale: 0 to 1 in 0 to 255 has one
USUAL_NO_DATA = (-999, -9999, -99999, -32767, -32768)
USUAL_GAP = 0.1
FAR_OFF = 1000  # times the range: a value for missing data, such as 1e20
MOST_FLAT = 0.02  # of the images; if more are flat, their scales are mixed
MOST_VALUES = 2**20  # of an image that its bulk is computed from


@dataclass(frozen=True)
class Samples:
    """What the check records about an image with more than 8 bits per value.

    Attributes
    ----------
    kind : str
        `FLOAT` (32-bit integers included), `GREY_16` or `COLOUR_16`.
    low, high : float
        The lowest and the highest value; for `COLOUR_16` in 8 bits.
    bulk_low, bulk_high : float
        The range of all but a thousandth of the values at each end.
    middle : float
        The median.
    """

    kind: str
    low: float
    high: float
    bulk_low: float = 0.0
    bulk_high: float = 0.0
    middle: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray, kind: str) -> "Samples":
        """Describe an image's values; for floats, without those that only mark missing data."""
        if kind != FLOAT:
            return cls(kind, float(values.min()), float(values.max()))
        values = _without_fill(values)
        some = values[:: -(-values.size // MOST_VALUES)]
        last = some.size - 1
        ends = int(last * (1 - BULK) / 2)
        at = (ends, last // 2, last - ends)
        bulk_low, middle, bulk_high = np.partition(some, at)[list(at)].tolist()
        return cls(kind, float(values.min()), float(values.max()), bulk_low, bulk_high, middle)

    @property
    def is_constant(self) -> bool:
        """Whether all values are equal."""
        return self.low == self.high

    def levels(self, black: float, white: float) -> float:
        """Return how many of the levels of a range the values cover."""
        spread = min(self.high, white) - max(self.low, black)
        return N_LEVELS * spread / ((white - black) or 1)


def _without_fill(values: np.ndarray) -> np.ndarray:
    """Remove values that mark missing data, such as -9999 in an elevation map.

    A negative lowest value counts as one if it is farther from the others than
    they are spread, or a tenth of that if it is a common marker; a highest one
    if it is as far off as 1e20.
    """
    values = values.ravel()
    while True:
        low, high = values.min(), values.max()
        above, below = values[values != low], values[values != high]
        gap = USUAL_GAP if float(low) in USUAL_NO_DATA else 1
        if low < 0 and _spread(above) > 0 and float(above.min()) - low > gap * _spread(above):
            values = above
        elif _spread(below) > 0 and high - float(below.max()) > FAR_OFF * _spread(below):
            values = below
        else:
            return values


def _spread(values: np.ndarray) -> float:
    return float(values.max()) - float(values.min()) if values.size else 0.0


def decide(samples: Mapping[str, Samples]) -> tuple[Decoding, list[str]]:
    """Choose one range for the images of a dataset.

    Parameters
    ----------
    samples : mapping of str to Samples
        The samples of each image that has any, by path.

    Returns
    -------
    Decoding
        The ranges for all of them.
    list of str
        What to report, a line each.

    Raises
    ------
    InputError
        If the images have no range in common.
    """
    of_kind = {
        kind: {path: one for path, one in samples.items() if one.kind == kind}
        for kind in (FLOAT, GREY_16, COLOUR_16)
    }
    _require_enough_bits(of_kind[COLOUR_16])
    float_range, lines = _float_range(of_kind[FLOAT])
    white, more = _white_16_bit(of_kind[GREY_16])
    return Decoding(float_range=float_range, white_16_bit=white), [*lines, *more]


def mismatch(samples: Samples, decoding: Decoding) -> str | None:
    """Return why an image does not fit the range of the others; None if it does."""
    if samples.kind != FLOAT:
        return None
    if decoding.float_range is None:
        return (
            "it holds floats or 32-bit integers, but the images that the range is from did not: "
            "convert it to 8 bits"
        )
    black, white = decoding.float_range
    if samples.is_constant:
        return None
    too_high = samples.middle > white + (white - black)
    if too_high or ((black, white) in COMMON_RANGES and _is_flat(samples, black, white)):
        return (
            f"its values are between {_number(samples.low)} and {_number(samples.high)}, those "
            f"of the other images between {_number(black)} and {_number(white)}: scale it like "
            "the others, or convert it to 8 bits"
        )
    return None


def far_off(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Return which values are so far outside a range that they mark missing data."""
    span = abs(white - black) or 1
    return values > max(black, white) + FAR_OFF * span


def to_bytes(values: np.ndarray, black: float, white: float, missing: np.ndarray) -> np.ndarray:
    """Map numbers from [black, white] to uint8, rounding to the nearest; missing ones to 0."""
    span = white - black or 1  # a constant image has no span: it becomes black
    values = np.clip(values.astype(np.float64), min(black, white), max(black, white))
    scaled = np.rint((values - black) * (255 / span))
    scaled[missing] = 0
    return scaled.astype(np.uint8)


def _float_range(images: Mapping[str, Samples]) -> tuple[tuple[float, float] | None, list[str]]:
    if not images:
        return None, []
    # A tile without data, or a black one, shows nothing about the range; unless all are such.
    informative = {path: one for path, one in images.items() if not one.is_constant} or images
    low, high = _hull((one.low, one.high) for one in informative.values())
    bulk = _hull((one.bulk_low, one.bulk_high) for one in informative.values())
    common = [
        values
        for values in COMMON_RANGES
        if _fits((low, high), values, OVERSHOOT) or _fits(bulk, values, OVERSHOOT_OF_BULK)
    ]
    if common:
        black, white = common[0]
    elif high - low > OUTLYING * (bulk[1] - bulk[0]) > 0:
        black, white = bulk
    else:
        black, white = low, high
    odd = [path for path, one in informative.items() if _is_flat(one, black, white)]
    if len(odd) > MOST_FLAT * len(images):
        raise _mixed_scales(informative, odd[0])
    n_clipped = sum(one.low < black or one.high > white for one in images.values())
    clipped = f"; values outside are clipped, in {n_clipped:,} of them" if n_clipped else ""
    lines = [
        f"float images: {_number(black)} to {_number(white)} becomes black to white in all "
        f"{len(images):,} of them{clipped}"
    ]
    return (float(black), float(white)), lines


def _is_flat(one: Samples, black: float, white: float) -> bool:
    """Return whether an image would vanish in a range that is too wide for it.

    In the dataset's own range, which elevations may need, only an image that
    fills a smaller common range counts.
    """
    levels = one.levels(black, white)
    smaller = [values for values in COMMON_RANGES if values[1] < white]
    fills_smaller = any(_fits((one.low, one.high), values, OVERSHOOT) for values in smaller)
    is_lost = levels < 1 and (black, white) in COMMON_RANGES
    return not one.is_constant and (is_lost or (levels < FEW_LEVELS and fills_smaller))


def _fits(values: tuple[float, float], common: tuple[int, int], overshoot: float) -> bool:
    (low, high), (black, white) = values, common
    margin = overshoot * white
    return black - margin <= low and LEAST_FILLED * white <= high <= white + margin


def _hull(ranges) -> tuple[float, float]:
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


def _mixed_scales(images: Mapping[str, Samples], flat: str) -> InputError:
    widest = max(images, key=lambda path: images[path].high - images[path].low)
    spans = [
        f"{path!r} is between {_number(images[path].low)} and {_number(images[path].high)}"
        for path in (flat, widest)
    ]
    return InputError(
        f"the float images are on different scales, and no single range fits all: {spans[0]}, "
        f"{spans[1]}; scale them alike, or convert them to 8 bits: "
        "Image.fromarray(((values - black) * 255 / (white - black)).clip(0, 255).astype('uint8'))"
    )


def _white_16_bit(images: Mapping[str, Samples]) -> tuple[int | None, list[str]]:
    highest = max((one.high for one in images.values()), default=0)
    white = next((2**bits - 1 for bits in FEW_BITS if highest < 2**bits), None)
    if white is None or not highest:
        return None, []
    return white, [
        f"16-bit images: all {len(images):,} stay below {white + 1:,}, so {white:,} becomes white "
        "in all of them"
    ]


def _require_enough_bits(images: Mapping[str, Samples]) -> None:
    """Refuse 16-bit colour images so dark that Pillow's 8 bits hold almost nothing of them."""
    highest = max((one.high for one in images.values()), default=0)
    if 0 < highest < 2 ** (COLOUR_BITS - 8):
        raise InputError(
            f"the 16-bit colour images, such as {next(iter(images))!r}, all stay below "
            f"{2**COLOUR_BITS:,}, and Pillow keeps only the upper 8 bits of each value: expected "
            "values up to 65,535; convert them to 8 bits"
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"
