"""Keras's activation functions, by the names that it gives them in a config."""

from pyimagesearch.nn.graph import operations
from pyimagesearch.nn.graph.node import Node, NoTranslationError

SELU = (1.6732632423543772, 1.0507009873554805)  # Klambauer et al., 2017

# By Keras's name: the kind, and the parameters, of an `activation` node.
FUNCTIONS: dict[str, tuple] = {
    "relu": ("relu",),
    "relu6": ("clip", 0.0, 6.0),
    "leaky_relu": ("leaky_relu", 0.2),
    "elu": ("elu", 1.0),
    "selu": ("selu", *SELU),
    "sigmoid": ("sigmoid",),
    "tanh": ("tanh",),
    "exponential": ("exp",),
    "softplus": ("softplus",),
    "softsign": ("softsign",),
    "silu": ("swish",),
    "swish": ("swish",),
    "mish": ("mish",),
    "gelu": ("gelu",),
    "hard_sigmoid": ("hard_sigmoid",),
    "hard_silu": ("hard_swish",),
    "hard_swish": ("hard_swish",),
}
# Whose numbers are never negative: zeros around them change no maximum.
NEVER_NEGATIVE = ("relu", "sigmoid", "exp", "softplus", "hard_sigmoid")


def activate(x: Node, name: object) -> Node:
    """Apply the activation function that a layer's config names."""
    if name in (None, "linear"):
        return x
    if name == "softmax":
        return operations.softmax(x, len(x.shape) - 1)
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise NoTranslationError(f"activation {name}")
    return operations.activation(x, *FUNCTIONS[name])
