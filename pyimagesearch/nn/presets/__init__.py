"""Presets of KerasHub: networks with their weights and their preprocessing, in a folder."""

from pyimagesearch.nn.presets.files import CONVERTER, PRESET, Preset, find
from pyimagesearch.nn.presets.names import folder_of, image_presets, is_installed, require_installed

__all__ = [
    "CONVERTER",
    "PRESET",
    "Preset",
    "find",
    "folder_of",
    "image_presets",
    "is_installed",
    "require_installed",
]
