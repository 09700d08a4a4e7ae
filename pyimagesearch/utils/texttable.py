"""Text in columns, for any names of files and classes."""

import re

from wcwidth import ljust, wcswidth

# Zero-width joiners are not visible, except where they shape the text: emoji, Persian, Hindi.
SHAPING = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")


def printable(text: str) -> str:
    r"""Escape what would break a line or a column, such as a tab, and what is invisible.

    Examples
    --------
    >>> print(printable("a\tb"))
    a\tb
    """
    shaping = {match.start() for match in SHAPING.finditer(text)}
    return "".join(
        character
        if character.isprintable() or position in shaping
        else character.encode("unicode_escape").decode()
        for position, character in enumerate(text)
    )


def padded(text: str, width: int) -> str:
    """Pad a text with spaces to a width, in which wide characters count twice.

    Examples
    --------
    >>> padded("猫", 4) + "|"
    '猫  |'
    """
    return ljust(text, width)


def display_width(text: str) -> int:
    r"""Return how many columns of a terminal a printable text takes.

    Examples
    --------
    >>> display_width("cafe\u0301"), display_width("猫"), display_width("👨‍👩‍👧‍👦")
    (4, 2, 2)
    """
    return wcswidth(text)
