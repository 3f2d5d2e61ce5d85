"""Threads for hashing, with a queue for each kind of work.

The kinds take turns. With one queue, a flood of registrations would delay sign-ins.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

# At 10 the event loop gets about 90 % of a busy core, and sign-ins still make progress.
HASHING_NICENESS = 10

T = TypeVar("T")
Kind = TypeVar("Kind", bound=Hashable)


class WaitedTooLong(Exception):
    """The work was not started in time and was dropped."""


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[..., Any]
    arguments: tuple[object, ...]
    future: Future[Any] = field(default_factory=Future)
    queued_at: float = field(default_factory=time.monotonic)


class HashThreads(Generic[Kind]):
    """Threads with a lower priority. Each kind of work has its own queue."""

    def __init__(self, kinds: Iterable[Kind], *, threads: int, wait_seconds: float) -> None:
        self._queues: dict[Kind, deque[_Job]] = {kind: deque() for kind in kinds}
        # The first kind that has work is next, and then moves to the end.
        self._turns = deque(self._queues)
        self._lock = threading.Lock()
        self._wait_seconds = wait_seconds
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix="password", initializer=_lower_priority
        )

    def submit(self, kind: Kind, work: Callable[..., T], *arguments: object) -> Future[T]:
        """Queues work. Its future raises WaitedTooLong if it was not started in time."""
        job = _Job(work, arguments)
        with self._lock:
            self._queues[kind].append(job)
        # A thread runs the job whose turn it is, which may be another one.
        self._pool.submit(self._run_next)
        return job.future

    def stop(self) -> None:
        """Cancels queued work and ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for queue in self._queues.values():
                for job in queue:
                    job.future.cancel()
                queue.clear()

    def _run_next(self) -> None:
        while job := self._take_next():
            # False if the request was cancelled.
            if not job.future.set_running_or_notify_cancel():
                continue
            if time.monotonic() - job.queued_at > self._wait_seconds:
                job.future.set_exception(WaitedTooLong())
                continue
            _run(job)
            return

    def _take_next(self) -> _Job | None:
        with self._lock:
            for kind in self._turns:
                if queue := self._queues[kind]:
                    self._turns.remove(kind)
                    self._turns.append(kind)
                    return queue.popleft()
        return None


def _run(job: _Job) -> None:
    try:
        result = job.work(*job.arguments)
    except BaseException as error:  # noqa: BLE001 - raised by the future, as an executor does
        job.future.set_exception(error)
    else:
        job.future.set_result(result)


def _lower_priority() -> None:
    # Only on Linux does a thread have its own niceness. Elsewhere it applies to the process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASHING_NICENESS)
