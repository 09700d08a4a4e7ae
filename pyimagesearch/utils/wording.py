"""Numbers and names in a sentence."""

from collections.abc import Iterable

MOST_NAMED = 5


def counted(n: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun, in the singular if it is one.

    Examples
    --------
    >>> counted(1, "image"), counted(1234, "image"), counted(2, "class", "classes")
    ('1 image', '1,234 images', '2 classes')
    """
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def listed(names: Iterable[str], most: int = MOST_NAMED) -> str:
    """Quote names in a line; of a long list, the first ones and how many more there are.

    Examples
    --------
    >>> print(listed(["a", "b"]))
    'a', 'b'
    >>> print(listed("abcdefg"))
    'a', 'b', 'c', 'd', 'e' and 2 more
    """
    return shortened(map(repr, names), most)


def shortened(entries: Iterable[str], most: int = MOST_NAMED) -> str:
    """Join entries as `listed` does, unquoted."""
    entries = list(entries)
    rest = f" and {len(entries) - most:,} more" if len(entries) > most else ""
    return ", ".join(entries[:most]) + rest


def first_lines(lines: list[str], rest: str) -> list[str]:
    """Return the first of many lines, and one that counts the others.

    Examples
    --------
    >>> first_lines(list("abcdefg"), "more of them")
    ['a', 'b', 'c', 'd', 'e', '2 more of them']
    """
    n_more = len(lines) - MOST_NAMED
    return [*lines[:MOST_NAMED], *([f"{n_more:,} {rest}"] if n_more > 0 else [])]
