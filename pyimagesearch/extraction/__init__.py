"""Pictures to rows of features: loaded ahead of the network, in order, in little memory."""

from pyimagesearch.extraction.streaming import stream_features

__all__ = ["stream_features"]
