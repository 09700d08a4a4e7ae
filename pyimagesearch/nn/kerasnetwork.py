"""Compute a headless network with Keras, on whatever backend it has."""

import os
import tempfile
from pathlib import Path

import numpy as np

from pyimagesearch.nn.backend import import_keras, sees_accelerator
from pyimagesearch.nn.description import Description
from pyimagesearch.nn.keraslayers import cut_model, leaves
from pyimagesearch.nn.network import Network
from pyimagesearch.nn.preprocessing import preprocessing_of

# Activations of four images stay in a processor's cache: see benchmarks/README.md.
PROCESSOR_BATCH_SIZE = 4
TOKENS_BATCH_SIZE = 8  # of a ViT-S/14 on 2 cores: 13.4 images/s, 11.9 by 4, 13.1 by 32
SAVED = "network.keras"


class KerasNetwork:
    """A Keras network, called with batches of one shape only.

    See `pyimagesearch.nn.network.Network` for its attributes.

    Parameters
    ----------
    model : keras.Model
        The network, cut and pooled, with its weights.
    description : Description
        What it computes.
    batch_size : int
        The largest batch wanted.
    why : str
        Why Keras was chosen.
    on_processor : int
        The largest batch that a processor gets.
    whole : keras.Model or None
        What it was cut from, if only that can be saved: parts of KerasHub's networks cannot.
    """

    engine = "keras"
    concurrent = False
    independent = False  # kernels that sum in another order for another place in a batch

    def __init__(
        self,
        model,
        description: Description,
        batch_size: int,
        why: str,
        on_processor: int = PROCESSOR_BATCH_SIZE,
        whole=None,
    ):
        self.model = model
        self.whole = whole
        self.packages = ("keras-hub",) if whole is not None else ()  # beside Keras
        self.description = description
        self.why = why
        self.preprocess = preprocessing_of(description)
        self.batch_size = batch_size if sees_accelerator() else min(batch_size, on_processor)

    def __reduce__(self):
        """Pickle it as a saved network, to be computed in the same batches elsewhere."""
        import keras

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, SAVED)
            (self.whole or self.model).save(path)
            saved = path.read_bytes()
        return _arrived, (
            keras.backend.backend(),
            saved,
            self.description,
            self.batch_size,
            self.why,
            self.whole is not None,
        )

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Turn (b, height, width, 3) into float32 rows (b, n_features), for b <= batch_size."""
        n_images = len(batch)
        missing = self.batch_size - n_images
        if missing:
            # Another shape would be compiled anew, for the last batch alone.
            batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])
        features = self.model.predict_on_batch(batch)
        return np.asarray(features, np.float32)[:n_images].reshape(n_images, -1)


def why_not_finite(network: Network) -> str:
    """Return what may be wrong with a network that gives NaN or infinite features."""
    name = f"'{network.description.network}'"
    if not isinstance(
        network, KerasNetwork
    ):  # its weights have no NaN, and are in single precision
        return (
            f"{name} may have damaged weights, or expect another preprocessing, so that numbers "
            "grow beyond single precision (3.4e38); correct that, or leave the image out"
        )
    for layer in leaves(network.model):
        if layer.compute_dtype == "float16":
            return (
                f"layer '{layer.name}' of {name} computes in half precision (float16), whose "
                "numbers end at 65,504; save the network again with the dtype policy float32"
            )
    return (
        f"{name} may have damaged weights, compute in half precision, or expect another "
        "preprocessing; correct that, or leave the image out"
    )


def _arrived(
    backend: str,
    saved: bytes,
    description: Description,
    batch_size: int,
    why: str,
    is_whole: bool = False,
):
    """Load a network that was pickled, with the backend that it was pickled with."""
    os.environ.setdefault("KERAS_BACKEND", backend)
    # A worker has set how many threads it may use, and may compute for others, too.
    keras = import_keras(os.cpu_count() or 1, for_others=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, SAVED)
        path.write_bytes(saved)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if is_whole:
        model = cut_model(model, description.layer, description.pooling)
    network = KerasNetwork(model, description, batch_size, why)
    network.batch_size = batch_size  # others would give other last digits
    return network
