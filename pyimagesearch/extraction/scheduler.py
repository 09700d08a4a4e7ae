"""Ask what answers at an address whether it is a Dask scheduler.

Dask's own client waits without end for the first message of what accepted its connection, and
allocates as much memory as the first bytes of another protocol may happen to ask for.
"""

from distributed import Security
from distributed.comm import CommClosedError, connect
from distributed.comm.core import FatalCommClosedError
from distributed.core import send_recv
from distributed.utils import LoopRunner

from pyimagesearch.utils import InputError
from pyimagesearch.utils.errors import first_line

CONNECT_S = 6.5  # until a connection must have been accepted
ANSWER_S = 7.0  # from the start until a scheduler must have identified itself


def require_scheduler(address: str, given: str) -> None:
    """Refuse an address where no scheduler answers in time.

    Parameters
    ----------
    address : str
        As from `pyimagesearch.extraction.scheduler_address`.
    given : str
        What the user gave for it, for messages.

    Raises
    ------
    InputError
        If nothing answers, or something else does.
    """
    try:
        identity = LoopRunner().run_sync(_identity, address, callback_timeout=ANSWER_S)
        kind = None if "workers" in identity else identity["type"]
    except TimeoutError as error:
        raise _another_service(given, "it does not answer") from error
    except FatalCommClosedError as error:  # of TLS
        raise _another_service(given, first_line(error)) from error
    except CommClosedError as error:
        raise _another_service(given, "it closes the connection") from error
    except OSError as error:
        raise InputError(
            f"no Dask scheduler answers at '{given}': {first_line(error)}; correct the address, or "
            "start one with: dask scheduler"
        ) from error
    except Exception as error:  # of another protocol, read as Dask's: any
        raise _another_service(given, "it uses another protocol") from error
    if kind:
        raise _another_service(given, f"it is a {kind}")


async def _identity(address: str) -> dict[str, object]:
    comm = await connect(address, CONNECT_S, **Security().get_connection_args("client"))
    try:
        return await send_recv(comm, op="identity")
    finally:
        comm.abort()


def _another_service(given: str, why: str) -> InputError:
    return InputError(
        f"the service at '{given}' is not a Dask scheduler ({why}): expected the scheduler's own "
        "port, 8786 by default, not that of its dashboard or a worker; correct the address"
    )
