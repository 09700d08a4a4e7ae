"""Import Keras and its backend, quietly and only if they are needed."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.files import temporary_folder

ACCELERATOR_DEVICES = ("nvidia*", "kfd", "dxg", "accel*", "vfio/[0-9]*")  # below /dev


def import_keras(jobs: int):
    """Import Keras and its backend for a number of threads, without the noise."""
    # TensorFlow reads these when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(jobs))
    os.environ.setdefault("OMP_NUM_THREADS", str(jobs))
    try:
        with _quiet_stderr():
            import keras

            keras.ops.zeros(1)  # the backend's first words come with its first array
    except (ImportError, ValueError) as error:
        backend = os.environ.get("KERAS_BACKEND")
        if backend is None or isinstance(error, InputError):
            raise
        raise InputError(
            f"cannot import Keras with KERAS_BACKEND '{backend}': {first_line(error)}; "
            "install it, or unset KERAS_BACKEND"
        ) from error
    return keras


def accelerator_devices() -> list[str]:
    """List the device files of GPUs and TPUs, without importing anything.

    An empty list spares the import of TensorFlow for a plain chain; otherwise
    Keras is asked whether it can use what is there.
    """
    if platform.system() == "Darwin":
        return ["metal"]
    return [str(path) for pattern in ACCELERATOR_DEVICES for path in Path("/dev").glob(pattern)]


def sees_accelerator() -> bool:
    """Tell whether Keras, once it is imported, puts its arrays on a GPU or TPU."""
    import keras

    return "cpu" not in str(getattr(keras.ops.zeros(1), "device", "cpu")).lower()


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what native libraries write to stderr; show it if all fails.

    TensorFlow's first lines come from C++ and heed no setting.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with temporary_folder() as folder, (folder / "stderr").open("w+b") as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(saved, log.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
