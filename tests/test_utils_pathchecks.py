import os
from pathlib import Path

import pytest

from pyimagesearch.utils import InputError
from pyimagesearch.utils.pathchecks import (
    check_outputs,
    refuse_overwriting,
    require_distinct,
    require_readable,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("given").write_text("given")


def test_options_must_name_distinct_files_under_any_name():
    Path("link").symlink_to("given")
    with pytest.raises(InputError, match=r"^--plot and --db are both 'link': give another file$"):
        require_distinct({"db": "given", "model": None, "plot": "link"})
    require_distinct({"db": "given", "model": None, "plot": "plot.png", "report": None})


def test_outputs_are_checked_against_each_other_and_against_inputs():
    with pytest.raises(InputError, match=r"^--csv and --model are both 'given'"):
        check_outputs({"csv": "given", "sheet": None}, model="given", weights=None)
    with pytest.raises(InputError, match=r"^--sheet and --csv are both 'a'"):
        check_outputs({"csv": "a", "sheet": "a"}, model="given")
    check_outputs({"csv": "new/folder/a", "sheet": None}, model="given")
    assert Path("new/folder").is_dir()
    assert not list(Path("new/folder").iterdir())


def test_what_cannot_be_written_is_refused():
    Path("folder").mkdir()
    with pytest.raises(InputError, match="'folder' is not a plain file"):
        check_outputs({"csv": "folder"})


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_is_not_overwritten_under_another_name(link):
    link("given", "other")
    with pytest.raises(InputError, match=r"^--csv would overwrite 'given', which is an input"):
        refuse_overwriting({"csv": "other", "sheet": None}, [None, "gone", "given"])


def test_without_an_existing_output_no_input_is_checked():
    def inputs():
        raise AssertionError
        yield

    refuse_overwriting({"csv": "new", "sheet": None}, inputs())


def test_what_is_to_be_read_must_be_a_file():
    require_readable(Path("given"), "file of weights", "a .h5 file")
    for path in (Path("gone"), Path()):
        with pytest.raises(InputError, match=rf"^no file of weights '{path}': expected a .h5 file"):
            require_readable(path, "file of weights", "a .h5 file")
