"""Try the three commands on drawn images, and end with the path of the report: `make demo`.

python tests/demo.py demo [WEIGHTS]

The images are noisy shapes. One lies in the folder of another class, for the
report to find; those that are classified at last are drawn apart.
"""

import logging
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from draw import CORNERS, draw_shape

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is tests/

from pyimagesearch.nn import DownloadError, NetworkChoice, load_network  # noqa: E402
from pyimagesearch.utils.files import make_parents, replacing  # noqa: E402
from pyimagesearch.utils.script import script  # noqa: E402

N_IMAGES = 30  # of each class
MISPLACED = "triangle", "star"  # the shape of an image, and the class in whose folder it lies

logger = logging.getLogger(__name__)


def draw_demo(images: Path, new: Path) -> None:
    """Draw a folder of images per shape, and a folder with another image of each."""
    rng = np.random.default_rng(0)
    shape, label = MISPLACED
    drawn = {images / label / f"{label}_{N_IMAGES:02}.jpg": shape}
    for shape in CORNERS:
        drawn |= {images / shape / f"{shape}_{i:02}.jpg": shape for i in range(N_IMAGES)}
        drawn[new / f"{shape}.jpg"] = shape
    for path, shape in drawn.items():
        make_parents(path)
        with replacing(path) as temporary:  # which names the file if the disk is full
            draw_shape(shape, rng).save(temporary, "JPEG")


def weights_at_hand() -> str:
    """Return ``"imagenet"``, or ``"random"`` where those cannot be downloaded."""
    try:
        load_network(NetworkChoice())
    except DownloadError as error:
        logger.warning(error)
        logger.warning("continuing with random weights: more answers will be wrong")
        logger.warning("with the weights in a file of yours: make demo WEIGHTS=FILE")
        return "random"
    return "imagenet"


def run(name: str, *arguments: str | Path) -> None:
    """Print and run a command; end with its exit code where it fails."""
    command = [name, *map(str, arguments)]
    print(f"\n$ python {shlex.join(command)}", flush=True)
    code = subprocess.run([sys.executable, ROOT / name, *command[1:]]).returncode
    if code:
        raise SystemExit(code)


@script
def main(folder: str, weights: str | None = None) -> None:
    """Draw, extract, train and classify."""
    demo = Path(folder)
    features, model, page = demo / "features.hdf5", demo / "model.cpickle", demo / "report.html"
    draw_demo(demo / "images", demo / "new")
    weights = weights or weights_at_hand()
    for old in (features, Path(f"{features}.partial")):
        old.unlink(missing_ok=True)
    run("extract_features.py", "-d", demo / "images", "-o", features, "--weights", weights)
    run("train_model.py", "--db", features, "--model", model, "--report", page)
    run("classify_images.py", "--model", model, demo / "new")
    print(f"\nlook at {page.resolve()}")


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
