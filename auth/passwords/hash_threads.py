"""Threads that hash, and the queue before them, which takes turns between kinds of work.

With one queue for all work, a flood of registrations would delay the sign-ins of owners.
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

# At 10 the event loop keeps nine tenths of a saturated core, and logins still move on it.
HASHING_NICENESS = 10

T = TypeVar("T")
Kind = TypeVar("Kind", bound=Hashable)


class WaitedTooLong(Exception):
    """The work was not begun in time, and is not done."""


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[..., Any]
    arguments: tuple[object, ...]
    future: Future[Any] = field(default_factory=Future)
    queued_at: float = field(default_factory=time.monotonic)


class HashThreads(Generic[Kind]):
    """A few threads of a lower priority. Each kind of work has its own queue."""

    def __init__(self, kinds: Iterable[Kind], *, threads: int, wait_seconds: float) -> None:
        self._queues: dict[Kind, deque[_Job]] = {kind: deque() for kind in kinds}
        # Whose turn it is: the first kind that has work goes to the end.
        self._turns = deque(self._queues)
        self._lock = threading.Lock()
        self._wait_seconds = wait_seconds
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix="password", initializer=_lower_priority
        )

    def submit(self, kind: Kind, work: Callable[..., T], *arguments: object) -> Future[T]:
        """Queues work. Its future raises WaitedTooLong if it was not begun in time."""
        job = _Job(work, arguments)
        with self._lock:
            self._queues[kind].append(job)
        # Not for this job: for the one whose turn it is then.
        self._pool.submit(self._do_next)
        return job.future

    def stop(self) -> None:
        """Drops what waits and ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for queue in self._queues.values():
                for job in queue:
                    job.future.cancel()
                queue.clear()

    def _do_next(self) -> None:
        while job := self._next():
            # False if the request was cancelled.
            if not job.future.set_running_or_notify_cancel():
                continue
            if time.monotonic() - job.queued_at > self._wait_seconds:
                job.future.set_exception(WaitedTooLong())
                continue
            _do(job)
            return

    def _next(self) -> _Job | None:
        with self._lock:
            for kind in self._turns:
                if queue := self._queues[kind]:
                    self._turns.remove(kind)
                    self._turns.append(kind)
                    return queue.popleft()
        return None


def _do(job: _Job) -> None:
    try:
        result = job.work(*job.arguments)
    except BaseException as error:  # noqa: BLE001 - as an executor does: it is raised where it is awaited
        job.future.set_exception(error)
    else:
        job.future.set_result(result)


def _lower_priority() -> None:
    # On Linux a thread has a niceness of its own; elsewhere this would slow the whole process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASHING_NICENESS)
