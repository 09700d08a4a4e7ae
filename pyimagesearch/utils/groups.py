"""Groups of rows to keep together: of one person, one place or one photograph."""

from collections.abc import Iterable, Sequence


def joined_groups(n_rows: int, groups: Iterable[Sequence[int]]) -> list[int]:
    """Return a key for each row; rows that groups connect, directly or not, share it.

    Parameters
    ----------
    n_rows : int
        How many rows there are.
    groups : iterable of sequence of int
        Rows that belong together; groups that share a row are merged.

    Returns
    -------
    list of int, length n_rows
        The first row of each one's group; its own index if it is alone.

    Examples
    --------
    >>> joined_groups(6, [[0, 2], [5, 4], [2, 5]])
    [0, 1, 0, 3, 0, 0]
    """
    first = list(range(n_rows))

    def find(row: int) -> int:
        while first[row] != row:
            first[row] = first[first[row]]  # halves the path of the next search
            row = first[row]
        return row

    for group in groups:
        for row in group[1:]:
            one, other = sorted((find(group[0]), find(row)))
            first[other] = one
    return [find(row) for row in range(n_rows)]
