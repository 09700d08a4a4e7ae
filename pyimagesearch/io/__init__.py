"""HDF5 files of labelled rows: writing and reading them."""

from pyimagesearch.io.features import FeaturesFile, open_features
from pyimagesearch.io.hdf5datasetwriter import HDF5DatasetWriter
from pyimagesearch.io.joinedfeatures import JoinedFeatures, open_to_train
from pyimagesearch.io.partialfile import (
    check_new_output,
    check_not_busy,
    check_room,
    partial_path,
)
from pyimagesearch.io.reusablerows import FoundRows, ReusableRows
from pyimagesearch.io.runrecord import RunRecord, creation_date
from pyimagesearch.io.unfinished import Unfinished, read_unfinished

__all__ = [
    "FeaturesFile",
    "FoundRows",
    "HDF5DatasetWriter",
    "JoinedFeatures",
    "ReusableRows",
    "RunRecord",
    "Unfinished",
    "check_new_output",
    "check_not_busy",
    "check_room",
    "creation_date",
    "open_features",
    "open_to_train",
    "partial_path",
    "read_unfinished",
]
