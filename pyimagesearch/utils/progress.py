"""A progress bar for people: drawn on a terminal, silent everywhere else."""

import sys

import progressbar


def progress_bar(title: str, total: int, done: int = 0) -> progressbar.ProgressBar:
    """Return a progress bar on stderr: a context manager with ``increment(n)``.

    Parameters
    ----------
    title : str
        What is going on.
    total : int
        How many there are in all.
    done : int
        How many of them are done before the bar starts; the estimated time
        of arrival leaves them out.

    Returns
    -------
    progressbar.ProgressBar
        One that draws nothing if stderr is not a terminal.
    """
    if not sys.stderr.isatty():
        return progressbar.NullBar(max_value=total)
    widgets = [
        f"{title}: ",
        progressbar.Percentage(),
        " ",
        progressbar.Bar(),
        " ",
        progressbar.SimpleProgress(),
        " ",
        progressbar.ETA(),
    ]
    return progressbar.ProgressBar(
        min_value=done, max_value=total, initial_value=done, widgets=widgets
    )
