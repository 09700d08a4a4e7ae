"""Pictures to rows of features: on this machine or a cluster, in order, in little memory."""

from pyimagesearch.extraction.address import scheduler_address
from pyimagesearch.extraction.joining import joined
from pyimagesearch.extraction.streaming import finite_features, stream_features

__all__ = ["finite_features", "joined", "scheduler_address", "stream_features"]
