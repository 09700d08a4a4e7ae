"""Types of command line arguments, and what every script's parser shares."""

import argparse
import math
import os
from collections.abc import Sequence

MOST_JOBS = 1024  # beyond some thousands the system fails, with an error of its own


def script_parser(docstring: str) -> argparse.ArgumentParser:
    """Return a parser that shows a script's docstring in its help, line by line.

    Options are not abbreviated: with two spellings of some, abbreviations would be ambiguous.
    """
    return argparse.ArgumentParser(
        description=docstring,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_computing_options(parser: argparse.ArgumentParser, engines: Sequence[str]) -> None:
    """Add the options of every script that computes features."""
    group = parser.add_argument_group("computing")
    group.add_argument(
        "-b",
        "--batch_size",
        "--batch-size",
        type=positive_int,
        default=32,
        metavar="N",
        help="images at a time on a GPU or TPU; a CPU takes fewer (default: %(default)s)",
    )
    group.add_argument(
        "--engine",
        choices=engines,
        default="auto",
        help="what computes the network: auto is keras on a GPU or TPU, else ncnn for simple "
        "networks such as VGG16, and openvino for all that it supports (default: %(default)s)",
    )
    group.add_argument(
        "-j",
        "--jobs",
        type=jobs,
        default="-1",
        metavar="JOBS",
        help=f"threads that load images, and that compute on a CPU, at most {MOST_JOBS}; "
        "-1 for all cores this process may use (default: %(default)s)",
    )
    group.add_argument(
        "--cluster",
        type=user_path,
        metavar="ADDRESS",
        help="compute on the workers of a Dask cluster: tcp://HOST:PORT or tls://HOST:PORT of its "
        "scheduler, or the path of a scheduler file; anyone who reaches an unprotected scheduler "
        "can run code on its workers: use tls:// or a closed network (default: compute here)",
    )


def user_path(text: str) -> str:
    """Read a path, with ``~`` and ``~user`` expanded as a shell does.

    A shell does not expand them after ``=``, as in ``--output=~/features.hdf5``.

    Raises
    ------
    argparse.ArgumentTypeError
        If `text` is empty, as an unset variable of a shell is, or begins with
        a user who does not exist.
    """
    if not text:
        raise argparse.ArgumentTypeError(
            "the path is empty: expected a file or folder; is a shell variable unset?"
        )
    path = os.path.expanduser(text)  # noqa: PTH111 - keeps ./ and trailing slashes
    home, *below = path.split("/", 1)
    if home.startswith("~") and below and not os.path.isdir(home):
        raise argparse.ArgumentTypeError(
            f"'{text}': there is no user '{home[1:]}' and no folder '{home}'; correct the path"
        )
    return path


def positive_int(text: str) -> int:
    """Read an integer of at least 1.

    Raises
    ------
    argparse.ArgumentTypeError
        If `text` is anything else.
    """
    return _integer_from(text, 1)


def positive_number(text: str) -> float:
    """Read a finite number above 0.

    Raises
    ------
    argparse.ArgumentTypeError
        If `text` is anything else.
    """
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from error
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}': expected a finite number above 0")
    return number


def small_share(text: str) -> float:
    """Read a share above 0 and up to a half.

    Raises
    ------
    argparse.ArgumentTypeError
        If `text` is anything else.
    """
    share = positive_number(text)
    if share > 0.5:
        raise argparse.ArgumentTypeError(
            f"'{text}' is too large: expected a share of at most 0.5, such as 0.05 for 5 %"
        )
    return share


def seed(text: str) -> int:
    """Read an integer of at least 0."""
    return _integer_from(text, 0)


def jobs(text: str) -> int:
    """Read a number of threads: 1 to `MOST_JOBS`, or -1 for the cores there are."""
    if text == "-1":
        return available_cores()
    try:
        number = _integer_from(text, 1)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or -1 for all cores") from error
    if number > MOST_JOBS:
        raise argparse.ArgumentTypeError(
            f"{number} is too large: expected at most {MOST_JOBS}, or -1 for all cores"
        )
    return number


def available_cores() -> int:
    """Return how many cores this process may use, as joblib counts them.

    Those of the machine, limited by CPU affinity, a container's quota
    (``docker --cpus``) and ``LOKY_MAX_CPU_COUNT``.

    Raises
    ------
    argparse.ArgumentTypeError
        If that variable is not a whole number.
    """
    from joblib import cpu_count  # takes 0.1 s, which --help need not

    try:
        return cpu_count()
    except ValueError as error:
        limit = os.environ.get("LOKY_MAX_CPU_COUNT")
        raise argparse.ArgumentTypeError(
            f"LOKY_MAX_CPU_COUNT is '{limit}': expected a whole number; correct or unset it"
        ) from error


def _integer_from(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from error
    if number < least:
        raise argparse.ArgumentTypeError(f"{number} is too small: expected at least {least}")
    return number
