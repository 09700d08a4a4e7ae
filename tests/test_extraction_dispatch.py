"""Which batches are sent, waited for and sent again, on a simulated cluster."""

from concurrent.futures import Future

import pytest
from distributed import KilledWorker

from pyimagesearch.extraction import dispatch
from pyimagesearch.extraction.dispatch import Dispatch
from pyimagesearch.preprocessing import Decoding
from pyimagesearch.utils import InputError

ROW_BYTES = 96
DECODING = Decoding(float_range=(0.0, 1.0))


def settled(outcome: object) -> Future:
    future = Future()
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
    return future


class PlayedCluster:
    """A cluster whose answers are given: a future for each batch, in the order they are sent."""

    def __init__(self, *answers: Future, usable: tuple[str, ...] = ("A",), n_threads: int = 1):
        self.sent, self.took_part, self.rejected = [], {}, {}
        self.usable, self.n_threads = frozenset(usable), n_threads
        self._answers = iter(answers)
        self.refresh_to = None  # what `usable` is from the next refresh on

    def submit(self, images, decoding):
        assert decoding == DECODING
        self.sent.append([name for name, _ in images])
        return next(self._answers), self.usable if self.rejected else frozenset()

    def refresh(self, max_age_s: float = 0.0) -> None:
        if not max_age_s and self.refresh_to:
            self.usable = frozenset(self.refresh_to)

    def reject(self, address: str, why: str) -> None:
        self.rejected[address] = why
        self.usable -= {address}

    def require_workers(self, waiting, ended_workers: bool = False) -> None:
        raise InputError(f"no workers for {', '.join(waiting)}{' who end them' * ended_workers}")


def computed(features: str, worker: str = "A") -> Future:
    return settled((worker, f"processor of {worker}", features))


def run(cluster: PlayedCluster, names: str, batch_size: int = 1) -> list[str]:
    images = ((name, b"") for name in names)
    return list(Dispatch(cluster, batch_size, ROW_BYTES, DECODING).features(images))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(dispatch, "LOOK_EVERY_S", 0.001)


def test_results_come_in_order_and_the_last_batch_may_be_smaller():
    cluster = PlayedCluster(*map(computed, ["ab", "cd", "e"]))
    assert run(cluster, "abcde", batch_size=2) == ["ab", "cd", "e"]
    assert cluster.sent == [["a", "b"], ["c", "d"], ["e"]]
    assert cluster.took_part == {"A": "processor of A"}


@pytest.mark.parametrize("n_threads", [0, 1, 2])
def test_as_many_batches_are_under_way_as_the_workers_can_take(n_threads):
    cluster = PlayedCluster(*map(computed, "abcdefghij"), n_threads=n_threads)
    features = Dispatch(cluster, 1, ROW_BYTES, DECODING).features(
        (name, b"") for name in "abcdefghij"
    )
    assert next(features) == "a"
    assert len(cluster.sent) == max(1, n_threads * dispatch.BATCHES_PER_THREAD)


def test_large_images_are_bounded_by_their_bytes(monkeypatch):
    monkeypatch.setattr(dispatch, "MOST_BYTES", 3 * (1000 + ROW_BYTES))
    cluster = PlayedCluster(*map(computed, "abcdef"), n_threads=1000)
    features = Dispatch(cluster, 1, ROW_BYTES, DECODING).features(
        (name, bytes(1000)) for name in "abcdef"
    )
    assert next(features) == "a"
    assert cluster.sent == [["a"], ["b"], ["c"]]


KILLED = KilledWorker("a task", None, 3)


def test_a_batch_that_was_only_there_when_a_worker_ended_is_not_accused():
    waiting = Future()
    cluster = PlayedCluster(
        settled(KILLED), waiting, computed("first, alone"), computed("second, again")
    )
    assert run(cluster, "ab") == ["first, alone", "second, again"]
    assert cluster.sent == [["a"], ["b"], ["a"], ["b"]]
    assert waiting.cancelled()


@pytest.mark.parametrize("usable", [("A",), ()])
def test_an_image_that_ends_workers_when_it_is_alone_is_named(usable):
    killed = settled(KILLED)
    cluster = PlayedCluster(
        killed, killed, Future(), computed("a, alone"), settled(KILLED), usable=usable
    )
    with pytest.raises(InputError, match=r"^4 workers ended while computing only 'b': "):
        run(cluster, "abc")
    assert cluster.sent == [["a"], ["b"], ["c"], ["a"], ["b"]]


def test_what_has_been_computed_when_workers_end_is_not_computed_again():
    cluster = PlayedCluster(settled(KILLED), computed("b"), computed("a, alone"))
    assert run(cluster, "ab") == ["a, alone", "b"]


def test_of_a_batch_that_ends_workers_the_image_is_named():
    killed = settled(KILLED)
    cluster = PlayedCluster(killed, killed, computed("a, alone"), killed)
    with pytest.raises(InputError, match=r"^4 workers ended while computing only 'b': "):
        run(cluster, "abc", batch_size=3)
    assert cluster.sent == [["a", "b", "c"], ["a", "b", "c"], ["a"], ["b"]]


def test_a_batch_that_ends_workers_only_as_a_whole_is_named_as_a_whole():
    killed = settled(KILLED)
    cluster = PlayedCluster(killed, killed, computed("a, alone"), computed("b, alone"))
    with pytest.raises(InputError, match=r"^4 workers ended while computing only 'a', 'b': "):
        run(cluster, "ab", batch_size=2)


def test_when_all_workers_ended_no_image_is_accused_and_a_later_worker_decides():
    killed = settled(KILLED)
    cluster = PlayedCluster(killed, killed, Future(), Future(), usable=(), n_threads=1)
    with pytest.raises(InputError, match=r"^no workers for a, b who end them$"):
        run(cluster, "abc")
    cluster = PlayedCluster(killed, killed, Future(), *map(computed, "abc"), usable=())
    assert run(cluster, "abc") == list("abc")


def test_a_batch_for_workers_that_are_gone_goes_to_the_one_that_has_come():
    refused = settled(("A", "no ncnn", None))
    cluster = PlayedCluster(refused, Future(), computed("a", "C"), usable=("A", "B"))
    real = cluster.reject

    def reject(address: str, why: str) -> None:
        real(address, why)
        cluster.refresh_to = ["B"]

    cluster.reject = reject
    real_submit = cluster.submit

    def submit(images, decoding):
        future, workers = real_submit(images, decoding)
        if len(cluster.sent) == 2:
            cluster.refresh_to = ["C"]  # B, the only one that could, is gone now
        return future, workers

    cluster.submit = submit
    assert run(cluster, "a") == ["a"]
    assert cluster.sent == [["a"]] * 3
    assert cluster.rejected == {"A": "no ncnn"}


def test_without_workers_the_run_ends_and_names_what_was_to_be_computed():
    cluster = PlayedCluster(Future(), Future(), usable=(), n_threads=1)
    with pytest.raises(InputError, match="no workers for a, b"):
        run(cluster, "ab")


def test_what_is_in_progress_is_cancelled_when_the_caller_stops():
    waiting = [Future(), Future()]
    cluster = PlayedCluster(computed("a"), *waiting)
    features = Dispatch(cluster, 1, ROW_BYTES, DECODING).features((name, b"") for name in "abc")
    next(features)
    features.close()
    assert all(future.cancelled() for future in waiting)
