"""The page of a training: how well the classifier does, and on which images it fails."""

import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np

from pyimagesearch.reporting.accuracyplot import accuracy_plot
from pyimagesearch.reporting.confusions import Cell, confusions
from pyimagesearch.reporting.contactsheet import N_MISTAKES, sheet_title
from pyimagesearch.reporting.page import Shown, write_page
from pyimagesearch.reporting.thumbnails import thumbnails

# With at most 4.5 kB each and base64, all thumbnails together take less than 4.4 MB.
N_IN_CELLS, N_LEAST_SURE, N_SUSPECTS = 560, 24, 48
N_GROUPS, N_OF_GROUP = 16, 4
N_NAMES_IN_CELLS = 3_000  # without thumbnails, a name takes little room
N_PAIRS, N_SKIPPED = 20, 200
PER_IMAGE = ("paths", "digests", "skipped", "groups", "duplicate_groups", "near_duplicates")
LONGEST_VALUE = 1_000  # characters of the provenance: it may come from another program


class Evaluated(Protocol):
    """What a page needs of an evaluation, of which arrays have an entry per test image."""

    labels: np.ndarray
    predicted: np.ndarray
    true_probability: np.ndarray
    predicted_probability: np.ndarray

    def worst_mistakes(self) -> np.ndarray:
        """Return the mistakes, the worst first."""


class Suspected(Protocol):
    """What a page needs of suspects, of which arrays have an entry per suspect."""

    rows: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    suggested_probability: np.ndarray


@dataclass(frozen=True)
class TrainedImages:
    """The images of a training.

    Attributes
    ----------
    paths : sequence of Path
        The image of each row; empty if they are not known.
    labels : ndarray of int, shape (n,)
        The class of each row.
    test_rows : ndarray of int, shape (n_test,)
        The rows that the classifier was evaluated on.
    load : callable
        Takes a path, and returns pixels: uint8, (height, width, 3), RGB.
    """

    paths: Sequence[Path]
    labels: np.ndarray
    test_rows: np.ndarray
    load: Callable[[Path], np.ndarray]


def write_training_page(
    path: str | Path,
    report: Mapping[str, object],
    record: Mapping[str, object],
    evaluation: Evaluated,
    images: TrainedImages,
    *,
    db: str,
    created: str,
    command: str,
    suspects: Suspected | None = None,
    n_threads: int = 1,
) -> None:
    """Write what was found out by a training as a page to look at.

    Parameters
    ----------
    path : str or Path
        The ``.html`` file to write.
    report : mapping
        What the JSON report holds; it is in the page, too.
    record : mapping
        What the file of features records of its run; may be empty.
    evaluation : Evaluated
        What the classifier predicts for the test images.
    images : TrainedImages
        The images.
    db : str
        The file of features that trained.
    created : str
        The date of the training.
    command : str
        The command line that trained.
    suspects : Suspected, optional
        The rows whose label is probably wrong, the most suspicious first.
    n_threads : int
        How many images are loaded at a time.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    names = report["label_names"]
    folder = os.path.commonpath(images.paths) if len(images.paths) > 1 else None

    def shown(row: int, predicted: int | None = None, probability: float | None = None) -> Shown:
        file = images.paths[row] if images.paths else None
        name = f"row {row}" if file is None else os.path.relpath(file, folder)
        predicted_name = None if predicted is None else names[predicted]
        return Shown(file, name, names[images.labels[row]], predicted_name, probability)

    def tested(indices: Iterable[int]) -> list[Shown]:
        return [
            shown(
                int(images.test_rows[i]),
                evaluation.predicted[i],
                float(evaluation.predicted_probability[i]),
            )
            for i in indices
        ]

    def suspected() -> list[Shown]:
        columns = (suspects.rows, suspects.suggested, suspects.suggested_probability)
        found = zip(*(column[:N_SUSPECTS].tolist() for column in columns), strict=True)
        return [shown(*suspect) for suspect in found]

    table = confusions(
        evaluation.labels,
        evaluation.predicted,
        evaluation.true_probability,
        len(names),
        N_IN_CELLS if images.paths else N_NAMES_IN_CELLS,
    )
    worst = evaluation.worst_mistakes()
    mistakes = tested(worst[:N_MISTAKES])
    by_certainty = np.argsort(evaluation.predicted_probability, kind="stable")
    least_sure = tested(by_certainty[:N_LEAST_SURE])
    suspicious = [] if suspects is None else suspected()
    groups = duplicate_groups(record, images.labels)
    duplicates = [[shown(row) for row in group[:N_OF_GROUP]] for group in groups[:N_GROUPS]]
    in_cells = {key: tested(cell.images[: cell.n_shown]) for key, cell in table.cells.items()}
    everything = chain(mistakes, least_sure, suspicious, *duplicates, *in_cells.values())
    wanted = dict.fromkeys(image.path for image in everything if image.path is not None)
    made = thumbnails(wanted, images.load, n_threads)
    skipped = record.get("skipped") or {}
    write_page(
        path,
        "training.html",
        title=f"Training on {Path(record.get('dataset') or db).name}",
        report=report,
        record=record,
        created=created,
        commands=[*extraction_commands(record, db), command],
        names=names,
        n_of_class=np.bincount(images.labels, minlength=len(names)).tolist(),
        plot=accuracy_plot(report["search"], report["best_params"]["C"]),
        table=table,
        in_cells=in_cells,
        pairs=list(islice(filter(is_linked_mistake, table.cells.values()), N_PAIRS)),
        mistakes=mistakes,
        mistakes_title=sheet_title(len(mistakes), len(worst), len(evaluation.labels)),
        least_sure=least_sure,
        suspects=suspicious,
        n_suspects=0 if suspects is None else len(suspects.rows),
        duplicates=duplicates,
        n_duplicate_groups=len(groups),
        skipped=list(islice(skipped.items(), N_SKIPPED)),
        n_skipped=len(skipped),
        provenance={key: as_text(record[key]) for key in record if key not in PER_IMAGE},
        thumbnails=made,
        n_without=len(wanted) - len(made),
    )


def is_linked_mistake(cell: Cell) -> bool:
    """Return whether a cell holds mistakes and has a section in the page."""
    return cell.is_mistake and cell.n_shown > 0


def duplicate_groups(record: Mapping[str, object], labels: np.ndarray) -> list[list[int]]:
    """Return the rows of each photograph that is there several times, those of two classes first.

    A record may come from another program: groups that are not understood are left out.
    """
    recorded = record.get("duplicate_groups")
    groups = [
        group
        for group in (recorded if isinstance(recorded, list) else ())
        if isinstance(group, list)
        and all(isinstance(row, int) and 0 <= row < len(labels) for row in group)
    ]
    return sorted(groups, key=lambda group: len({int(labels[row]) for row in group}) < 2)


def as_text(value: object) -> str:
    """Return a value of the record for people: a text as it is, all else as JSON; cut if long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def extraction_commands(record: Mapping[str, object], output: str) -> list[str]:
    """Return the command that made a file of features, if it is known enough.

    Examples
    --------
    >>> extraction_commands({"dataset": "my animals", "network": "VGG16", "seed": 42}, "a.hdf5")
    ["python extract_features.py --dataset 'my animals' --output a.hdf5 --network VGG16 --seed 42"]
    >>> extraction_commands({}, "a.hdf5")
    []
    """
    if not record.get("dataset"):
        return []
    network, weights = record.get("network"), record.get("weights_file")
    if str(network).endswith(".keras"):  # it holds its weights
        network, weights = weights or network, None
    else:
        weights = weights or (record.get("weights") or {}).get("name")
    size, labels = record.get("size"), (record.get("labels") or {}).get("from")
    options = {
        "dataset": record["dataset"],
        "labels": "TABLE.csv" if labels == "table" else None,  # its name is not recorded
        "labels-from": labels if labels != "table" else None,
        "output": output,
        "network": network,
        **{key: record.get(key) for key in ("layer", "pooling", "preprocessing")},
        "size": size[0] if size else None,
        "weights": weights,
        "seed": record.get("seed"),
    }
    given = [(f"--{key}", str(value)) for key, value in options.items() if value is not None]
    skip_bad = ["--skip-bad"] if record.get("skipped") else []
    return [shlex.join(["python", "extract_features.py", *chain.from_iterable(given), *skip_bad])]
