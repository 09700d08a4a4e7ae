"""Drawings of how a classifier did. The only home of matplotlib."""

from pyimagesearch.plotting.confusionmatrix import draw_confusion_matrix
from pyimagesearch.plotting.contactsheet import (
    SheetPicture,
    draw_contact_sheet,
    draw_mistakes,
)
from pyimagesearch.plotting.figurefile import check_plot_suffix

__all__ = [
    "SheetPicture",
    "check_plot_suffix",
    "draw_confusion_matrix",
    "draw_contact_sheet",
    "draw_mistakes",
]
