"""HDF5 files of labelled rows: writing them, and opening them again."""

from pyimagesearch.io.features import FeaturesFile, open_features
from pyimagesearch.io.hdf5datasetwriter import HDF5DatasetWriter
from pyimagesearch.io.partialfile import check_new_output, check_not_busy, partial_path

__all__ = [
    "FeaturesFile",
    "HDF5DatasetWriter",
    "check_new_output",
    "check_not_busy",
    "open_features",
    "partial_path",
]
