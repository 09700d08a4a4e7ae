import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pyimagesearch.utils import InputError
from pyimagesearch.utils.files import check_writable, replacing

ROOT = Path(__file__).parents[1]


@pytest.fixture
def umask():
    """Set the umask for a test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "report.json"

    with replacing(target) as unfinished:
        unfinished.write_text("whole")
        assert not target.exists()

    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_file_is_there_until_the_block_ends(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("old")

    with replacing(target) as unfinished:
        unfinished.write_text("new")
        assert target.read_text() == "old"

    assert target.read_text() == "new"


def test_a_reader_of_the_old_file_reads_it_to_its_end(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("old")

    with target.open() as reader:
        with replacing(target) as unfinished:
            unfinished.write_text("new")
        assert reader.read() == "old"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, PermissionError])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "report.json"
    target.write_text("old")

    def write_half():
        with replacing(target) as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(errno.ENOSPC, "full")])
def test_what_was_written_until_a_failure_can_be_kept(tmp_path, error, linked):
    target = path = tmp_path / "answers.csv"
    target.write_text("old")
    if linked:
        path = tmp_path / "link.csv"
        path.symlink_to(target)

    def write_half():
        with replacing(path, keep_partial=True) as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises((RuntimeError, KeyboardInterrupt, InputError)) as caught:
        write_half()

    assert caught.value.__notes__ == [f"'{target}.partial' holds what was written until then"]
    assert target.read_text() == "old"
    assert Path(f"{target}.partial").read_text() == "half"
    assert set(tmp_path.iterdir()) == {target, path, Path(f"{target}.partial")}


def test_a_failure_to_keep_it_does_not_hide_the_first(tmp_path):
    target = tmp_path / "answers.csv"
    (tmp_path / "answers.csv.partial").mkdir()

    def write_half():
        with replacing(target, keep_partial=True):
            raise RuntimeError

    with pytest.raises(RuntimeError) as caught:
        write_half()
    assert not hasattr(caught.value, "__notes__")


def test_nothing_is_kept_of_what_is_whole(tmp_path):
    with replacing(tmp_path / "answers.csv", keep_partial=True) as unfinished:
        unfinished.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


@pytest.mark.parametrize("name", ["plot.svg", "model.cpickle", "name", "a" * 250 + ".svg"])
def test_the_unfinished_file_is_beside_the_target_with_its_suffix(tmp_path, name):
    target = tmp_path / name

    with replacing(target) as unfinished:
        assert unfinished.parent == target.parent
        assert unfinished.suffix == target.suffix
        assert unfinished != target

    assert target.exists()


def test_a_new_file_has_the_permissions_that_the_umask_gives(tmp_path, umask):
    umask(0o027)

    with replacing(tmp_path / "report.json"):
        pass

    assert permissions(tmp_path / "report.json") == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_replaced_file_keeps_its_permissions_from_the_first_byte_on(tmp_path, umask, mode):
    umask(0o022)
    target = tmp_path / "report.json"
    target.touch()
    target.chmod(mode)

    with replacing(target) as unfinished:
        assert permissions(unfinished) == mode

    assert permissions(target) == mode


def test_a_read_only_file_is_not_replaced(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("keep")
    target.chmod(0o444)
    for write in (check_writable, lambda path: replacing(path).__enter__()):
        with pytest.raises(InputError, match=r"report.json' is read-only: make it writable, or"):
            write(target)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["keep"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "elsewhere" / "report.json", tmp_path / "link.json"
    target.parent.mkdir()
    link.symlink_to(target)

    with replacing(link) as unfinished:
        unfinished.write_text("whole")

    assert link.is_symlink()
    assert target.read_text() == "whole"


def test_the_file_is_on_the_disk_before_it_is_named_and_its_name_after(tmp_path, monkeypatch):
    target = tmp_path / "report.json"
    steps = []

    def fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append(("folder" if is_folder else "file", target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(target) as unfinished:
        unfinished.write_text("whole")

    assert steps == [("file", False), ("folder", True)]


@pytest.mark.parametrize("name", ["missing/report.json", "file/report.json"])
def test_a_missing_folder_is_the_users_mistake(tmp_path, name):
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="' is not a folder: create it, or") as caught:
        replacing(tmp_path / name).__enter__()

    assert "\n" not in str(caught.value)


def test_a_folder_in_the_files_place_is_the_users_mistake(tmp_path):
    with pytest.raises(InputError, match=f"'{tmp_path}' is not a plain file: give the name"):
        replacing(tmp_path).__enter__()


@pytest.fixture
def closed_folder(tmp_path):
    """Return a folder in which this process cannot write, even when it is root's."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)


def test_a_folder_without_permission_is_the_users_mistake(closed_folder):
    with pytest.raises(InputError, match=r"cannot write in folder '.*': Permission denied; change"):
        replacing(closed_folder / "report.json").__enter__()


def test_a_full_disk_gives_one_line_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("old")

    with (
        pytest.raises(InputError, match=r"cannot write '.*report\.json': No space left on device;"),
        replacing(target),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_file_of_another_user_in_a_shared_folder_is_refused_before_the_work(
    tmp_path, monkeypatch
):
    tmp_path.chmod(0o1777)
    path = tmp_path / "model.pickle"
    path.write_text("theirs")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(InputError, match="belongs to another user"):
        check_writable(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.pickle"]


def refusing_folders(monkeypatch, number, called="fsync"):
    """Make folders fail to sync, as on some file systems."""
    real = getattr(os, called)

    def refuse(what, *arguments):
        if stat.S_ISDIR(os.fstat(what).st_mode) if called == "fsync" else Path(what).is_dir():
            raise OSError(number, os.strerror(number))
        return real(what, *arguments)

    monkeypatch.setattr(os, called, refuse)


@pytest.mark.parametrize(
    ("called", "number"),
    [
        *[("fsync", number) for number in (errno.EINVAL, errno.EBADF, errno.ENOTSUP)],
        ("open", errno.EACCES),
    ],
)
def test_a_folder_that_cannot_be_synced_gets_one_warning(
    tmp_path, monkeypatch, caplog, called, number
):
    target = tmp_path / "report.json"
    refusing_folders(monkeypatch, number, called)
    for _ in range(2):
        with replacing(target) as unfinished:
            unfinished.write_text("whole")
    assert target.read_text() == "whole"
    (warning,) = caplog.messages  # once is enough
    assert warning.startswith(f"the file system of '{tmp_path}' cannot sync")


def test_a_folder_that_fails_to_sync_is_an_error(tmp_path, monkeypatch):
    refusing_folders(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), replacing(tmp_path / "report.json"):
        pass


def test_a_file_that_cannot_be_synced_gets_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(descriptor):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "report.json") as unfinished:
        unfinished.write_text("whole")
    assert "cannot sync" in caplog.text
    assert (tmp_path / "report.json").read_text() == "whole"


def test_a_file_is_replaced_with_the_calls_that_windows_has(tmp_path):
    program = (
        "import os, stat, sys\n"
        "sys.modules['fcntl'] = None\n"
        "del os.geteuid, os.O_DIRECTORY\n"
        "real = os.open\n"
        "def open_no_folders(path, *arguments):\n"
        "    if os.path.isdir(path):\n"
        "        raise PermissionError(13, 'Permission denied')\n"
        "    return real(path, *arguments)\n"
        "os.open = open_no_folders\n"
        "from pyimagesearch.utils.files import replacing\n"
        "for text in ('one', 'two'):\n"
        "    with replacing(sys.argv[1]) as unfinished:\n"
        "        unfinished.write_text(text)\n"
    )
    target = tmp_path / "report.json"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(target)], cwd=ROOT, check=True
    )
    assert target.read_text() == "two"
