"""Drawings of how a classifier did. The only home of matplotlib."""

from pyimagesearch.reporting.confusionmatrix import draw_confusion_matrix
from pyimagesearch.reporting.contactsheet import (
    SheetPicture,
    draw_contact_sheet,
    draw_mistakes,
    draw_suspects,
)
from pyimagesearch.reporting.figurefile import check_drawing

__all__ = [
    "SheetPicture",
    "check_drawing",
    "draw_confusion_matrix",
    "draw_contact_sheet",
    "draw_mistakes",
    "draw_suspects",
]
