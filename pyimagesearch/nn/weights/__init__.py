"""The weights of a network: asked for, found, drawn or downloaded, and read."""

from pyimagesearch.nn.weights.check import IMAGENET, RANDOM, check_weights
from pyimagesearch.nn.weights.digest import is_published, sha256_of
from pyimagesearch.nn.weights.download import DownloadError, imagenet_file, keras_home
from pyimagesearch.nn.weights.henormal import HeNormal
from pyimagesearch.nn.weights.misfit import misfit, named_misfit

__all__ = [
    "IMAGENET",
    "RANDOM",
    "DownloadError",
    "HeNormal",
    "check_weights",
    "imagenet_file",
    "is_published",
    "keras_home",
    "misfit",
    "named_misfit",
    "sha256_of",
]
