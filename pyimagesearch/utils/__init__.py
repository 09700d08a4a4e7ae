"""Small helpers that use the standard library and numpy only."""

from pyimagesearch.utils.errors import InputError

__all__ = ["InputError"]
