"""Measure the grid search over C beside scikit-learn's own, on real features or on data made here.

    python benchmarks/train.py --db features.hdf5 --without-converged
    python benchmarks/train.py --shape animals
    python benchmarks/train.py --shape caltech101 --without-converged
    python benchmarks/train.py --db features.hdf5 --rows 133334 --features 2048 --one-fit
    python benchmarks/train.py --db features.hdf5 --balanced --groups 4 --without-converged

Each way runs in a process of its own, from a file of float32 that is mapped
into memory to a pickled model: the import of the libraries and the last fit are
in its seconds. Its memory is the largest sum of what the process and its
children hold, with what they share counted once, without the mapped file. The
models are evaluated afterwards.
"""

import argparse
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from memorywatch import watch

MEMORY = ("Pss_Anon", "Pss_Shmem")  # without the pages of files
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
C_GRID = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
TRAIN_FRACTION = 0.75
BLOCK_ROWS = 256
COLUMNS = (
    "way",
    "seconds",
    "ratio",
    "CPU seconds",
    "peak MB",
    "converged",
    "best C",
    "held-out",
    "objective",
    "proven gap",
)


@dataclass(frozen=True)
class Shape:
    """The size and the character of a set of features.

    Attributes
    ----------
    n_rows, n_features, n_classes : int
        Its size.
    make : callable
        Returns float32 features (n_rows, n_features) and int64 labels.
    """

    n_rows: int
    n_features: int
    n_classes: int
    make: Callable[["Shape", np.random.Generator], tuple[np.ndarray, np.ndarray]]


def like_random_network(shape: Shape, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make features that are hard: nearly the same for all images.

    Images differ in few directions, by a power law, around a common mean
    that is larger than all differences; a rectifier cuts off what is negative.
    Spectrum, share of zeros and mean were fitted to a VGG16 with He's random
    weights on real images.
    """
    labels = random.integers(shape.n_classes, size=shape.n_rows)
    n_factors = min(shape.n_rows, 2000)
    class_shifts = random.standard_normal((shape.n_classes, n_factors)).astype(np.float32)
    factors = random.standard_normal((shape.n_rows, n_factors), dtype=np.float32)
    factors += CLASS_SIGNAL * class_shifts[labels]
    ranks = np.arange(1, n_factors + 1)
    factors *= np.sqrt(ranks**-1.7 + 3e-3 * ranks**-0.4).astype(np.float32)
    loadings = random.standard_normal((n_factors, shape.n_features), dtype=np.float32)
    means = random.normal(1.1, 3.4, shape.n_features).astype(np.float32)
    scales = random.lognormal(3.6, 0.5, shape.n_features).astype(np.float32)
    features = np.empty((shape.n_rows, shape.n_features), np.float32)
    for rows in blocks(shape.n_rows):
        features[rows] = np.maximum(factors[rows] @ loadings + means, 0) * scales
    return features, labels


def nearly_separable(shape: Shape, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make features that are easy: a mean for each class, of unequal sizes, and noise."""
    sizes = 1 / np.arange(2, shape.n_classes + 2)
    sizes = np.maximum(sizes / sizes.sum(), 0.0035)
    labels = random.choice(shape.n_classes, shape.n_rows, p=sizes / sizes.sum())
    means = random.standard_normal((shape.n_classes, shape.n_features), dtype=np.float32)
    means *= CLASS_DISTANCE
    features = random.standard_normal((shape.n_rows, shape.n_features), dtype=np.float32)
    for rows in blocks(shape.n_rows):
        features[rows] += means[labels[rows]]
    return features, labels


ONE_FIT = "direct, one fit of 19"
CLASS_SIGNAL = 0.048
CLASS_DISTANCE = 0.12
SHAPES = {
    "animals": Shape(3000, 25088, 3, like_random_network),
    "caltech101": Shape(8677, 25088, 101, nearly_separable),
    "small": Shape(300, 2000, 3, like_random_network),
}
N_FITS = 3 * len(C_GRID) + 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--shape",
        choices=SHAPES,
        default="animals",
        help="the size and kind of the data (default: %(default)s)",
    )
    parser.add_argument(
        "--db", type=Path, metavar="FILE", help="features made by extract_features.py, in its place"
    )
    for option in ("rows", "features", "classes"):
        parser.add_argument(
            f"--{option}",
            type=int,
            metavar="N",
            help=f"of --db, take N {option}; or mix rows, if there are fewer",
        )
    parser.add_argument(
        "--first",
        action="store_true",
        help="of --features, the first N, not any: of VGG16's, up to 512 are a corner of its map",
    )
    parser.add_argument(
        "--twice",
        type=int,
        default=0,
        metavar="N",
        help="put N rows into a second class, too (default: %(default)s)",
    )
    parser.add_argument(
        "--balanced", action="store_true", help="weight all classes equally in every way"
    )
    parser.add_argument(
        "--groups",
        type=int,
        metavar="N",
        help="put the rows of a class into groups of N at random, which no two folds share",
    )
    parser.add_argument(
        "--without-default",
        action="store_true",
        help="leave out the direct way that stops at 100 iterations",
    )
    parser.add_argument(
        "--without-converged",
        action="store_true",
        help="skip the direct way that runs until it has converged: minutes",
    )
    parser.add_argument(
        "--one-fit",
        action="store_true",
        help="in their place, one direct fit to the rows of two folds, its time multiplied by 19",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="keep data and models there (default: a temporary folder)",
    )
    parser.add_argument(
        "--seed", type=int, default=42, metavar="N", help="seed of the data (default: %(default)s)"
    )
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)  # a child's way
    return parser


def blocks(n_rows: int, start: int = 0) -> list[slice]:
    """Return slices of consecutive rows that cover `start` to `n_rows`."""
    return [
        slice(first, min(first + BLOCK_ROWS, n_rows)) for first in range(start, n_rows, BLOCK_ROWS)
    ]


def read_training_part(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Map the first three quarters of the rows."""
    labels = np.load(folder / "labels.npy")
    n_train = int(TRAIN_FRACTION * len(labels))
    return np.load(folder / "features.npy", mmap_mode="r")[:n_train], labels[:n_train]


@dataclass(frozen=True)
class Protocol:
    """How all ways search alike.

    Attributes
    ----------
    balanced : bool
        Whether all classes are weighted equally.
    group_size : int or None
        How many rows of a class are in a group that no two folds share.
    """

    balanced: bool = False
    group_size: int | None = None

    @property
    def class_weight(self) -> str | None:
        """As scikit-learn takes it."""
        return "balanced" if self.balanced else None

    def folds(self, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Divide rows into three folds."""
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        if not self.group_size:
            return list(StratifiedKFold(3).split(labels, labels))
        groups, random = np.empty(len(labels), np.int64), np.random.default_rng(0)
        for label in np.unique(labels):
            rows = random.permutation(np.flatnonzero(labels == label))
            groups[rows] = label * len(labels) + np.arange(len(rows)) // self.group_size
        return list(StratifiedGroupKFold(3).split(labels, labels, groups))

    def row_weights(self, labels: np.ndarray) -> np.ndarray:
        """Return how much the loss of each row counts."""
        counts = np.bincount(labels)
        balanced = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return balanced[labels] if self.balanced else np.ones(len(labels))


def search_directly(features: np.ndarray, labels: np.ndarray, protocol: Protocol, max_iter: int):
    """Search with scikit-learn on the features as they are."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(
        LogisticRegression(max_iter=max_iter, class_weight=protocol.class_weight),
        {"C": C_GRID},
        cv=protocol.folds(labels),
        n_jobs=-1,
        scoring=_score_and_converged,
        refit="score",
    )
    search.fit(features, labels)
    folds = [search.cv_results_[f"split{fold}_test_converged"].sum() for fold in range(3)]
    n_converged = int(sum(folds)) + int(search.best_estimator_.n_iter_[0] < max_iter)
    return search, n_converged


def _score_and_converged(estimator, features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    converged = estimator.n_iter_[0] < estimator.max_iter
    right = estimator.predict(features) == labels
    score = accuracy(right, labels, balanced=estimator.class_weight == "balanced")
    return {"score": score, "converged": float(converged)}


def accuracy(right: np.ndarray, labels: np.ndarray, balanced: bool) -> float:
    """Return the share of rows that are right, or the mean of the classes' own shares."""
    parts = [labels == label for label in np.unique(labels)] if balanced else [slice(None)]
    return float(np.mean([right[part].mean() for part in parts]))


def search_here(features: np.ndarray, labels: np.ndarray, protocol: Protocol):
    """Search with this project's way."""
    from pyimagesearch.linear import grid_search
    from pyimagesearch.utils.arguments import available_cores

    folds, cores = protocol.folds(labels), available_cores()
    return grid_search(features, labels, C_GRID, folds, n_jobs=cores, balanced=protocol.balanced)


def found_here(features: np.ndarray, labels: np.ndarray, protocol: Protocol):
    """Return the model of this project's way, its C and the fits that have converged."""
    search = search_here(features, labels, protocol)
    return search.model, search.best_C, sum(fit.converged for fit in search.fits)


def found_directly(features: np.ndarray, labels: np.ndarray, protocol: Protocol, max_iter: int):
    """Return the model of scikit-learn's way, its C and the fits that have converged."""
    search, n_converged = search_directly(features, labels, protocol, max_iter)
    return search.best_estimator_, search.best_params_["C"], n_converged


def found_by_one_fit(features: np.ndarray, labels: np.ndarray, protocol: Protocol):
    """Return scikit-learn's model of two thirds of the rows, as each fit of a fold's has them."""
    from sklearn.linear_model import LogisticRegression

    n = 2 * len(labels) // 3
    model = LogisticRegression(C=1.0, class_weight=protocol.class_weight)
    model.fit(np.asarray(features[:n]), labels[:n])
    return model, 1.0, int(model.n_iter_[0] < model.max_iter)


WAYS = {
    "here": found_here,
    "direct, 100 iterations": partial(found_directly, max_iter=100),
    "direct, converged": partial(found_directly, max_iter=20000),
    ONE_FIT: found_by_one_fit,
}


def run_child(way: str, folder: Path) -> None:
    """Train in one way, and leave the model and what was found in the folder."""
    import sklearn.linear_model  # noqa: F401 - once for all fits, so not in the time of one

    features, labels = read_training_part(folder)
    protocol = read_protocol(folder)
    started = time.perf_counter()
    model, best_C, n_converged = WAYS[way](features, labels, protocol)
    search_s = time.perf_counter() - started
    with (folder / f"{way}.pickle").open("wb") as file:
        pickle.dump(model, file)
    found = {"best C": best_C, "n_converged": n_converged, "search_s": search_s}
    (folder / f"{way}.json").write_text(json.dumps(found))


def measure(way: str, folder: Path) -> dict[str, float]:
    """Run a way in a process of its own; return its seconds and peak bytes.

    The processor's seconds are better than the clock's on a machine that others
    use too.
    """
    command = [sys.executable, __file__, "--run", way, "--folder", str(folder)]
    # The direct way's workers would print a warning for every fit that stops early.
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    started, cpu_before_s = time.perf_counter(), _children_cpu_s()
    child = subprocess.Popen(command, env=environment)
    peaks = [0]
    watcher = threading.Thread(target=watch, args=(child, peaks, MEMORY))
    watcher.start()
    child.wait()
    elapsed_s = time.perf_counter() - started
    watcher.join()
    if child.returncode:
        raise SystemExit(f"'{way}' ended with {child.returncode}")
    cpu_s = _children_cpu_s() - cpu_before_s
    return {"elapsed_s": elapsed_s, "cpu_s": cpu_s, "peak_bytes": peaks[0]}


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def evaluate(way: str, folder: Path) -> dict[str, float]:
    """Return a model's held-out accuracy and its objective on the training part."""
    with (folder / f"{way}.pickle").open("rb") as file:
        model = pickle.load(file)
    features = np.load(folder / "features.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    n_train, protocol = int(TRAIN_FRACTION * len(labels)), read_protocol(folder)
    weights = protocol.row_weights(labels[:n_train])
    loss = sum(
        weights[rows] @ log_losses(model, features[rows], labels[rows]) for rows in blocks(n_train)
    )
    tested = blocks(len(labels), n_train)
    predicted = np.concatenate([model.predict(features[rows]) for rows in tested])
    right = predicted == labels[n_train:]
    squared = np.square(model.coef_, dtype=np.float64).sum()
    objective = loss + squared / (2 * model.C)
    least = least_objective(model, features[:n_train], labels[:n_train], weights)
    return {
        "held-out": accuracy(right, labels[n_train:], protocol.balanced),
        "objective": objective / n_train,
        "gap": 1 - max(least, 0) / objective,
    }


def least_objective(model, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Return a lower bound on the minimum, found at the best length of a model's weights."""
    from pyimagesearch.linear.solver import Fits, centred

    n_classes = len(model.classes_)
    w, b = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    if n_classes == 2:  # as two rows that sum to 0, of half the squared length
        w, b = np.vstack([-w, w]) / 2, np.append(-b, b) / 2
    with ThreadPoolExecutor(1) as pool:
        rows = centred(features, n_classes, pool, 1)
        w = np.column_stack([w / rows.scale, b + w @ rows.centre])
        labels, weight = np.searchsorted(model.classes_, labels), 0.5 if n_classes == 2 else 1.0
        C = model.C / rows.scale**2
        (found,) = Fits(rows, labels, weight * weights[None]).bound(C, [w])
        return found.objective * (1 - found.gap) / weight / C


def log_losses(model, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the log losses of some rows, in double precision."""
    scores = features.astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    truth = np.arange(len(labels)), np.searchsorted(model.classes_, labels)
    odds = scores - scores[truth][:, None]
    odds[truth] = -np.inf  # the truth's own 1 apart, which would drown what is small
    return np.logaddexp(0, np.logaddexp.reduce(odds, axis=1))


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the figures of all ways, one a line."""
    ours = results["here"]["elapsed_s"]
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
    for way, figures in results.items():
        seconds = N_FITS * figures["search_s"] if way == ONE_FIT else figures["elapsed_s"]
        cells = [
            way,
            f"{seconds:.1f}",
            f"{seconds / ours:.1f}",
            f"{figures['cpu_s']:.1f}",
            f"{figures['peak_bytes'] / 1e6:,.0f}",
            f"{figures['n_converged']} of {1 if way == ONE_FIT else N_FITS}",
            f"{figures['best C']:g}",
            f"{figures['held-out']:.3f}",
            f"{figures['objective']:.7g}",
            f"{figures['gap']:.0e}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def save(features: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Leave the data where the ways read them."""
    np.save(folder / "features.npy", features)
    np.save(folder / "labels.npy", labels.astype(np.int64))


def resized(
    features: np.ndarray, labels: np.ndarray, sizes: dict[str, int | None], first: bool, random
) -> tuple[np.ndarray, np.ndarray]:
    """Choose some of the real rows, their features and the largest classes; or make more rows.

    Where more rows are asked for than there are, each is mixed of two of its class, in parts at
    random. How well such rows are separated means nothing, since a held-out row can have parents
    that were trained on; time and memory do.
    """
    largest = np.argsort(-np.bincount(labels), kind="stable")[: sizes["classes"]]
    columns = np.arange(features.shape[1])
    columns = np.sort((columns if first else random.permutation(columns))[: sizes["features"]])
    members = [np.flatnonzero(labels == label) for label in largest]
    if sizes["rows"] is None:
        ones = np.sort(np.concatenate(members))  # in their order
        return features[np.ix_(ones, columns)], np.searchsorted(np.sort(largest), labels[ones])
    counts = np.bincount(np.arange(sizes["rows"]) % len(members))
    few = any(count > len(rows) for count, rows in zip(counts, members, strict=True))
    parents = np.vstack(  # (rows, 2) to be mixed, or (rows, 1)
        [
            random.choice(rows, (count, 2 if few else 1), replace=few)
            for count, rows in zip(counts, members, strict=True)
        ]
    )
    order = random.permutation(len(parents))
    parents, new_labels = parents[order], np.repeat(np.arange(len(members)), counts)[order]
    if not few:
        return features[np.ix_(parents[:, 0], columns)], new_labels
    made = np.empty((len(parents), len(columns)), np.float32)
    for rows in blocks(len(parents)):
        part = random.random((len(parents[rows]), 1), dtype=np.float32)
        one, other = (features[np.ix_(parents[rows, i], columns)] for i in range(2))
        made[rows] = part * one + (1 - part) * other
    return made, new_labels


def contradicted(
    features: np.ndarray, labels: np.ndarray, n_twice: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add some rows once more, each with the label of another class, and shuffle them all."""
    n_classes = labels.max() + 1
    twice = random.choice(len(labels), n_twice, replace=False)
    others = (labels[twice] + random.integers(1, n_classes, n_twice)) % n_classes
    order = random.permutation(len(labels) + n_twice)
    rows = np.append(np.arange(len(labels)), twice)[order]
    return features[rows], np.append(labels, others)[order]


def read_protocol(folder: Path) -> Protocol:
    """Read how the ways are to search."""
    return Protocol(**json.loads((folder / "protocol.json").read_text()))


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a file that extract_features.py made."""
    from pyimagesearch.io import open_features

    with open_features(path) as file:
        return file.read(0, file.shape[0]), file.labels


def compare(ways: list[str], folder: Path) -> str:
    """Run each way on the data in a folder, and return the table."""
    results = {}
    for way in ways:
        figures = measure(way, folder)
        found = json.loads((folder / f"{way}.json").read_text())
        results[way] = {**figures, **found, **evaluate(way, folder)}
    return table(results)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    arguments = build_parser().parse_args(argv)
    if arguments.run:
        run_child(arguments.run, arguments.folder)
        return 0
    ways = ["here", "direct, 100 iterations", "direct, converged"]
    if arguments.one_fit:
        ways[1:] = [ONE_FIT]
    if arguments.without_default:
        ways = [way for way in ways if "100" not in way]
    if arguments.without_converged:
        ways = [way for way in ways if way != "direct, converged"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.db:
            features, labels = read(arguments.db)
            sizes = {name: getattr(arguments, name) for name in ("rows", "features", "classes")}
            if any(sizes.values()):
                random = np.random.default_rng(arguments.seed)
                features, labels = resized(features, labels, sizes, arguments.first, random)
        else:
            shape = SHAPES[arguments.shape]
            features, labels = shape.make(shape, np.random.default_rng(arguments.seed))
        if arguments.twice:
            random = np.random.default_rng(arguments.seed)
            features, labels = contradicted(features, labels, arguments.twice, random)
        n, d = features.shape
        print(f"{n:,} x {d:,}, {len(np.unique(labels))} classes, C in {C_GRID}")
        save(features, labels, folder)
        protocol = Protocol(arguments.balanced, arguments.groups)
        (folder / "protocol.json").write_text(json.dumps(asdict(protocol)))
        del features
        print(compare(ways, folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
