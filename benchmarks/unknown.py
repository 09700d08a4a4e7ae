"""Measure how well unknown images are separated from known ones.

    python benchmarks/unknown.py animals.hdf5 flowers17.hdf5 caltech101.hdf5
    python benchmarks/unknown.py caltech101.hdf5 --hold-out 10

Each features file in its turn is the known one, the images of all others are
unknown to it. Three quarters of its rows train, the rest are held-out known
images; all figures are means over several random splits. With --hold-out, some
of its classes are unknown too: drawn at random, those that are nearest to
another class (one of each such pair), and those that are farthest from all.

The thresholds of the probability and of the logit, for comparison, are the
quantiles of the training rows' out-of-fold scores.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from pyimagesearch.io import open_features
from pyimagesearch.linear import (
    UnknownDetector,
    fit_unknown_detector,
    grid_search,
    stratified_folds,
)
from pyimagesearch.utils.split import N_FOLDS, n_train_rows

SHARES = (0.01, 0.05, 0.1)
COMPARED_SHARE = 0.05  # at which the ways are compared
C = 1.0  # of the classifier whose scores are compared

Rows = tuple[np.ndarray, np.ndarray]  # features (n, d), labels (n,)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="features files of one network")
    parser.add_argument(
        "--hold-out", type=int, metavar="N", help="take N classes out of each file as unknown ones"
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="use N rows of each known file only, drawn at random"
    )
    parser.add_argument("--splits", type=int, default=10, metavar="N")
    parser.add_argument(
        "--cosine-only", action="store_true", help="leave out the probability and the logit"
    )
    return parser


def read(path: str) -> tuple[Rows, list[str]]:
    """Return all rows of a file, and the names of its classes."""
    with open_features(path) as features:
        return (features.read(0, features.shape[0]), features.labels), features.label_names


def nearest_and_farthest(X: np.ndarray, y: np.ndarray, n: int) -> tuple[list[int], list[int]]:
    """Return the n classes whose mean is nearest to that of another, and the n farthest ones."""
    means = np.stack([X[y == label].mean(axis=0) for label in range(y.max() + 1)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosines = means @ means.T
    np.fill_diagonal(cosines, -1)
    near, partners = [], set()
    for label in np.argsort(-cosines.max(axis=1), kind="stable").tolist():
        if label not in partners and len(near) < n:
            near.append(label)
            partners.add(int(cosines[label].argmax()))
    return near, np.argsort(cosines.max(axis=1), kind="stable")[:n].tolist()


def known_and_unknown(
    sets: dict[str, Rows], names: dict[str, list[str]], arguments: argparse.Namespace
):
    """Yield what is known, with a title, and the sets that are unknown to it."""
    rng = np.random.default_rng(0)
    for title, (X, y) in sets.items():
        others = {other: rows[0] for other, rows in sets.items() if other != title}
        if arguments.hold_out:
            near, far = nearest_and_farthest(X, y, arguments.hold_out)
            drawn = rng.permutation(y.max() + 1)[: arguments.hold_out].tolist()
            for kind, classes in (("drawn", drawn), ("near", near), ("far", far)):
                print(f"{kind}: {', '.join(names[title][label] for label in classes)}")
                out = np.isin(y, classes)
                known = X[~out], np.unique(y[~out], return_inverse=True)[1]
                yield f"{title} without {len(classes)}", known, {f"{kind} classes": X[out]}
        else:
            some = rng.permutation(len(X))[: arguments.rows]
            yield f"{title}, {len(some):,} images", (X[some], y[some]), others


def scores_of(train: Rows, n_jobs: int) -> tuple[np.ndarray, Callable]:
    """Return the out-of-fold scores of training rows, and what gives those of other rows."""
    X, y = train
    folds = stratified_folds(y, N_FOLDS, [str(label) for label in range(y.max() + 1)])
    search = grid_search(X, y, [C], folds, n_jobs=n_jobs)

    def of(rows: np.ndarray) -> np.ndarray:
        scores = search.model.decision_function(rows)
        return scores if scores.ndim == 2 else np.stack([-scores, scores], axis=1) / 2

    return search.held_out_scores, of


def max_probability(scores: np.ndarray) -> np.ndarray:
    """Return the largest probability of each row."""
    scores = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return 1 / np.exp(scores).sum(axis=1)


def compared(train: Rows, held_out: np.ndarray, others: list[np.ndarray]) -> list[list[float]]:
    """Return the shares below the thresholds of the probability and of the logit."""
    out_of_fold, scores = scores_of(train, n_jobs=os.cpu_count())
    shares = []
    for measure in (max_probability, lambda scores: scores.max(axis=1)):
        threshold = np.quantile(measure(out_of_fold), COMPARED_SHARE)
        shares.append([float((measure(scores(X)) < threshold).mean()) for X in (held_out, *others)])
    return shares


def refused(detector: UnknownDetector, X: np.ndarray, thresholds: list[float]) -> list[float]:
    """Return the share of rows that each threshold calls unknown."""
    found = np.array([likeness.similarity for likeness in detector.likenesses(X)])
    return [float((found < threshold).mean()) for threshold in thresholds]


def measure(known: Rows, others: dict[str, np.ndarray], arguments: argparse.Namespace) -> None:
    """Print how many known and unknown images are called unknown, over several splits."""
    X, y = known
    by_share, by_way = [], []
    for split in range(arguments.splits):
        order = np.random.default_rng(split).permutation(len(X))
        train, held_out = np.split(order, [n_train_rows(len(X))])
        detectors = [fit_unknown_detector(X[train], y[train], share) for share in SHARES]
        thresholds = [detector.threshold for detector in detectors]
        sets = [X[held_out], *others.values()]
        by_share.append([refused(detectors[0], rows, thresholds) for rows in sets])
        if not arguments.cosine_only:
            by_way.append(compared((X[train], y[train]), X[held_out], list(others.values())))
    known_refused, *unknown_refused = np.mean(by_share, axis=0)  # (sets, shares)
    deviation = np.std(by_share, axis=0)[0]
    let_through = {name: 1 - row for name, row in zip(others, unknown_refused, strict=True)}
    for i, share in enumerate(SHARES):
        through = ", ".join(f"{name} {row[i]:.1%}" for name, row in let_through.items())
        print(
            f"    cosine, {share:.0%} asked for: {known_refused[i]:.1%} +- {deviation[i]:.1%} of "
            f"known refused; let through: {through}"
        )
    for i, way in enumerate(("probability", "logit") if by_way else ()):
        of_known, *of_unknown = np.mean(by_way, axis=0)[i]
        through = ", ".join(
            f"{name} {1 - one:.1%}" for name, one in zip(others, of_unknown, strict=True)
        )
        print(
            f"    {way}, {COMPARED_SHARE:.0%} asked for: {of_known:.1%} of known refused; let "
            f"through: {through}"
        )
    started = time.perf_counter()
    detector = fit_unknown_detector(X[train], y[train], COMPARED_SHARE)
    fit_s = time.perf_counter() - started
    kept_bytes = detector.rows.nbytes + detector.labels.nbytes
    ms = {n: np.median([timed(detector, X[:n]) for _ in range(21)]) / n for n in (1, 4, 32)}
    print(
        f"    {kept_bytes / 1e6:.1f} MB; {fit_s:.1f} s to find; per image "
        + ", ".join(f"{value:.2f} ms in batches of {n}" for n, value in ms.items()),
        flush=True,
    )


def timed(detector: UnknownDetector, X: np.ndarray) -> float:
    """Return how many ms of a core a batch takes."""
    started = time.process_time()
    detector.likenesses(X)
    return (time.process_time() - started) * 1e3


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = build_parser().parse_args(argv)
    sets, names = {}, {}
    for path in arguments.files:
        title = Path(path).stem
        sets[title], names[title] = read(path)
    for title, known, others in known_and_unknown(sets, names, arguments):
        print(f"{title}:", flush=True)
        measure(known, others, arguments)


if __name__ == "__main__":
    main()
