"""What `networks.py` does otherwise with a preset of KerasHub, given as a folder or by its name."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pyimagesearch.nn import presets
from pyimagesearch.nn.backend import import_keras_hub

BATCH_SIZES = (1, 2, 4, 8, 16, 32)  # of which KerasHub's predict gets the best one
N_TIMED = 32  # images for each
# Presets with random weights that are made here, since KerasHub's own come from Kaggle.
RANDOM = {
    "random_dinov2_small": {
        "image_shape": (224, 224, 3),
        "position_embedding_shape": (518, 518, 3),
        "patch_size": 14,
        "num_layers": 12,
        "hidden_dim": 384,
        "num_heads": 6,
        "intermediate_dim": 1536,
    }
}
# ImageNet's, for pixels from 0 to 255, as DINOv2's published presets have them.
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def is_preset(name: str) -> bool:
    """Return whether a name or a path is that of a preset."""
    is_known = name in RANDOM or name in presets.image_presets()
    return is_known or presets.folder_of(name) is not None


def folder_of(name: str, parent: str) -> Path:
    """Return the folder of a preset, which is fetched or made if need be."""
    if name not in RANDOM:
        return presets.find(name).folder
    folder = Path(parent, name)
    if not folder.exists():
        keras_hub = import_keras_hub(jobs=2)
        config = RANDOM[name]
        keras_hub.models.DINOV2Backbone(**config).save_to_preset(str(folder))
        keras_hub.layers.DINOV2ImageConverter(
            image_size=config["image_shape"][:2],
            scale=(1 / 255 / STD).tolist(),
            offset=(-MEAN / STD).tolist(),
            interpolation="bicubic",
            antialias=True,
        ).save_to_preset(str(folder))
    return folder


def size_of(folder: Path) -> int:
    """Return the height of a preset's images."""
    return json.loads((folder / presets.CONVERTER).read_bytes())["config"]["image_size"][0]


def by_hand(folder: Path, dtype: str) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return KerasHub's own converter and predict: of images, so many at a time."""
    keras_hub = import_keras_hub(jobs=2)
    import keras

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    config = json.loads((folder / presets.CONVERTER).read_bytes())
    config["config"]["dtype"] = dtype
    converter = keras.saving.deserialize_keras_object(config)
    backbone = keras_hub.models.Backbone.from_preset(str(folder), dtype=dtype)
    if not len(backbone.inputs) == len(backbone.outputs) == 1:
        raise SystemExit(
            f"'{folder}': expected a preset that takes images alone, and gives one array"
        )

    def features(pixels: np.ndarray, batch_size: int) -> np.ndarray:
        prepared = np.asarray(converter(pixels.astype(dtype)))
        if isinstance(backbone.input, dict):
            prepared = {"images": prepared}
        given = backbone.predict(prepared, batch_size=batch_size, verbose=0)
        return given.reshape(len(pixels), -1)

    return features


def best_batch_size(features: Callable[[np.ndarray, int], np.ndarray], pixels: np.ndarray) -> int:
    """Return how many images at a time KerasHub's predict takes best."""
    many = pixels[np.arange(N_TIMED) % len(pixels)]
    seconds = {}
    for batch_size in BATCH_SIZES:
        features(many[:batch_size], batch_size)  # has it traced
        started = time.perf_counter()
        features(many, batch_size)
        seconds[batch_size] = time.perf_counter() - started
    return min(seconds, key=seconds.get)
