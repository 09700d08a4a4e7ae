"""Class names that are equal, or that look equal."""

import unicodedata
from collections.abc import Callable, Sequence

# Invisible, but letters, marks or symbols to Unicode: fillers, joiners, variation selectors.
BLANKS = frozenset(
    map(chr, [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0])
) | frozenset(map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
INVISIBLE_CATEGORIES = ("Cc", "Cf")  # controls, and formats such as the zero-width space


def nfc(name: str) -> str:
    r"""Return the normal form in which names are compared.

    File systems and programs spell an accented letter as one character or as two.

    Examples
    --------
    >>> nfc("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name)


def label_finder(names: Sequence[str]) -> Callable[[str], int | None]:
    r"""Return a function from a name, in any normal form, to its index; None if unknown.

    Examples
    --------
    >>> find = label_finder(["caf\u00e9", "dogs"])
    >>> find("cafe\u0301"), find("dogs"), find("cats")
    (0, 1, None)
    """
    exact = {name: label for label, name in enumerate(names)}
    equal = {nfc(name): label for label, name in enumerate(names)}
    return lambda name: exact.get(name, equal.get(nfc(name)))


def lookalike_key(name: str) -> str:
    r"""Return a key that names share if they look alike.

    They differ only in case, spaces at their ends, the kind and number of
    spaces between words, invisible characters and the form of a letter, such
    as full-width.

    Examples
    --------
    >>> lookalike_key(" Big\u00a0Cats\u200b") == lookalike_key("big cats")
    True
    >>> lookalike_key("cats") == lookalike_key("cat")
    False
    """
    spaced = " ".join(name.split())  # before controls go: a tab and a line break are spaces, too
    visible = (
        character
        for character in unicodedata.normalize("NFKC", spaced)
        if character not in BLANKS and unicodedata.category(character) not in INVISIBLE_CATEGORIES
    )
    return " ".join("".join(visible).casefold().split())
