"""The download of published weights: once and whole, or one line that gives the reason."""

import hashlib
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import run_on_a_terminal
from smallnetworks import load_vgg, narrow_model, write_first_format

from pyimagesearch.nn import DownloadError, Weights, weights
from pyimagesearch.nn.zoo import vgg
from pyimagesearch.utils import InputError, progress

ROOT = Path(__file__).parents[1]
# TensorFlow's arrays are converted by numpy in an older way (tensorflow 2.21).
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


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


def test_without_a_home_folder_keras_home_is_enough(keras_home, monkeypatch):
    def no_home(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(
        Path, "expanduser", lambda path: no_home(path) if "~" in str(path) else path
    )
    monkeypatch.setattr(Path, "home", lambda: no_home(None))
    assert weights.keras_home() == keras_home
    monkeypatch.delenv("KERAS_HOME")
    with pytest.raises(InputError, match=r"home directory; set KERAS_HOME or give a file"):
        weights.keras_home()


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
    with pytest.raises(InputError, match=r"cannot download .*File name too long") as caught:
        load_vgg("imagenet")
    assert type(caught.value) is InputError


def test_a_damaged_download_is_not_kept(published, keras_home):
    published.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(InputError, match="checksum mismatch: it is not the published file"):
        load_vgg("imagenet")
    assert not list((keras_home / "models").iterdir())


def test_weights_that_cannot_be_downloaded_are_never_replaced_by_random_ones(published, keras_home):
    url = published.as_uri()
    published.unlink()
    with pytest.raises(DownloadError) as caught:
        load_vgg("imagenet")
    message = str(caught.value)
    assert url in message
    assert str(keras_home / "models" / published.name) in message
    assert "or give its path as the weights" in message
    assert "\n" not in message
    assert not list((keras_home / "models").iterdir())


CONTENTS = bytes(3 * 2**20 + 5)
MD5 = hashlib.md5(CONTENTS).hexdigest()
LENGTH, CLOSE = f"Content-Length: {len(CONTENTS)}", "Connection: close"
CHUNKS = "Transfer-Encoding: chunked"
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
        pytest.param(LENGTH, CONTENTS, id="length"),
        pytest.param(CLOSE, CONTENTS, id="no length"),
        pytest.param(CHUNKS, CHUNKED, id="chunked"),
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
    ("header", "body", "why", "kind"),
    [
        pytest.param(LENGTH, CONTENTS[:-1], "3,145,732 of", DownloadError, id="short"),
        pytest.param(LENGTH, b"", "0 of 3,145,733 bytes", DownloadError, id="empty"),
        pytest.param(CHUNKS, CHUNKED[:-9], "IncompleteRead", DownloadError, id="chunk"),
        pytest.param(CLOSE, CONTENTS[:-1], "checksum mismatch", InputError, id="no length"),
        pytest.param("Nonsense", b"", "checksum mismatch", InputError, id="nonsense"),
    ],
)
def test_an_answer_that_breaks_off_is_one_line_and_leaves_no_file(
    serve, keras_home, header, body, why, kind
):
    with pytest.raises(InputError, match="cannot download the ImageNet weights of Some") as caught:
        weights.imagenet_file("Some", serve(header, body), MD5)
    assert type(caught.value) is kind
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
