"""What every drawing shares: its settings, its text, its file.

Matplotlib is imported when a drawing begins, not with this module, and only
its objects are used: without pyplot there is no display to look for and no
list of open figures to clean up. The file's kind alone decides what draws:
Agg for ``.png``.
"""

import bisect
import contextlib
import io
import os
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyimagesearch.utils.errors import InputError, first_line
from pyimagesearch.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS_PER_INCH = 150
POINTS_PER_INCH = 72

# A date would make two drawings of the same figures differ.
UNDATED = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

# Tried in this order for what DejaVu Sans lacks, on machines that have them.
FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "Arial Unicode MS",
    "Noto Emoji",
)


def check_plot_suffix(path: Path, others: Sequence[str] = ()) -> str:
    """Return the suffix of a drawing's file, if it is one that can be drawn.

    To be called before the work whose result is to be drawn.

    Parameters
    ----------
    path : Path
        The file to be drawn.
    others : sequence of str
        Suffixes of what the caller makes instead of a drawing, for the message.

    Returns
    -------
    str
        ``".png"``, ``".svg"`` or ``".pdf"``.

    Raises
    ------
    InputError
        If it is another suffix, or none.

    Examples
    --------
    >>> check_plot_suffix(Path("confusion.SVG"))
    '.svg'
    """
    suffix = path.suffix.lower()
    if suffix not in UNDATED:
        *first, last = UNDATED
        raise InputError(
            f"cannot draw '{path}': expected a name that ends in {', '.join([*others, *first])} or "
            f"{last}; give another name"
        )
    return suffix


def check_drawing(path: Path, others: Sequence[str] = ()) -> None:
    """Refuse what cannot be drawn, before the work whose result is to be drawn.

    Parameters
    ----------
    path : Path
        The file to be drawn.
    others : sequence of str
        Suffixes of what the caller makes instead of a drawing, for the message.

    Raises
    ------
    InputError
        If it is of another kind than `check_plot_suffix` takes, or matplotlib
        cannot draw that kind here.
    """
    suffix = check_plot_suffix(path, others)
    try:
        with drawing_settings():
            figure = new_figure(1, 1)
            figure.text(0, 0, "a")
            figure.savefig(io.BytesIO(), format=suffix[1:])
    except Exception as error:  # of an import or of fonts, any
        raise InputError(
            f"cannot draw '{path}': matplotlib fails ({first_line(error)}); install it again, or "
            "leave the drawing out"
        ) from error


@contextlib.contextmanager
def drawing_settings() -> Iterator[None]:
    """Draw with our settings, whatever the user's matplotlibrc sets.

    Not for threads: settings and warning filters belong to the process.
    """
    with _no_backend_named():
        from matplotlib import style

    settings = {
        "font.family": ["DejaVu Sans", *_installed(FALLBACK_FONTS), "sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],
        "svg.fonttype": "none",  # text stays text: it can be searched and copied
        "svg.hashsalt": "pyimagesearch",  # identifiers are otherwise random
    }
    with style.context(["default", settings]), warnings.catch_warnings():
        # A class may have any name: a box in place of a character is all one
        # can do where no font has it, and a warning for each helps no one.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@contextlib.contextmanager
def _no_backend_named() -> Iterator[None]:
    """Hide the backend that the environment names: without its package, no import succeeds.

    A notebook's kernel hands its own to all that it starts, in another environment too.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def _installed(fonts: tuple[str, ...]) -> list[str]:
    """Return those fonts that exist in a regular weight.

    Of others matplotlib would complain on stderr.
    """
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist if font.weight in (400, "normal")}
    return [font for font in fonts if font in installed]


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty white figure of `width` x `height` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=PIXELS_PER_INCH)


def save_figure(figure: "Figure", path: Path, **options: object) -> None:
    """Write a figure, so that a failure leaves the file that was there.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The drawing; the same drawing always gives the same bytes.
    path : Path
        A ``.png``, ``.svg`` or ``.pdf`` file in a folder that exists.
    **options
        Passed on to ``Figure.savefig``.

    Raises
    ------
    InputError
        If the suffix is another one, or the file cannot be written.
    """
    suffix = check_plot_suffix(path)
    with drawing_settings(), replacing(path) as unfinished:
        figure.savefig(
            unfinished, dpi=PIXELS_PER_INCH, format=suffix[1:], metadata=UNDATED[suffix], **options
        )


def printable(text: str) -> str:
    r"""Return `text` with a mark for each character that no file can hold.

    Folders and files may have names with line breaks, control characters and
    bytes that are not UTF-8; XML allows none of them.

    Examples
    --------
    >>> printable("two\nlines")
    'two\ufffdlines'
    """
    forbidden = ("Cc", "Cs", "Cn", "Zl", "Zp")
    return "".join("\ufffd" if unicodedata.category(c) in forbidden else c for c in text)


def text_width(text: str, size: float) -> float:
    """Return how wide `text` is in points when written at `size` points.

    Measured as it is drawn in a ``.png``, where the letters are fitted to the
    pixels: small ones become up to 8 % wider than in the font's own outlines.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer = RendererAgg(1, 1, PIXELS_PER_INCH)
    pixels, _, _ = renderer.get_text_width_height_descent(text, FontProperties(size=size), False)
    return pixels * POINTS_PER_INCH / PIXELS_PER_INCH


def elided(text: str, size: float, width: float) -> str:
    """Return `text`, without its middle if it is too wide.

    Classes and files of one kind often begin alike and often end alike, so
    something of both ends is kept.

    Parameters
    ----------
    text : str
        One line of text.
    size : float
        The size it is written at, in points.
    width : float
        The room there is for it, in points.

    Returns
    -------
    str
        The text to write.
    """
    if text_width(text, size) <= width:
        return text

    def without_middle(n_kept: int) -> str:
        n_end = n_kept // 2
        return text[: n_kept - n_end] + "…" + text[len(text) - n_end :]

    n_too_many = bisect.bisect_right(
        range(len(text)), width, key=lambda n_kept: text_width(without_middle(n_kept), size)
    )
    return without_middle(max(0, n_too_many - 1))
