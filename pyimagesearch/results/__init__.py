"""What a training leaves behind, of features, a network and a classifier at once."""

from pyimagesearch.results.rowimages import RowImages
from pyimagesearch.results.trainingreport import report_of, write_page

__all__ = ["RowImages", "report_of", "write_page"]
