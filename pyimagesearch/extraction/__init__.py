"""From images to rows of features: here or on a cluster, in order, in little memory."""

from pyimagesearch.extraction.address import scheduler_address
from pyimagesearch.extraction.extractor import Extractor, Images, open_extractor
from pyimagesearch.extraction.reusingextractor import ReusingExtractor

__all__ = ["Extractor", "Images", "ReusingExtractor", "open_extractor", "scheduler_address"]
