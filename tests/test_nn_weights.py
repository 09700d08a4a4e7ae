"""Weights of every kind, loaded number by number or not at all, in small networks."""

import errno
import hashlib
import os
import socket
import sys
import threading
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import run_on_a_terminal

from pyimagesearch.nn import Weights, kerasmodel, vgg, weights, zoo
from pyimagesearch.nn.topology import topology_of, zoo_topology
from pyimagesearch.nn.zooweights import load_zoo
from pyimagesearch.utils import InputError, progress

ROOT = Path(__file__).parents[1]
# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = zoo.ZOO["MobileNet"]
SIZE = (32, 32)


@pytest.fixture
def narrow(monkeypatch) -> None:
    """VGG16 and VGG19 with few channels, so that their files are small."""
    monkeypatch.setattr(vgg, "WIDTHS", (2, 3, 4, 5, 5))


def narrow_model(name: str = "VGG16", head: bool = False, seed: int = 1):
    """Build what `narrow` makes of a network with Keras, layers named as Keras does."""
    import keras

    x = start = keras.Input((32, 32, 3))
    _, *layers = vgg.vgg_topology(name, SIZE).config["config"]["layers"]
    for layer in layers:
        layer_name = layer["config"]["name"]
        if layer_name.endswith("pool"):
            x = keras.layers.MaxPooling2D(2, name=layer_name)(x)
        else:
            n_out = layer["config"]["filters"]
            x = keras.layers.Conv2D(n_out, 3, padding="same", name=layer_name)(x)
    if head:
        x = keras.layers.Dense(2, name="predictions")(keras.layers.Flatten(name="flatten")(x))
    model = keras.Model(start, x)
    return with_numbers(model, seed)


def load_vgg(weights: str):
    """Return the arrays of each convolution of VGG16, and their name and digest."""
    topology, filled, loaded = load_zoo(
        zoo.ZOO["VGG16"], lambda published: vgg.vgg_topology("VGG16", SIZE), weights
    )
    return [filled[path] for path in topology.variables], loaded


def load_small(weights: str):
    """Return the arrays of each layer of the small network, and their name and digest."""
    topology, filled, loaded = load_zoo(
        SMALL, lambda published: zoo_topology(SMALL, SIZE, published), weights
    )
    return [filled[path] for path in topology.variables], loaded


def with_numbers(model, seed: int = 1):
    """Give a network weights that differ in every layer, and none of which is negative."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype(variable.dtype))
    return model


def write_first_format(model, path: Path) -> None:
    """Write the file that Keras's own download is: names and arrays, layer by layer."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            variables = layer.trainable_weights + layer.non_trainable_weights
            names = [f"{layer.name}_{i}:0".encode() for i in range(len(variables))]
            group.attrs["weight_names"] = names
            for name, variable in zip(names, variables, strict=True):
                group[name.decode()] = variable.numpy()


@pytest.fixture(scope="module")
def small():
    """A small network of Keras, with numbers of its own."""
    return with_numbers(zoo.build(SMALL, SIZE))


@pytest.fixture(scope="module")
def sibling():
    """A network of Keras of another make."""
    return zoo.build(zoo.ZOO["MobileNetV2"], SIZE)


SAVERS = {
    "first.h5": write_first_format,
    "saved.h5": lambda model, path: model.save(path),
    "saved.weights.h5": lambda model, path: model.save_weights(path),
    "saved.keras": lambda model, path: model.save(path),
}
every_kind = pytest.mark.parametrize("name", SAVERS)


@every_kind
@pytest.mark.parametrize("head", [False, True], ids=["base", "whole"])
def test_every_kind_of_file_fills_a_chain_number_by_number(tmp_path, narrow, name, head):
    path = tmp_path / name
    model = narrow_model(head=head)
    SAVERS[name](model, path)
    arrays, loaded = load_vgg(str(path))
    expected = [layer.get_weights() for layer in model.layers if "conv" in layer.name]
    for got, layer in zip(arrays, expected, strict=True):
        for array, same in zip(got, layer, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, same)
    assert loaded == Weights(name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.slow
@every_kind
def test_every_kind_of_file_fills_a_network_of_keras_number_by_number(tmp_path, small, name):
    path = tmp_path / name
    SAVERS[name](small, path)
    other, loaded = kerasmodel.zoo_model(SMALL, SIZE, str(path))
    for got, expected in zip(other.weights, small.weights, strict=True):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
    assert loaded == Weights(name, hashlib.sha256(path.read_bytes()).hexdigest())


@every_kind
def test_every_kind_of_file_is_read_without_keras_number_by_number(tmp_path, small, name):
    path = tmp_path / name
    SAVERS[name](small, path)
    arrays, loaded = load_small(str(path))
    layers = [layer for layer in small.layers if layer.weights]
    for got, layer in zip(arrays, layers, strict=True):
        for array, expected in zip(got, layer.weights, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, expected.numpy())
    assert loaded == Weights(name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.slow
@every_kind
def test_networks_within_a_network_are_read_without_keras(tmp_path, name):
    model = with_numbers(zoo.build(zoo.ZOO["ConvNeXtTiny"], SIZE))
    path = tmp_path / name
    SAVERS[name](model, path)
    _, filled, _ = load_zoo(
        zoo.ZOO["ConvNeXtTiny"], lambda published: topology_of(model), str(path)
    )
    got = [array for found in filled.values() for array in found]
    for array, expected in zip(got, model.weights, strict=True):
        np.testing.assert_array_equal(array, expected.numpy())


@pytest.mark.parametrize("name", ["saved.h5", "saved.keras"])
def test_a_network_with_its_head_fills_one_without(tmp_path, name):
    import keras

    whole = with_numbers(keras.applications.MobileNet(input_shape=(32, 32, 3), weights=None))
    whole.save(tmp_path / name)
    other, _ = kerasmodel.zoo_model(SMALL, SIZE, str(tmp_path / name))
    read, _ = load_small(str(tmp_path / name))
    arrays = [array for found in read for array in found]
    for got, again, expected in zip(other.weights, arrays, whole.weights, strict=False):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
        np.testing.assert_array_equal(again, expected.numpy())


@every_kind
def test_the_weights_of_a_sibling_are_refused_by_a_chain(tmp_path, narrow, name):
    path = tmp_path / name
    SAVERS[name](narrow_model("VGG19"), path)
    with pytest.raises(InputError, match=r"damaged or not VGG16's") as caught:
        load_vgg(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@every_kind
def test_the_weights_of_a_sibling_are_refused_by_a_network_of_keras(tmp_path, sibling, name):
    path = tmp_path / name
    SAVERS[name](sibling, path)
    for load in (lambda path: kerasmodel.zoo_model(SMALL, SIZE, path), load_small):
        with pytest.raises(InputError, match=r"damaged or not MobileNet's") as caught:
            load(str(path))
        assert "\n" not in str(caught.value)


@every_kind
def test_a_file_cut_short_is_refused(tmp_path, narrow, name):
    path = tmp_path / name
    SAVERS[name](narrow_model(), path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"damaged or not VGG16's"):
        load_vgg(str(path))
    for load in (lambda path: kerasmodel.zoo_model(SMALL, SIZE, path), load_small):
        with pytest.raises(InputError, match=r"damaged or not MobileNet's"):
            load(str(path))


def test_a_group_in_the_place_of_an_array_is_refused(tmp_path, narrow):
    path = tmp_path / "first.h5"
    write_first_format(narrow_model(), path)
    with h5py.File(path, "r+") as file:
        (name,) = (name for name in file["block1_conv1"] if name.endswith("_0:0"))
        del file["block1_conv1"][name]
        file["block1_conv1"].create_group(name)
    with pytest.raises(InputError, match=r"first\.h5' is damaged or not VGG16's"):
        load_vgg(str(path))


def test_a_full_temporary_folder_is_not_the_fault_of_the_file(tmp_path, narrow, monkeypatch):
    path = tmp_path / "saved.keras"
    narrow_model().save(path)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extract", fail)
    said = r"cannot write in the temporary folder '.*': No space left on device; .*TMPDIR"
    with pytest.raises(InputError, match=said):
        load_vgg(str(path))
    with pytest.raises(InputError, match=said), weights.named_misfit(path, "VGG16"):
        fail()


def test_without_a_home_folder_keras_home_is_enough(keras_home, monkeypatch):
    def no_home(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(
        Path, "expanduser", lambda path: no_home(path) if "~" in str(path) else path
    )
    monkeypatch.setattr(Path, "home", lambda: no_home(None))
    assert weights.keras_home() == keras_home
    monkeypatch.delenv("KERAS_HOME")
    with pytest.raises(InputError, match=r"home directory; set KERAS_HOME or give --weights"):
        weights.keras_home()


def test_a_file_without_one_layer_is_refused(tmp_path, narrow):
    path = tmp_path / "first.h5"
    write_first_format(narrow_model(), path)
    with h5py.File(path, "r+") as file:
        names = [name for name in file.attrs["layer_names"] if "block5_conv2" not in str(name)]
        file.attrs["layer_names"] = names
    with pytest.raises(InputError, match="some layers are missing"):
        load_vgg(str(path))


@pytest.mark.slow
def test_a_number_that_is_not_finite_is_refused(tmp_path, narrow):
    for model, load in (
        (narrow_model(), load_vgg),
        (zoo.build(SMALL, SIZE), load_small),
        (zoo.build(SMALL, SIZE), lambda path: kerasmodel.zoo_model(SMALL, SIZE, path)),
    ):
        path = tmp_path / "first.h5"
        write_first_format(model, path)
        with h5py.File(path, "r+") as file:
            first = next(group for group in file.values() if len(group))
            next(iter(first.values()))[(0,) * 4] = np.nan
        with pytest.raises(InputError, match="not finite"):
            load(str(path))


def test_random_weights_of_a_chain_are_he_initialised_and_those_of_keras_too():
    arrays, drawn = load_vgg("random")
    for kernel, bias in arrays:
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / kernel[..., 0].size), rtol=0.05)
        assert not bias.any()
    model = zoo.build(zoo.ZOO["VGG16"], SIZE)
    assert kerasmodel.fill_with_random(model) == drawn.sha256
    np.testing.assert_array_equal(model.get_weights()[-2], arrays[-1][0])


def test_random_weights_of_layers_that_normalise_pass_on_what_they_get():
    model = zoo.build(SMALL, SIZE)
    digest = kerasmodel.fill_with_random(model)
    assert kerasmodel.fill_with_random(zoo.build(SMALL, SIZE)) == digest
    arrays, drawn = load_small("random")
    assert drawn.sha256 == digest
    for got, layer in zip(arrays, (each for each in model.layers if each.weights), strict=True):
        for array, expected in zip(got, layer.weights, strict=True):
            np.testing.assert_array_equal(array, expected.numpy())
    by_name = {variable.path.split("/")[-1]: variable.numpy() for variable in model.weights}
    assert (by_name["gamma"] == 1).all()
    assert (by_name["moving_variance"] == 1).all()
    assert (by_name["beta"] == 0).all()
    assert (by_name["moving_mean"] == 0).all()


@pytest.fixture
def keras_home(tmp_path, monkeypatch) -> Path:
    """An empty folder where the ImageNet weights would be."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def published(tmp_path, monkeypatch, narrow, keras_home):
    """A file that stands where VGG16's ImageNet weights are published; its network."""
    served = tmp_path / "served" / "vgg16_notop.h5"
    served.parent.mkdir()
    model = narrow_model()
    write_first_format(model, served)
    md5 = hashlib.md5(served.read_bytes()).hexdigest()
    monkeypatch.setitem(vgg.VGG, "VGG16", vgg.Vgg((2, 2, 3, 3, 3), served.as_uri(), md5))
    return served


def test_imagenet_weights_are_looked_for_where_keras_keeps_them(keras_home, monkeypatch):
    import keras

    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: str(keras_home))
    path = keras_home / "models" / "some.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"kept")
    assert keras.utils.get_file(path.name, "http://unused", cache_subdir="models") == str(path)
    assert weights.imagenet_file("Some", "http://unused/some.h5", None) == path


def test_imagenet_weights_are_downloaded_once_and_whole(published, keras_home):
    first, loaded = load_vgg("imagenet")
    sha256 = hashlib.sha256(published.read_bytes()).hexdigest()
    published.unlink()
    again, _ = load_vgg("imagenet")
    np.testing.assert_array_equal(again[-1][0], first[-1][0])
    assert loaded == Weights("imagenet", sha256)
    assert [path.name for path in (keras_home / "models").iterdir()] == [published.name]


def test_damaged_imagenet_weights_are_named_and_not_deleted(published, keras_home):
    path = keras_home / "models" / published.name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    with pytest.raises(InputError, match="is damaged"):
        load_vgg("imagenet")
    assert path.read_bytes() == b"half a download"


def test_a_folder_in_the_place_of_imagenet_weights_is_named(published, keras_home):
    (keras_home / "models" / published.name).mkdir(parents=True)
    with pytest.raises(InputError, match=f"no weights file '.*/{published.name}': expected what"):
        load_vgg("imagenet")


def test_a_folder_of_weights_that_cannot_be_looked_into_is_named(published, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "/" + "n" * 300)
    with pytest.raises(InputError, match=r"cannot download .*File name too long"):
        load_vgg("imagenet")


def test_a_damaged_download_is_not_kept(published, keras_home):
    published.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(InputError, match="another digest than was published"):
        load_vgg("imagenet")
    assert not list((keras_home / "models").iterdir())


def test_weights_that_cannot_be_downloaded_are_never_replaced_by_random_ones(published, keras_home):
    url = published.as_uri()
    published.unlink()
    with pytest.raises(InputError) as caught:
        load_vgg("imagenet")
    message = str(caught.value)
    assert url in message
    assert str(keras_home / "models" / published.name) in message
    assert "--weights FILE" in message
    assert "\n" not in message
    assert not list((keras_home / "models").iterdir())


CONTENTS = bytes(3 * 2**20 + 5)
MD5 = hashlib.md5(CONTENTS).hexdigest()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CONTENTS), CONTENTS)


@pytest.fixture
def serve(keras_home, monkeypatch):
    """A function that answers one request with a header and a body; it returns the address."""
    monkeypatch.setenv("no_proxy", "*")
    threads = []

    def start(header: str, body: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))

        def answer() -> None:
            with server, server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode() + body)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/some.h5"

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("terminal", [False, True], ids=["log", "terminal"])
@pytest.mark.parametrize(
    ("header", "body"),
    [
        pytest.param(f"Content-Length: {len(CONTENTS)}", CONTENTS, id="length"),
        pytest.param("Connection: close", CONTENTS, id="no length"),
        pytest.param("Transfer-Encoding: chunked", CHUNKED, id="chunked"),
        pytest.param("Content-Length: many", CONTENTS, id="no number"),
        pytest.param("Content-Length: -5", CONTENTS, id="negative"),
    ],
)
def test_a_server_need_not_say_how_much_it_sends(
    serve, keras_home, tmp_path, monkeypatch, header, body, terminal
):
    url = serve(header, body)
    if terminal:
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from pyimagesearch.nn import weights\n"
            "weights.imagenet_file('Some', *sys.argv[1:])\n"
        )
        command = [sys.executable, "-c", program, url, MD5]
        assert "Downloading Weights: " in run_on_a_terminal(command, tmp_path / "stdout")
    else:
        monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)  # a line for each block
        weights.imagenet_file("Some", url, MD5)
    (path,) = (keras_home / "models").iterdir()
    assert path.read_bytes() == CONTENTS


@pytest.mark.parametrize(
    ("header", "body", "why"),
    [
        pytest.param(f"Content-Length: {len(CONTENTS)}", CONTENTS[:-1], "3,145,732 of", id="short"),
        pytest.param(f"Content-Length: {len(CONTENTS)}", b"", "0 of 3,145,733 bytes", id="empty"),
        pytest.param("Transfer-Encoding: chunked", CHUNKED[:-9], "IncompleteRead", id="chunk"),
        pytest.param("Connection: close", CONTENTS[:-1], "another digest", id="no length"),
        pytest.param("Nonsense", b"", "another digest", id="nonsense"),
    ],
)
def test_an_answer_that_breaks_off_is_one_line_and_leaves_no_file(
    serve, keras_home, header, body, why
):
    with pytest.raises(InputError, match="cannot download the ImageNet weights of Some") as caught:
        weights.imagenet_file("Some", serve(header, body), MD5)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((keras_home / "models").iterdir())


def test_what_answers_no_http_is_one_line(keras_home, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/some.h5"
        with pytest.raises(InputError, match="cannot download the ImageNet weights of Some"):
            weights.imagenet_file("Some", url, MD5)
        thread.join()


@pytest.fixture
def published_efficientnet(monkeypatch, tmp_path):
    """What stands where EfficientNetB0's ImageNet weights are published, and its network.

    Keras builds one layer more for these weights than for any others.
    """
    import keras

    network = zoo.ZOO["EfficientNetB0"]
    model = zoo.build(network, SIZE)
    normalization = next(x for x in model.layers if isinstance(x, keras.layers.Normalization))
    kerasmodel.fill_with_random(model)
    normalization.adapt_mean.assign([0.4, 0.5, 0.6])
    served = tmp_path / "served.h5"
    write_first_format(model, served)
    digest = hashlib.md5(served.read_bytes()).hexdigest()
    module = keras.src.applications.efficientnet
    monkeypatch.setitem(module.WEIGHTS_HASHES, "b0", (digest, digest))
    monkeypatch.setattr(module, "BASE_WEIGHTS_PATH", f"{tmp_path.as_uri()}/")
    served.rename(tmp_path / "efficientnetb0_notop.h5")
    return network, tmp_path / "efficientnetb0_notop.h5"


@pytest.mark.slow
def test_published_weights_are_the_same_network_from_wherever_they_come(
    published_efficientnet, keras_home, tmp_path
):
    import keras

    network, path = published_efficientnet
    by_hand = path.rename(tmp_path / "by_hand.h5")
    from_file, _ = kerasmodel.zoo_model(network, SIZE, str(by_hand))
    by_hand.rename(path)
    downloaded, loaded = kerasmodel.zoo_model(network, SIZE, "imagenet")
    assert loaded.name == "imagenet"
    picture = np.full((1, *SIZE, 3), 100, np.float32)
    same = downloaded.predict(picture, verbose=0)
    np.testing.assert_array_equal(from_file.predict(picture, verbose=0), same)
    rescaling = [x for x in downloaded.layers if isinstance(x, keras.layers.Rescaling)]
    assert len(rescaling) == 2
    normalization = next(x for x in downloaded.layers if isinstance(x, keras.layers.Normalization))
    np.testing.assert_allclose(np.ravel(normalization.mean), [0.4, 0.5, 0.6], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("n" * 300 + ".h5", "File name too long; expected imagenet", id="long name"),
        pytest.param("missing.h5", "no weights file", id="missing"),
        pytest.param("imagnet", "no weights file 'imagnet'", id="misspelt"),
        pytest.param("model.pt", r"ends in '\.pt'", id="another kind"),
    ],
)
def test_what_is_no_weights_file_is_refused_at_once(tmp_path, name, message):
    (tmp_path / "model.pt").touch()
    path = name if name == "imagnet" else str(tmp_path / name)
    with pytest.raises(InputError, match=message):
        weights.check_weights(path)
