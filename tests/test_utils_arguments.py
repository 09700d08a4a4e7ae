import argparse
from pathlib import Path

import joblib
import pytest

import classify_images
import extract_features
import train_model
from pyimagesearch.utils.arguments import MOST_JOBS, available_cores, jobs, user_path

PATH_OPTIONS = [
    pytest.param(action, id=f"{script.__name__} {action.option_strings or action.dest}")
    for script in (extract_features, train_model, classify_images)
    for action in script.build_parser()._actions
    if any(kind in str(action.metavar) for kind in ("FILE", "DIR", "PATH", "ADDRESS"))
]


def test_all_cores_are_those_that_joblib_counts(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert (available_cores(), jobs("-1"), joblib.cpu_count()) == (1, 1, 1)


@pytest.mark.parametrize("limit", ["abc", "1.5", ""])
def test_a_limit_that_is_not_a_number_is_named(monkeypatch, limit):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", limit)
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        jobs("-1")
    assert str(caught.value) == (
        f"LOKY_MAX_CPU_COUNT is '{limit}': expected a whole number; correct or unset it"
    )
    assert jobs("2") == 2


def test_a_containers_quota_counts(monkeypatch):
    # ``docker --cpus=1.5``, in a control group of version 2
    quota = pytest.importorskip("joblib.externals.loky.backend.context")
    monkeypatch.setattr(quota, "_cpu_count_cgroup", lambda os_cpu_count: 2)
    monkeypatch.setattr(quota, "_cpu_count_affinity", lambda os_cpu_count: 64)
    monkeypatch.setattr(quota.os, "cpu_count", lambda: 64)
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    assert jobs("-1") == 2


def test_more_threads_than_a_system_starts_are_wrong_usage():
    assert jobs(str(MOST_JOBS)) == MOST_JOBS
    with pytest.raises(argparse.ArgumentTypeError, match=r"1000000 is too large: .* at most 1024"):
        jobs("1000000")


def test_every_option_with_a_path_is_tested():
    assert len(PATH_OPTIONS) == 7 + 8 + 10


@pytest.mark.parametrize("option", PATH_OPTIONS)
def test_every_option_with_a_path_expands_a_tilde_and_refuses_an_empty_one(option, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert option.type("~/here/f.hdf5") == "/home/ada/here/f.hdf5"
    with pytest.raises(argparse.ArgumentTypeError, match="the path is empty: expected a file or"):
        option.type("")


def test_a_path_is_expanded_as_a_shell_does(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    assert user_path("~") == "/home/ada"
    assert user_path("~root/f.hdf5") == f"{Path('~root').expanduser()}/f.hdf5"
    for unchanged in ("./~/f.hdf5", "a/~/b", "f~", "imagenet", "~nobody_here.hdf5", "b/", "-"):
        assert user_path(unchanged) == unchanged


def test_a_user_who_does_not_exist_is_refused_unless_a_folder_has_that_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(argparse.ArgumentTypeError, match="there is no user 'nobody_here' and no"):
        user_path("~nobody_here/f.hdf5")
    (tmp_path / "~nobody_here").mkdir()
    assert user_path("~nobody_here/f.hdf5") == "~nobody_here/f.hdf5"
