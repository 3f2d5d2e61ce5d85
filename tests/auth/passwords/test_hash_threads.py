"""Hashing threads: turns between kinds of work, and dropping work that waited too long."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from auth.passwords.hash_threads import HashThreads, WaitedTooLong


@pytest.fixture
def release() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


def test_kinds_take_turns(
    release: threading.Event,
) -> None:
    threads, done = HashThreads(["flood", "owner"], threads=1, wait_seconds=60), list[str]()
    threads.submit("flood", release.wait)
    futures = [threads.submit("flood", done.append, "flood") for _ in range(20)]
    futures += [threads.submit("owner", done.append, "owner") for _ in range(2)]
    release.set()
    for future in futures:
        future.result(timeout=60)
    threads.stop()
    assert done[:4] == ["owner", "flood", "owner", "flood"]
    assert len(done) == 22


def test_work_of_one_kind_runs_in_order(release: threading.Event) -> None:
    threads, done = HashThreads(["one"], threads=1, wait_seconds=60), list[int]()
    threads.submit("one", release.wait)
    futures = [threads.submit("one", done.append, number) for number in range(5)]
    release.set()
    for future in futures:
        future.result(timeout=60)
    threads.stop()
    assert done == [0, 1, 2, 3, 4]


def test_work_that_waited_too_long_is_dropped(release: threading.Event) -> None:
    threads, done = HashThreads(["one"], threads=1, wait_seconds=-1), list[str]()
    late = threads.submit("one", done.append, "late")
    with pytest.raises(WaitedTooLong):
        late.result(timeout=60)
    threads.stop()
    assert done == []


def test_stop_cancels_queued_work(release: threading.Event) -> None:
    threads = HashThreads(["one"], threads=1, wait_seconds=60)
    running = threads.submit("one", release.wait)
    waiting = threads.submit("one", release.wait)
    threads.stop()
    release.set()
    with pytest.raises(CancelledError):
        waiting.result(timeout=60)
    assert running.result(timeout=60)


def test_future_raises_error_of_work() -> None:
    threads = HashThreads(["one"], threads=1, wait_seconds=60)
    failing = threads.submit("one", int, "no number")
    with pytest.raises(ValueError, match="no number"):
        failing.result(timeout=60)
    threads.stop()
