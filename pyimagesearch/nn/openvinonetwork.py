"""Compute a graph with OpenVINO, on as many threads as call."""

import threading

import numpy as np

from pyimagesearch.nn.description import Description
from pyimagesearch.nn.graph.node import Graph, Part
from pyimagesearch.nn.graph.openvinomodel import openvino_model
from pyimagesearch.nn.preprocessing import preprocessing_of
from pyimagesearch.utils.arguments import available_cores
from pyimagesearch.utils.memory import large_blocks_returned

BATCH_SIZE = 4  # images that a thread takes at a time; each is computed by itself


class OpenVINONetwork:
    """A graph that several threads compute at once, one image and one core each.

    So an image's features depend neither on its neighbours nor on the number
    of threads. Calls release Python's global lock. See
    `pyimagesearch.nn.network.Network` for the attributes.

    OpenVINO takes the graph at the first call, and the graph is dropped: until
    then the network can be pickled.

    Parameters
    ----------
    graph : Graph
        The network, cut and pooled.
    description : Description
        What it computes.
    why : str
        Why OpenVINO was chosen.
    """

    engine = "openvino"
    concurrent = True
    independent = True
    batch_size = BATCH_SIZE

    def __init__(self, graph: Graph, description: Description, why: str):
        self.description = description
        self.why = why
        self.preprocess = preprocessing_of(description)
        self._graph: Graph | None = graph
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def __reduce__(self):
        """Pickle it as a graph: OpenVINO's own form of it cannot be pickled."""
        if self._graph is None:
            raise TypeError("a network that has computed keeps no arrays to pickle")
        return OpenVINONetwork, (self._graph, self.description, self.why)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Turn (b, height, width, 3) into float32 rows (b, n_features)."""
        rows = np.empty((len(batch), self.description.n_features), np.float32)
        request = self._request()
        for image, row in zip(batch, rows, strict=True):
            request.infer([np.ascontiguousarray(image[None])], share_inputs=True)
            row[:] = request.get_output_tensor(0).data.ravel()
        return rows

    def _request(self):
        """Return what this thread computes with."""
        if not hasattr(self._of_thread, "request"):
            with self._lock:
                if self._graph is not None:  # else another thread was faster
                    parts, self._graph = self._graph.parts(), None
                    with large_blocks_returned():
                        self._compiled = _compiled(parts)
                self._of_thread.request = self._compiled.create_infer_request()
        return self._of_thread.request


def _compiled(parts: list[Part]):
    import openvino
    from openvino.properties import hint

    cores = available_cores()
    return openvino.Core().compile_model(
        openvino_model(parts),
        "CPU",
        {
            # Else bfloat16 on processors that have it, which is wrong in the third digit.
            hint.inference_precision(): openvino.Type.f32,
            hint.execution_mode(): hint.ExecutionMode.ACCURACY,
            # A thread for each image, wherever the system wants it: other programs compute, too.
            openvino.properties.num_streams(): cores,
            openvino.properties.inference_num_threads(): cores,
            hint.enable_cpu_pinning(): False,
        },
    )
