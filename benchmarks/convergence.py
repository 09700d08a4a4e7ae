"""Search over C on many small sets that are hard to fit, and count the fits that converge.

    python benchmarks/convergence.py
    python benchmarks/convergence.py --every 5
    python benchmarks/convergence.py --balanced --groups 3

Four kinds of sets by turns: noise (labels that have nothing to do with the features), weak (classes
that overlap), scales (features of sizes over six powers of ten) and twice (a fifth of the rows once
more, in another class). Half of the sets have features that are mixed and rectified.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
SEPARATION = {"noise": 0.0, "weak": 0.15, "scales": 0.5, "twice": 1.0}  # of classes, in deviations


def make_set(seed: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the kind of a set, its features and its labels."""
    random, kind = np.random.default_rng(seed), list(SEPARATION)[seed % len(SEPARATION)]
    n, d = (int(np.exp(random.uniform(*np.log(sizes)))) for sizes in ([30, 600], [3, 400]))
    n_classes = int(random.integers(2, 9))
    n = max(n, 6 * n_classes)
    y = np.arange(n) % n_classes
    X = random.standard_normal((n, d))
    X += SEPARATION[kind] * random.standard_normal((n_classes, d))[y]
    if random.random() < 0.5:
        X = np.maximum(X @ random.standard_normal((d, d)), 0)
    if kind == "scales":
        X = X * 10 ** random.uniform(-3, 3, d)
    if kind == "twice":
        twice = random.choice(n, max(2, n // 5), replace=False)
        others = (y[twice] + random.integers(1, n_classes, len(twice))) % n_classes
        order = random.permutation(n + len(twice))
        X, y = np.vstack([X, X[twice]])[order], np.append(y, others)[order]
    return kind, X.astype(np.float32) if random.random() < 0.7 else X, y


def folds_of(y: np.ndarray, group_size: int | None):
    """Divide rows into three folds; consecutive rows of a class are a group."""
    if not group_size:
        return StratifiedKFold(3).split(y, y)
    place = np.zeros(len(y), int)  # of each row in its class
    for label in np.unique(y):
        place[y == label] = np.arange(np.count_nonzero(y == label))
    return StratifiedGroupKFold(3).split(y, y, y * len(y) + place // group_size)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return 1 if a fit has not converged."""
    from pyimagesearch.linear import C_GRID, grid_search, notes

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=320, help="how many sets (default: 320)")
    parser.add_argument("--every", type=int, default=1, help="only each N-th (default: 1)")
    parser.add_argument("--balanced", action="store_true", help="weight all classes equally")
    parser.add_argument("--groups", type=int, help="put so many rows into a group each")
    arguments = parser.parse_args(argv)
    counts = defaultdict(lambda: np.zeros(4))
    for seed in range(0, arguments.sets, arguments.every):
        kind, X, y = make_set(seed)
        started = time.process_time()
        folds = folds_of(y, arguments.groups)
        search = grid_search(X, y, C_GRID, folds, balanced=arguments.balanced)
        converged = sum(fit.converged for fit in search.fits)
        steps = sum(fit.n_iter for fit in search.fits)
        counts[kind] += len(search.fits), converged, steps, time.process_time() - started
        for note in notes(search):
            if "converged" in note:
                print(f"set {seed} ({kind}, {len(X)} x {X.shape[1]}): {note}")
    counts["all"] = sum(counts.values())
    print("| sets | fits | converged | Newton steps | CPU seconds |\n" + "| --- " * 5 + "|")
    for kind, (fits, converged, steps, cpu_s) in counts.items():
        print(f"| {kind} | {fits:,.0f} | {converged:,.0f} | {steps:,.0f} | {cpu_s:.1f} |")
    return int(counts["all"][1] < counts["all"][0])


if __name__ == "__main__":
    raise SystemExit(main())
