"""The options of a command line that choose a network, and what it prints of one."""

import argparse
import math
from collections.abc import Mapping

from pyimagesearch.nn.choice import POOLINGS, NetworkChoice
from pyimagesearch.nn.preprocessing import PREPROCESSINGS
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import positive_int, user_path

OPTIONS = ("network", "layer", "pooling", "preprocessing", "weights")


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `chosen_network` reads, and --list-layers."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "-n",
        "--network",
        default="VGG16",
        type=user_path,
        metavar="{NAME,FILE.keras,DIR}",
        help="a network of keras.applications, FILE.keras, or a KerasHub preset by name or "
        "folder (default: %(default)s)",
    )
    group.add_argument(
        "--layer",
        metavar="NAME",
        help="cut the network after this layer (default: the last one before its head)",
    )
    group.add_argument(
        "--list-layers",
        action="store_true",
        help="print each layer of the network with the shape of its output, and exit; needs no "
        "other option",
    )
    group.add_argument(
        "--pooling",
        choices=POOLINGS,
        help="take the average or the maximum over the rows and columns that the layer gives, or "
        "over the tokens of a vision transformer's patches; or its cls token (default: none; for "
        "tokens cls, or avg if there is no cls token)",
    )
    group.add_argument(
        "--size",
        type=positive_int,
        metavar="N",
        help="height and width of an image, in pixels (default: the network's own)",
    )
    group.add_argument(
        "--preprocessing",
        choices=list(PREPROCESSINGS),
        help="pixel scaling the network was trained with; needed with FILE.keras (default: the "
        "network's own)",
    )
    group.add_argument(
        "-w",
        "--weights",
        type=user_path,
        metavar="{imagenet,random,FILE}",
        help="weights of the network: imagenet is downloaded once, random is for trying "
        "things out, FILE is a .h5, .weights.h5 or .keras file (default: imagenet)",
    )


def chosen_network(parser: argparse.ArgumentParser, arguments: dict[str, object]) -> NetworkChoice:
    """Take the options of the network out of the others, or end with a usage error."""
    size = arguments.pop("size")
    options = {key: arguments.pop(key) for key in OPTIONS}
    if arguments["list_layers"]:
        options["preprocessing"] = options["preprocessing"] or "none"  # no image is read
    try:
        return NetworkChoice(**options, size=size and (size, size))
    except InputError as error:
        parser.error(str(error))


def layer_table(layers: Mapping[str, tuple[int, ...]]) -> str:
    """Return where a network can be cut, and what that would give, as a table.

    Examples
    --------
    >>> print(layer_table({"conv": (8, 8, 4), "pool": (4,)}))
    layer               shape  numbers per image
    conv            8 x 8 x 4  256
    pool                    4  4
    """
    width = max(map(len, ["layer", *layers]))
    lines = [f"{'layer':{width}}  {'shape':>18}  numbers per image"]
    for name, shape in layers.items():
        lines.append(f"{name:{width}}  {' x '.join(map(str, shape)):>18}  {math.prod(shape):,}")
    return "\n".join(lines)
