"""The networks of ``keras.applications``: which there are, their layers, and their weights."""

from pyimagesearch.nn.zoo.table import ZOO, ZooNetwork, build, find, nearest

__all__ = ["ZOO", "ZooNetwork", "build", "find", "nearest"]
