"""What ncnn computes: simple convolutional networks, such as VGG16, faster than anything else.

Nothing outside knows how; a reader who has no interest in that skips this room.
"""

from pyimagesearch.nn.ncnn.chain import plain_chain
from pyimagesearch.nn.ncnn.network import NcnnNetwork

__all__ = ["NcnnNetwork", "plain_chain"]
