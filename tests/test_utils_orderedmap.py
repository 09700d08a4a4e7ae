import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyimagesearch.utils.orderedmap import ordered_map


def test_results_keep_the_order_even_if_later_ones_finish_first():
    def slow_at_first(i: int) -> int:
        time.sleep(0.02 if i % 4 == 0 else 0)
        return i * i

    with ThreadPoolExecutor(4) as pool:
        assert list(ordered_map(slow_at_first, range(20), pool, 6)) == [i * i for i in range(20)]


def test_no_more_than_asked_for_is_in_progress():
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    with ThreadPoolExecutor(3) as pool:
        for n_consumed, _ in enumerate(ordered_map(str, items(), pool, 5), start=1):
            assert len(taken) - n_consumed <= 5


def test_an_error_is_raised_at_its_turn_and_what_has_not_started_is_cancelled():
    started, release = [], threading.Event()

    def fail_at_two(i: int) -> int:
        started.append(i)
        if i == 2:
            raise ValueError(i)
        if i > 2:
            release.wait(5)
        return i

    with ThreadPoolExecutor(1) as pool:
        results = ordered_map(fail_at_two, range(100), pool, 8)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ValueError, match="2"):
            next(results)
        release.set()
    assert max(started) <= 3


def test_nothing_in_gives_nothing_out():
    with ThreadPoolExecutor(1) as pool:
        assert list(ordered_map(str, [], pool, 3)) == []
