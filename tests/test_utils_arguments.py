import argparse

import joblib
import pytest

from pyimagesearch.utils.arguments import MOST_JOBS, available_cores, jobs


def test_all_cores_are_those_that_joblib_counts(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert (available_cores(), jobs("-1"), joblib.cpu_count()) == (1, 1, 1)


def test_a_containers_quota_is_heeded(monkeypatch):
    # ``docker --cpus=1.5``, in a control group of the second version
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
