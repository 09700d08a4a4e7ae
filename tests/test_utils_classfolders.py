import errno
from pathlib import Path

import pytest

from pyimagesearch.utils import InputError
from pyimagesearch.utils.classfolders import ClassFolders


@pytest.fixture
def images(tmp_path) -> list[Path]:
    """Write three images, two of which have the same name."""
    paths = [tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.jpg", tmp_path / "b" / "2.jpg"]
    for i, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"image %d" % i)
    return paths


def found(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("link", [False, True])
def test_names_that_clash_get_a_number_and_a_second_run_adds_nothing(images, tmp_path, link):
    for _ in range(2):
        folders = ClassFolders(tmp_path / "sorted", ["cats"], link)
        for image in images:
            folders.add(image, "cats")
        expected = ("cats/1.jpg", "cats/1 (2).jpg", "cats/2.jpg")
        contents = [b"image 0", b"image 1", b"image 2"]
        assert found(tmp_path / "sorted") == dict(zip(expected, contents, strict=True))
        assert [image.read_bytes() for image in images] == contents
    assert (tmp_path / "sorted" / "cats" / "1.jpg").is_symlink() == link


def test_a_file_that_was_there_is_never_overwritten(images, tmp_path):
    place = tmp_path / "sorted" / "cats" / "1.jpg"
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "gone")
    ClassFolders(tmp_path / "sorted", ["cats"]).add(images[0], "cats")
    assert place.readlink() == tmp_path / "gone"
    assert found(tmp_path / "sorted") == {"cats/1 (2).jpg": b"image 0"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is not a name"),
        ("..", "it is not a name"),
        ("a/b", "it is not a name"),
        ("a\0b", "embedded null byte"),
        ("a" * 300, "file name too long"),
    ],
)
def test_classes_that_cannot_name_a_folder_are_refused(tmp_path, name, why):
    with pytest.raises(InputError, match=f"cannot be the name of a folder here: {why}; rename"):
        ClassFolders(tmp_path, ["cats", name])
    assert not list(tmp_path.iterdir())


def test_classes_that_the_file_system_does_not_distinguish_are_refused(tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def in_lower_case(path, *arguments, **options):
        mkdir(path.with_name(path.name.lower()), *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", in_lower_case)
    ClassFolders(tmp_path, ["cats", "Dogs"])
    with pytest.raises(InputError, match=r"class 'Cats' cannot .*takes it for the name of another"):
        ClassFolders(tmp_path, ["cats", "Cats"])


def test_links_that_cannot_be_made_are_refused_before_the_first_image(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    ClassFolders(tmp_path, ["cats"])
    with pytest.raises(InputError, match=r"cannot make links in '.*': a required privilege .*copy"):
        ClassFolders(tmp_path, ["cats"], link=True)


def test_a_folder_that_cannot_be_made_is_refused_before_the_first_image(images):
    with pytest.raises(InputError, match=r"cannot make folders in '.*': Not a directory; change"):
        ClassFolders(images[0] / "sorted", ["cats"])


def test_a_file_in_the_place_of_the_folder_is_named(images, tmp_path):
    with pytest.raises(InputError, match=r"1.jpg' is not a folder: expected one to sort images"):
        ClassFolders(images[0], ["cats"])
