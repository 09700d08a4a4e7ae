"""Text in columns, whatever the names of files and classes contain."""

import unicodedata


def printable(text: str) -> str:
    r"""Escape what would break a line or a column, such as a tab.

    Examples
    --------
    >>> print(printable("a\tb"))
    a\tb
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def padded(text: str, width: int) -> str:
    """Fill a text with spaces up to a width, in which wide characters count twice.

    Examples
    --------
    >>> padded("猫", 4) + "|"
    '猫  |'
    """
    return text + " " * (width - display_width(text))


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    combining = sum(unicodedata.combining(character) > 0 for character in text)
    return len(text) + wide - combining
