"""Measure how many flipped labels are found, and how many suspects are flipped labels.

    python benchmarks/suspects.py animals.hdf5 --flip 0.05 --seeds 6

A copy of the file gets some of its labels changed at random, `train_model.py` lists the
suspects, and both are compared; once for each seed, then the means.
"""

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def flip(path: Path, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Change some labels of a file; return the old ones and the new ones."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "r+") as db:
        labels, n_classes = db["labels"][:], len(db["label_names"])
        rows = rng.permutation(len(labels))[: round(share * len(labels))]
        changed = labels.copy()
        changed[rows] = (labels[rows] + rng.integers(1, n_classes, len(rows))) % n_classes
        db["labels"][:] = changed
    return labels, changed


def measure(features: Path, share: float, seed: int) -> tuple[float, float, float]:
    """Return precision, recall, and for how many of those found the old label is suggested."""
    with tempfile.TemporaryDirectory() as folder:
        db, table = Path(folder, "f.hdf5"), Path(folder, "suspects.csv")
        shutil.copy(features, db)
        old, new = flip(db, share, seed)
        command = [sys.executable, ROOT / "train_model.py", "--db", db, "--model"]
        command += [Path(folder, "m.cpickle"), "--suspects", table]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with h5py.File(db) as file, table.open(encoding="utf-8", newline="") as lines:
            names = file["label_names"].asstr()[:]
            found = list(csv.DictReader(lines))
    rows = np.array([int(entry["row"]) for entry in found], int)
    suggested = np.array([entry["suggested"] for entry in found])
    hit = old[rows] != new[rows]
    right = suggested[hit] == names[old[rows[hit]]]
    return hit.mean(), hit.sum() / (old != new).sum(), right.mean()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path, metavar="FILE", help="HDF5 file of features")
    parser.add_argument("--flip", type=float, default=0.05, help="share of labels to change")
    parser.add_argument("--seeds", type=int, default=6, metavar="N")
    arguments = parser.parse_args()
    print("seed  precision  recall  right class suggested")
    results = []
    for seed in range(arguments.seeds):
        results.append(measure(arguments.features, arguments.flip, seed))
        print(f"{seed:>4}  {results[-1][0]:>9.3f}  {results[-1][1]:>6.3f}  {results[-1][2]:>8.3f}")
    means = np.mean(results, axis=0)
    print(f"mean  {means[0]:>9.3f}  {means[1]:>6.3f}  {means[2]:>8.3f}")


if __name__ == "__main__":
    main()
