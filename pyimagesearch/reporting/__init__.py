"""Pages and drawings of how a classifier did. The only home of matplotlib and Jinja2."""

from pyimagesearch.reporting.answersreport import AnswersReport
from pyimagesearch.reporting.confusionmatrix import draw_confusion_matrix
from pyimagesearch.reporting.contactsheet import (
    SheetTile,
    draw_contact_sheet,
    draw_mistakes,
    draw_suspects,
)
from pyimagesearch.reporting.figurefile import check_drawing
from pyimagesearch.reporting.page import check_page, is_page, write_json
from pyimagesearch.reporting.trainingpage import TrainedImages, write_training_page

__all__ = [
    "AnswersReport",
    "SheetTile",
    "TrainedImages",
    "check_drawing",
    "check_page",
    "draw_confusion_matrix",
    "draw_contact_sheet",
    "draw_mistakes",
    "draw_suspects",
    "is_page",
    "write_json",
    "write_training_page",
]
