"""Drawings of how a classifier did. The only home of matplotlib."""

from pyimagesearch.plotting.confusionmatrix import draw_confusion_matrix
from pyimagesearch.plotting.contactsheet import (
    SheetPicture,
    draw_contact_sheet,
    draw_mistakes,
)
from pyimagesearch.plotting.figurefile import check_drawing

__all__ = [
    "SheetPicture",
    "check_drawing",
    "draw_confusion_matrix",
    "draw_contact_sheet",
    "draw_mistakes",
]
