"""Import Keras and its backend, quietly and only if they are needed."""

import contextlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line
from pyimagesearch.utils.temporary import temporary_folder

# What Keras imports for its plots and for its wrappers of scikit-learn, which nothing here uses.
UNUSED_BY_US = ("matplotlib", "sklearn")
ACCELERATOR_DEVICES = ("nvidia*", "kfd", "dxg", "accel*", "vfio/[0-9]*")  # below /dev


def import_keras(jobs: int, for_others: bool = False):
    """Import Keras and its backend for a number of threads, quietly.

    Settings of a ``keras.json`` other than the backend are undone: another data
    format would change the order of the features, half precision would round
    them.

    Parameters
    ----------
    jobs : int
        How many threads it may use on a processor.
    for_others : bool
        Whether the process runs other code, too, which may need all of Keras.

    Raises
    ------
    InputError
        If the environment or a ``keras.json`` asks for a backend that cannot be used.
    """
    # TensorFlow reads these when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(jobs))
    os.environ.setdefault("OMP_NUM_THREADS", str(jobs))
    try:
        with _quiet_stderr():
            with contextlib.nullcontext() if for_others else _left_out(UNUSED_BY_US):
                import keras
            keras.ops.zeros(1)  # the backend logs its first messages with its first array
    except InputError:
        raise
    except Exception as error:
        if reason := _why_no_keras(error):
            raise InputError(f"cannot import Keras {reason}") from error
        raise
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    return keras


def import_keras_hub(jobs: int):
    """Import KerasHub, and what `import_keras` imports, quietly.

    Raises
    ------
    InputError
        If it is not installed, or does not match the other packages.
    """
    import_keras(jobs)
    try:
        with _quiet_stderr():
            import keras_hub
    except ImportError as error:
        raise InputError(
            f"cannot import KerasHub: {first_line(error)}; pip install -r requirements-hub.txt"
        ) from error
    return keras_hub


def _why_no_keras(error: Exception) -> str | None:
    """Return which of a user's settings has kept Keras from being imported; None if none has."""
    path, backend = _settings_file(), os.environ.get("KERAS_BACKEND")
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        settings = {}
    except OSError as unreadable:
        return f"with its settings in '{path}': {unreadable.strerror}; correct or delete that file"
    except ValueError:
        settings = {}  # Keras ignores such a file, too
    if not isinstance(settings, dict):
        return f"with its settings in '{path}': expected an object, {{...}}; delete that file"
    if isinstance(error, ImportError) or "backend" in str(error):
        if backend:
            what, end = f"KERAS_BACKEND '{backend}'", "unset KERAS_BACKEND"
        elif "backend" in settings:
            what, end = f"the backend '{settings['backend']}' of '{path}'", "delete that file"
        else:
            return None
        return f"with {what}: {first_line(error)}; install it, or {end}"
    if isinstance(error, (TypeError, ValueError)) and settings:
        return f"with its settings in '{path}': {first_line(error)}; correct or delete that file"
    return None


def _settings_file() -> Path:
    """Return where Keras looks for its settings (keras 3.15)."""
    home = Path("~").expanduser()
    base = home if os.access(home, os.W_OK) else Path("/tmp")
    return Path(os.environ.get("KERAS_HOME", base / ".keras")).expanduser() / "keras.json"


def accelerator_devices() -> list[str]:
    """List the device files of GPUs and TPUs, without importing anything.

    An empty list avoids the import of TensorFlow for a simple network; otherwise
    Keras is asked whether it can use what is there.
    """
    if platform.system() == "Darwin":
        return ["metal"]
    return [str(path) for pattern in ACCELERATOR_DEVICES for path in Path("/dev").glob(pattern)]


def sees_accelerator() -> bool:
    """Return whether Keras, once it is imported, puts its arrays on a GPU or TPU."""
    import keras

    return "cpu" not in str(getattr(keras.ops.zeros(1), "device", "cpu")).lower()


@contextlib.contextmanager
def _left_out(packages: tuple[str, ...]) -> Iterator[None]:
    """Have what is imported find that packages are not installed, if they are not imported yet.

    Of the 4.6 s that Keras takes on 2 cores this saves 1.7 s (keras 3.15.1).
    """
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None: importing it raises ModuleNotFoundError
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what native libraries write to stderr; show it if all fails.

    TensorFlow's first lines come from C++ and ignore every setting.
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
