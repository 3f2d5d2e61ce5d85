"""Runs several workers on the same listening sockets. Restarts dead ones; SIGHUP replaces all.

uvicorn's supervisor keeps its copy of the listening socket open while the workers drain. The kernel
then accepts connections that are never answered. This supervisor closes its copy first, so that
connections are refused as soon as no worker accepts them, and a proxy can try another machine.
"""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from types import FrameType

import structlog

from server.worker import DRAIN_SECONDS, READY, run_supervised

log = structlog.get_logger("postern.server")

# The exit status of uvicorn if the application does not start.
_STARTUP_FAILURE = 3
# A worker that ran longer than this is restarted without a pause.
_STEADY_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# The time for a new worker to become ready on SIGHUP.
_START_SECONDS = 60.0
# The time for a worker to close its database after it has drained.
_CLOSE_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 1.0
# Process managers signal a whole group, so the same signal can arrive twice.
_SAME_SIGNAL_SECONDS = 1.0

_SPAWN = multiprocessing.get_context("spawn")


class Worker:
    """A worker process and the supervisor's connection to it."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.connection, worker_end = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=run_supervised, args=(sockets, worker_end))
        self.process.start()
        worker_end.close()
        self.started_at = time.monotonic()
        self.ready = False
        log.info("worker.started", pid=self.process.pid)

    def is_alive(self) -> bool:
        """Returns whether the process is running."""
        return self.process.is_alive()

    def read_ready(self) -> None:
        """Reads the message that the worker is ready."""
        with suppress(EOFError, OSError):
            self.ready = self.connection.recv_bytes() == READY
            log.info("worker.ready", pid=self.process.pid)

    def retire(self) -> None:
        """Lets the worker finish its accepted requests and stop. `/readyz` does not change."""
        self.connection.close()


@dataclass(slots=True)
class _Slot:
    """A worker and the state of its restarts."""

    worker: Worker
    failures: int = 0
    restart_at: float | None = None


class Supervisor:
    """Keeps a number of workers running."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        workers: int,
        shutdown_delay: float,
        create_worker: Callable[[Sequence[socket.socket]], Worker] = Worker,
        first_pause: float = FIRST_PAUSE_SECONDS,
        longest_wait: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self._sockets = sockets
        self._count = workers
        self._shutdown_delay = shutdown_delay
        self._create_worker = create_worker
        self._first_pause = first_pause
        self._longest_wait = longest_wait
        self._slots: list[_Slot] = []
        # During a reload: the worker that is being replaced, or its successor.
        self._others: list[Worker] = []
        self._stopping_since: float | None = None
        self._must_reload = False
        self._was_ready = False
        self._failed = False

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT. Returns the exit status, which is 1 after a failure."""
        with self._signals():
            try:
                self._supervise()
            finally:
                # Also after an exception: Python does not exit before its child processes.
                self._stop_all()
        return 1 if self._failed else 0

    def _supervise(self) -> None:
        for _ in range(self._count):
            self._slots.append(_Slot(self._create_worker(self._sockets)))
        while not self._must_stop():
            self._step()
            if self._must_reload:
                self._must_reload = False
                self._replace_all()

    def _must_stop(self) -> bool:
        return self._stopping_since is not None or self._failed

    def _step(self) -> None:
        """Waits for the next event, and restarts dead workers."""
        self._wait()
        self._restart_dead()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        self._wakes, wake = os.pipe()
        for end in (self._wakes, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        handlers = {
            signal.SIGTERM: self._on_stop,
            signal.SIGINT: self._on_stop,
            signal.SIGHUP: self._on_reload,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wakes)
            os.close(wake)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stopping_since is None:
            self._stopping_since = now
        elif now - self._stopping_since > _SAME_SIGNAL_SECONDS:
            # A second signal kills all workers. Acknowledged changes are in the database.
            for worker in self._workers():
                worker.process.kill()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._must_reload = True

    def _workers(self) -> list[Worker]:
        return [*(slot.worker for slot in self._slots), *self._others]

    def _wait(self) -> None:
        """Waits until a worker is ready or dead, a signal arrives, or a restart is due."""
        starting = {w.connection: w for w in self._workers() if not w.ready and w.is_alive()}
        sentinels = [worker.process.sentinel for worker in self._workers() if worker.is_alive()]
        now = time.monotonic()
        due = [at for slot in self._slots if (at := slot.restart_at) is not None and at > now]
        timeout = min([*due, now + self._longest_wait]) - now
        for event in connection.wait([self._wakes, *sentinels, *starting], timeout):
            if event == self._wakes:
                os.read(self._wakes, 1024)
            elif isinstance(event, connection.Connection):
                starting[event].read_ready()
                self._was_ready = self._was_ready or starting[event].ready

    def _restart_dead(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.worker.is_alive():
                continue
            if slot.restart_at is None:
                self._schedule_restart(slot, now)
            elif now >= slot.restart_at:
                self._restart(slot, now)

    def _restart(self, slot: _Slot, now: float) -> None:
        worker = self._start()
        if worker is None:
            slot.restart_at = now + self._longest_wait
        else:
            slot.worker, slot.restart_at = worker, None

    def _start(self) -> Worker | None:
        """Returns a new worker, or None if the system has too many processes or open files."""
        try:
            return self._create_worker(self._sockets)
        except OSError as error:
            log.warning("worker.start_failed", cause=error.strerror)
            return None

    def _schedule_restart(self, slot: _Slot, now: float) -> None:
        status = slot.worker.process.exitcode
        slot.worker.connection.close()
        if status == _STARTUP_FAILURE and not self._was_ready:
            # The first start failed. The reason is in the log, and a retry would not help.
            self._failed = True
            return
        was_steady = now - slot.worker.started_at > _STEADY_SECONDS
        slot.failures = 0 if was_steady else slot.failures + 1
        pause = min(self._first_pause * 2 ** (slot.failures - 1), _LONGEST_PAUSE_SECONDS)
        slot.restart_at = now if was_steady else now + pause
        log.error("worker.died", pid=slot.worker.process.pid, status=status, failures=slot.failures)

    def _replace_all(self) -> None:
        """Replaces one worker after the other. Stops if a new worker does not become ready."""
        for slot in self._slots:
            successor = self._start()
            if successor is None:
                return
            self._others = [successor]
            if not self._becomes_ready(successor):
                log.error("worker.reload_failed", pid=successor.process.pid)
                successor.process.terminate()
                return
            replaced, slot.worker, slot.restart_at = slot.worker, successor, None
            self._others = [replaced]
            replaced.retire()
            self._wait_until_drained(replaced)
            if self._must_stop():
                return
        self._others = []

    def _becomes_ready(self, worker: Worker) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while not worker.ready and worker.is_alive() and time.monotonic() < deadline:
            if self._must_stop():
                return False
            self._step()
        return worker.ready

    def _wait_until_drained(self, worker: Worker) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS + _CLOSE_SECONDS
        while worker.is_alive() and time.monotonic() < deadline:
            if self._must_stop():
                return
            self._step()
        worker.process.kill()

    def _stop_all(self) -> None:
        # The workers have copies of the sockets. When they close them, nothing may accept any more.
        for listening in self._sockets:
            listening.close()
        for worker in self._workers():
            worker.process.terminate()
        seconds = self._shutdown_delay + DRAIN_SECONDS + _CLOSE_SECONDS
        self._wait_for_exit(self._workers(), seconds)

    def _wait_for_exit(self, workers: Sequence[Worker], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for worker in workers:
            worker.process.join(max(deadline - time.monotonic(), 0))
            if worker.is_alive():
                log.error("worker.killed", pid=worker.process.pid)
                worker.process.kill()
                worker.process.join()
