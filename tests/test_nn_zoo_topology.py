"""Layers of the networks of keras.applications: kept in a cache, and read as Keras has them."""

import functools
import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from photographs import photographs, relative_difference

from pyimagesearch.nn import NetworkChoice, keraslayers, list_layers, load_network, zoo
from pyimagesearch.nn.graph import layer_nodes, layer_paths
from pyimagesearch.nn.kerasmodel import fill_with_random
from pyimagesearch.nn.zoo import topology
from pyimagesearch.nn.zoo.topology import Topology, topology_of, zoo_topology
from pyimagesearch.nn.zoo.vgg import vgg_topology
from pyimagesearch.nn.zoo.weights import unfilled

# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL, SIZE = zoo.ZOO["MobileNetV2"], (32, 32)
# One of each make: the others have the same kinds of layers, more often or with more channels.
MAKES = {
    "ResNet50": 33,
    "ResNet50V2": 33,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
    "MobileNet": 33,
    "MobileNetV2": 33,
    "NASNetMobile": 34,
    "DenseNet121": 33,
    "MobileNetV3Small": 33,
    "EfficientNetB0": 33,
    "EfficientNetV2B0": 33,
    "ConvNeXtTiny": 33,
}


@functools.cache
def built(name: str):
    """Return a network as Keras builds it for small images."""
    return zoo.build(zoo.ZOO[name], (MAKES[name], MAKES[name]))


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "pyimagesearch" / "networks"


@pytest.fixture
def no_keras(monkeypatch):
    """Return what forbids to have Keras build a network."""

    def build(*_):
        raise AssertionError("Keras has built a network")

    return lambda: monkeypatch.setattr(topology, "_built", build)


@pytest.fixture
def builds(monkeypatch) -> list[tuple[str, tuple[int, int]]]:
    """What Keras is asked to build, which takes it a second: so it builds one, of whatever size."""
    asked = []

    def build(network, size, published, jobs):
        asked.append((network.name, size))
        return topology_of(built(network.name))

    monkeypatch.setattr(topology, "_built", build)
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKES)
def test_each_make_of_network_is_translated_whole(name):
    size, model = (MAKES[name], MAKES[name]), built(name)
    found = topology_of(model)
    arrays = functools.partial(lambda filled, path: filled.get(path, []), unfilled(found))
    nodes, shapes = layer_nodes(found.config, arrays, size), keraslayers.layer_shapes(model)
    assert {path: node.shape for path, node in nodes.items()} == shapes
    assert list(nodes) == list(shapes) == layer_paths(found.config)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "pooling"),
    [
        pytest.param("MobileNetV2", "block_12_add", "none", id="pads that depend on the size"),
        pytest.param("NASNetMobile", "normal_concat_5", "avg", id="crops and separable ones"),
        pytest.param("ConvNeXtTiny", None, "max", id="layer normalisation"),
        pytest.param("DenseNet121", "conv3_block2_concat", "none", id="normalised first"),
        pytest.param("InceptionResNetV2", "block35_2_ac", "avg", id="scaled sums"),
    ],
)
def test_a_network_cut_anywhere_gives_what_keras_gives(name, layer, pooling, cache, monkeypatch):
    import keras

    size, model = (MAKES[name], MAKES[name]), built(name)
    monkeypatch.setattr(topology, "_built", lambda *_: topology_of(model))
    choice = NetworkChoice(name, layer, pooling, size, weights="random", preprocessing="none")
    network = load_network(choice, "openvino")
    pixels = photographs(2, size[0])
    rows = network(network.preprocess(pixels))
    assert fill_with_random(model) == network.description.weights.sha256
    output = model.get_layer(network.description.layer).output
    expected = np.asarray(keras.Model(model.inputs[0], output)(pixels.astype(np.float32)))
    if pooling != "none":
        expected = getattr(expected, {"avg": "mean", "max": "max"}[pooling])((1, 2))
    assert relative_difference(rows, expected.reshape(2, -1)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "VGG19"])
def test_the_layers_that_are_told_without_keras_are_those_of_keras(name):
    own, theirs = vgg_topology(name, SIZE), topology_of(zoo.build(zoo.ZOO[name], SIZE))
    assert own.variables == theirs.variables
    assert layer_paths(own.config) == layer_paths(theirs.config)


def test_keras_builds_a_network_once(cache, builds):
    first = zoo_topology(SMALL, SIZE)
    assert zoo_topology(SMALL, SIZE) == first
    assert builds == [("MobileNetV2", SIZE)]
    (kept,) = cache.iterdir()
    assert kept.name.startswith("MobileNetV2-32x32-any-keras-3.")
    assert Topology.from_json(first.to_json()) == first


def test_another_size_or_version_is_another_network(cache, builds, monkeypatch):
    for size in (SIZE, (33, 33), SIZE):
        zoo_topology(SMALL, size)
    monkeypatch.setattr(topology.importlib.metadata, "version", lambda package: "3.99")
    zoo_topology(SMALL, SIZE)
    assert builds == [("MobileNetV2", SIZE), ("MobileNetV2", (33, 33)), ("MobileNetV2", SIZE)]
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", ["cut", "altered", "of another time"])
def test_a_damaged_file_of_the_cache_is_made_again(cache, builds, damage):
    first = zoo_topology(SMALL, SIZE)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    damaged = {
        "cut": whole[: len(whole) // 2],
        "altered": whole.partition(b"\n")[0] + b"\n" + gzip.compress(b"{}"),
        "of another time": b"{}",
    }[damage]
    kept.write_bytes(damaged)
    assert zoo_topology(SMALL, SIZE) == first
    assert kept.read_bytes() == whole
    assert len(builds) == 2


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, builds, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert list(list_layers(NetworkChoice("MobileNetV2", size=SIZE)))[-1] == "out_relu"


@pytest.mark.slow
def test_published_weights_are_asked_for_where_keras_asks(cache, no_keras):
    found = zoo_topology(zoo.ZOO["EfficientNetB0"], SIZE, published=True)
    assert found.url.endswith("/efficientnetb0_notop.h5")
    assert len(found.digest) in (32, 64)
    kinds = [layer["class_name"] for layer in found.config["config"]["layers"]]
    assert kinds.count("Rescaling") == 2  # one more than for any other weights
    no_keras()
    assert zoo_topology(zoo.ZOO["EfficientNetB0"], SIZE, published=True) == found


@pytest.mark.slow
def test_from_the_second_time_on_keras_is_not_imported(cache):
    choice = NetworkChoice("MobileNetV2", size=SIZE, weights="random", pooling="avg")
    assert load_network(choice).engine == "openvino"
    program = (
        "import sys, numpy as np\n"
        "from pyimagesearch.nn import NetworkChoice, load_network\n"
        "choice = NetworkChoice('MobileNetV2', size=(32, 32), weights='random', pooling='avg')\n"
        "network = load_network(choice)\n"
        "network(np.zeros((1, 32, 32, 3), np.float32))\n"
        "print(network.engine, 'keras' in sys.modules)\n"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    assert done.stdout == "openvino False\n"
