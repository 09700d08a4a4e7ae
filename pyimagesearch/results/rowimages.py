"""The images that the rows of a features file come from, for people to look at."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pyimagesearch.io import FeaturesFile
from pyimagesearch.linear import Evaluation, Suspects, write_suspects
from pyimagesearch.preprocessing import Decoding, image_reader
from pyimagesearch.reporting import SheetTile, draw_mistakes, draw_suspects
from pyimagesearch.results.resultfiles import is_drawing, is_table
from pyimagesearch.utils import InputError
from pyimagesearch.utils.pathchecks import Files, files_of

ROW_DRAWINGS = ("mistakes", "suspects")  # options that draw images of rows


class RowImages:
    """The images of a features file, as far as they are recorded.

    Parameters
    ----------
    features : FeaturesFile
        The file; its rows are not read.
    """

    def __init__(self, features: FeaturesFile):
        self._file, self._record = features.path, features.record
        self._names = features.label_names
        self._n_rows, self._n_train = features.shape[0], features.n_train

    @property
    def paths(self) -> list[Path]:
        """The image of each row; empty if they are not recorded."""
        paths = self._record.image_paths
        return paths if len(paths) == self._n_rows else []

    @property
    def load(self) -> Callable[[Path], np.ndarray]:
        """What reads an image as the network saw it, but upright: uint8, (height, width, 3)."""
        return image_reader(Decoding.recorded(self._record.to_json()))

    def require_for(self, outputs: Files) -> None:
        """Refuse, before the search, to draw images that are not there.

        Parameters
        ----------
        outputs : mapping of str to str, sequence of str or None
            The files to write, by the options that ask for them.

        Raises
        ------
        InputError
            If they are not recorded, or none of them can be read; names the
            option that needs them.
        """
        for option, path in files_of(outputs):
            if option in ROW_DRAWINGS and is_drawing(option, path):
                self._require(option)

    def _require(self, option: str) -> None:
        if not self.paths:
            raise InputError(
                f"'{self._file}' does not record its images: "
                f"leave out --{option}, or extract the features again"
            )
        if not any(os.access(path, os.R_OK) for path in self.paths):
            raise InputError(
                f"none of the images of '{self._file}' can be read in "
                f"'{self._record.dataset}': put them back, or leave out --{option}"
            )

    def draw_mistakes(self, path: str, evaluation: Evaluation) -> None:
        """Draw the test images that were classified worst."""
        worst = evaluation.worst_mistakes()
        columns = evaluation.labels, evaluation.predicted, evaluation.predicted_probability
        mistakes = self._tiles(self._n_train + worst, *(column[worst] for column in columns))
        n_test = len(evaluation.labels)
        draw_mistakes(mistakes, Path(path), load=self.load, n_test_images=n_test)

    def write_or_draw_suspects(self, path: str, suspects: Suspects) -> None:
        """Write a table of the labels that are probably wrong, or draw their images."""
        if is_table(path):
            pairs = self._record.near_duplicates or ()
            near = {row: other for i, j, _ in pairs for row, other in ((i, j), (j, i))}
            paths = self._record.image_paths
            write_suspects(Path(path), suspects, self._names, self._n_train, paths, near)
            return
        columns = suspects.rows, suspects.given, suspects.suggested, suspects.suggested_probability
        tiles = self._tiles(*columns)
        draw_suspects(tiles, Path(path), load=self.load, n_images=self._n_rows)

    def _tiles(self, *columns: np.ndarray) -> list[SheetTile]:
        """Return what a sheet shows of some rows: row, own class, predicted class, probability."""
        return [
            SheetTile(self.paths[row], self._names[own], self._names[predicted], float(share))
            for row, own, predicted, share in zip(*columns, strict=True)
        ]
