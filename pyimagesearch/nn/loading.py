"""Choose an engine, and load the network while the caller does other things."""

import contextlib
import importlib.util
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from pyimagesearch.nn import vgg16
from pyimagesearch.nn.chain import Layer, plain_chain
from pyimagesearch.nn.network import Description, Network
from pyimagesearch.nn.weights import Weights, check_weights, load_into
from pyimagesearch.utils import InputError

ENGINES = ("auto", "keras", "ncnn")
ACCELERATOR_DEVICES = ("nvidia*", "kfd", "dxg", "accel*", "vfio/[0-9]*")  # below /dev


def start_loading(
    weights: str = "imagenet", engine: str = "auto", batch_size: int = 32, jobs: int = 1
) -> Callable[[], Network]:
    """Begin to load the headless VGG16; return a function that waits for it.

    Keras builds the network and loads the weights in every case. Where ncnn
    is to compute it, Keras does so in a process of its own, beside the caller,
    and its 700 MB go with that process.

    Parameters
    ----------
    weights : str
        ``"imagenet"``, ``"random"`` or the path of a file.
    engine : str
        One of `ENGINES`. ``"auto"`` is Keras where it sees an accelerator,
        else ncnn where it is installed and can compute the network.
    batch_size : int
        The largest batch wanted.
    jobs : int
        How many threads the network may use on a processor.

    Returns
    -------
    callable
        Called once, returns the `Network`. It raises InputError if the weights
        cannot be had or do not fit, or if the engine cannot compute the
        network.

    Raises
    ------
    InputError
        If there is no such weights file, or ncnn is asked for and missing.
    """
    check_weights(weights)
    installed = importlib.util.find_spec("ncnn") is not None
    if engine == "ncnn" and not installed:
        raise InputError("engine 'ncnn' is not installed: pip install ncnn, or use --engine keras")
    if engine == "keras" or not installed:
        why = "as asked" if engine == "keras" else "ncnn is not installed"
        return lambda: _in_this_process(weights, batch_size, jobs, why)
    if engine == "auto" and accelerator_devices():
        return lambda: _whichever_fits(weights, batch_size, jobs)
    why = "as asked" if engine == "ncnn" else "no accelerator, and a plain chain of convolutions"
    return _in_another_process(weights, batch_size, jobs, engine, why)


def accelerator_devices() -> list[str]:
    """List the device files of GPUs and TPUs, without importing anything.

    An empty list spares the import of TensorFlow in this process; otherwise
    Keras is asked whether it can use what is there.
    """
    if platform.system() == "Darwin":
        return ["metal"]
    return [str(path) for pattern in ACCELERATOR_DEVICES for path in Path("/dev").glob(pattern)]


def _in_this_process(weights: str, batch_size: int, jobs: int, why: str) -> Network:
    from pyimagesearch.nn.kerasnetwork import KerasNetwork

    model, loaded = _load_keras(weights, jobs)
    return KerasNetwork(model, _describe(loaded), batch_size, why)


def _whichever_fits(weights: str, batch_size: int, jobs: int) -> Network:
    from pyimagesearch.nn.kerasnetwork import KerasNetwork, sees_accelerator
    from pyimagesearch.nn.ncnnnetwork import NcnnNetwork

    model, loaded = _load_keras(weights, jobs)
    if sees_accelerator(model):
        return KerasNetwork(model, _describe(loaded), batch_size, "Keras sees an accelerator")
    chain = plain_chain(model)
    if chain is None:
        return KerasNetwork(model, _describe(loaded), batch_size, "not a plain chain")
    return NcnnNetwork(chain, _describe(loaded), "Keras sees no accelerator")


def _in_another_process(
    weights: str, batch_size: int, jobs: int, engine: str, why: str
) -> Callable[[], Network]:
    from pyimagesearch.nn.ncnnnetwork import NcnnNetwork

    receive = _start_process(weights, jobs)

    def finish() -> Network:
        chain, loaded = receive()
        if chain is not None:
            return NcnnNetwork(chain, _describe(loaded), why)
        if engine == "ncnn":
            raise InputError("engine 'ncnn' computes plain chains only: use --engine keras")
        return _in_this_process(weights, batch_size, jobs, "not a plain chain of convolutions")

    return finish


def _describe(weights: Weights) -> Description:
    return Description(
        name=vgg16.NAME,
        layer=vgg16.LAYER,
        input_size=vgg16.INPUT_SIZE,
        feature_shape=vgg16.FEATURE_SHAPE,
        preprocessing="RGB, 224 x 224 by nearest neighbour, then BGR less ImageNet's mean",
        weights=weights,
    )


def _load_keras(weights: str, jobs: int):
    """Import Keras, build the network and load its weights, without the noise."""
    # TensorFlow reads these when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(jobs))
    os.environ.setdefault("OMP_NUM_THREADS", str(jobs))
    with _quiet_stderr():
        model = vgg16.build()
    return model, load_into(model, weights)


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what native libraries write to stderr; show it if all fails.

    TensorFlow's first lines come from C++ and heed no setting.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as log:
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


def _start_process(weights: str, jobs: int) -> Callable[[], tuple]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_chain, args=(sender, weights, jobs), daemon=True)
    # Ctrl-C is the caller's affair: a process started with it blocked never sees it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    sender.close()

    def receive():
        try:
            error, n_layers, loaded = receiver.recv()
            chain = [receiver.recv() for _ in range(n_layers)]
        except EOFError as error:
            process.join()
            raise InputError(
                f"the process that loads the network ended with exit code {process.exitcode}: "
                "-9 means killed, mostly for want of memory; free some, or use --engine keras"
            ) from error
        process.join()
        if error is not None:
            raise error
        return chain or None, loaded

    return receive


def _load_chain(weights: str, jobs: int) -> tuple[list[Layer] | None, Weights]:
    model, loaded = _load_keras(weights, jobs)
    return plain_chain(model), loaded


def _send_chain(sender, weights: str, jobs: int) -> None:
    """Load the network and send its arrays: what the other process runs."""
    with contextlib.suppress(BrokenPipeError):  # the caller was killed: nobody is left to tell
        for message in _messages(weights, jobs):
            sender.send(message)
    sender.close()
    # TensorFlow takes 0.7 s to put its things away, and the caller waits for the memory.
    os._exit(0)


def _messages(weights: str, jobs: int) -> Iterator[tuple | Layer]:
    """Yield the error, the count of layers and the weights' name; then the layers.

    One by one, since the pickle of all would be as large as they are.
    """
    try:
        chain, loaded = _load_chain(weights, jobs)
    except InputError as error:
        yield error, 0, None
    except Exception as error:
        error.add_note(traceback.format_exc())  # where it happened, for the caller's traceback
        yield error, 0, None
    else:
        yield None, len(chain or ()), loaded
        yield from chain or ()
