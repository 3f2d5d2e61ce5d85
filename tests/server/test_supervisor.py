"""The supervisor: restarts, reloads, signals and the exit status."""

import asyncio
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.app import create_app
from server.supervisor import Supervisor
from server.worker import READY
from tests.api import logged_outages
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import (
    FaultyProxy,
    PostgresqlServer,
    PostgresqlTemplates,
    postgresql_server,
)
from tests.processes import Process, run_command, running_server

SETTINGS = {
    "POSTERN_SECRET_KEY": "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa",
    "POSTERN_PUBLIC_URL": "http://localhost",
}
# A request whose body never arrives.
UNFINISHED = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 10\r\n\r\n"
)
# Eight processes may start at the same time on a machine with two cores.
SOON_SECONDS = 60


@pytest.fixture
def settings(sqlite_url: str) -> dict[str, str]:
    return {**SETTINGS, "POSTERN_DATABASE_URL": sqlite_url}


@pytest.fixture
def server(settings: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    with running_server(tmp_path, settings, "--workers", "2") as server:
        wait_for(lambda: len(ready_workers(server)) == 2)
        yield server


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.05)


def workers(server: Process) -> list[int]:
    """Returns the PIDs of the workers, without Python's resource tracker."""
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    children = [int(pid) for pid in path.read_text("ascii").split()]
    return [pid for pid in children if b"spawn_main" in command_of(pid)]


def ready_workers(server: Process) -> list[int]:
    """Returns the PIDs of the workers that have logged `worker.ready`."""
    lines = [json.loads(line) for line in server.output.splitlines() if '"worker.ready"' in line]
    return [pid for pid in workers(server) if pid in {line["pid"] for line in lines}]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def port_of(server: Process) -> int:
    return int(server.base_url.rpartition(":")[2])


def status(server: Process) -> int:
    return httpx2.get(f"{server.base_url}/readyz", timeout=SOON_SECONDS).status_code


def test_killed_worker_is_restarted_when_the_system_allows_it(server: Process) -> None:
    killed, other = workers(server)
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    # With this limit, the supervisor cannot create a pipe to a new worker.
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: '"worker.start_failed"' in server.output)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
    wait_for(lambda: len(ready_workers(server)) == 2 and killed not in workers(server))
    assert other in workers(server)
    assert status(server) == 200
    assert '"worker.died"' in server.output
    assert server.stop() == 0


def test_sigterm_stops_all_workers_with_status_0(server: Process) -> None:
    pids = workers(server)
    assert server.stop() == 0
    assert not any(is_running(pid) for pid in pids)
    assert "Traceback" not in server.output


@pytest.mark.soak
def test_sigterm_refuses_connections_as_soon_as_no_worker_accepts_them(
    settings: dict[str, str], tmp_path: Path
) -> None:
    with running_server(tmp_path, settings, "--workers", "2") as server:
        wait_for(lambda: len(ready_workers(server)) == 2)
        # While it drains, a worker waits for the body.
        with socket.create_connection(("127.0.0.1", port_of(server))) as unfinished:
            unfinished.sendall(UNFINISHED)
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: not accepts(server))
            assert server.process.poll() is None
        assert server.process.wait(timeout=SOON_SECONDS) == 0


def accepts(server: Process) -> bool:
    """Returns whether a connection is accepted. An accepted one must be answered."""
    try:
        reply = httpx2.get(f"{server.base_url}/healthz", timeout=5)
    except httpx2.ConnectError:
        return False
    except httpx2.ReadError:
        # Accepted just before the server stopped.
        return True
    assert reply.status_code == 200
    return True


def test_workers_exit_and_free_the_port_if_the_supervisor_is_killed(
    server: Process, settings: dict[str, str], tmp_path: Path
) -> None:
    pids = workers(server)
    server.process.kill()
    wait_for(lambda: not any(is_running(pid) for pid in pids))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port_of(server)))


@pytest.mark.soak
def test_sighup_replaces_every_worker_without_a_lost_request(server: Process) -> None:
    stop = False

    def ask() -> set[int]:
        statuses = set()
        # Each request uses a new connection. The old workers must not lose any.
        while not stop:
            statuses.add(httpx2.get(f"{server.base_url}/readyz", timeout=30).status_code)
        return statuses

    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            for _ in range(2):
                reload(server)
        finally:
            stop = True
        assert {status for each in asking for status in each.result()} == {200}
    assert server.stop() == 0


def reload(server: Process) -> None:
    """Sends SIGHUP and waits until every worker is replaced."""
    before = workers(server)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: is_replaced(server, before))


def is_replaced(server: Process, before: list[int]) -> bool:
    ready = ready_workers(server)
    return len(ready) == 2 and not set(ready) & set(before) and len(workers(server)) == 2


def test_second_sigterm_kills_all_workers(server: Process) -> None:
    pids = workers(server)
    with socket.create_connection(("127.0.0.1", port_of(server))) as unfinished:
        unfinished.sendall(UNFINISHED)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1.2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=SOON_SECONDS) == -signal.SIGTERM
    wait_for(lambda: not any(is_running(pid) for pid in pids))


# Failures


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="module")
def own_settings(own_server: PostgresqlServer) -> Iterator[dict[str, str]]:
    """Settings with a database that a test may stop."""
    with closing(PostgresqlTemplates(own_server.folder)) as templates:
        yield {**SETTINGS, "POSTERN_DATABASE_URL": templates.new_uncached()}


@pytest.mark.parametrize("count", [1, 2])
def test_failed_start_exits_with_1(tmp_path: Path, count: int) -> None:
    done = run_command(tmp_path, "serve", "--workers", str(count), **SETTINGS)
    assert done.returncode == 1
    assert "postern migrate" in done.stderr


class ScriptedWorker:
    """A fake worker that becomes ready or not, and exits with the given status."""

    def __init__(self, status: int, *, becomes_ready: bool) -> None:
        self.connection, worker_end = Pipe()
        self.sentinel, other_end = Pipe()
        self._pipes = self.connection, worker_end, self.sentinel, other_end
        self._becomes_ready = becomes_ready
        self.ready = False
        self.started_at = time.monotonic()
        self.pid, self.exitcode, self.process = 1, status, self
        if becomes_ready:
            worker_end.send_bytes(READY)

    def is_alive(self) -> bool:
        return self._becomes_ready and not self.ready

    def read_ready(self) -> None:
        self.ready = True

    def terminate(self) -> None:
        """Does nothing: the worker has already exited."""

    def join(self, timeout: float) -> None:
        """Does nothing: the worker has already exited."""

    def close(self) -> None:
        """Closes the pipes."""
        for pipe in self._pipes:
            pipe.close()


STARTUP_FAILURE = 3


def supervise(*script: ScriptedWorker) -> tuple[int, int]:
    """Runs these workers one after the other, then sends SIGTERM. Returns status and starts."""
    started: list[ScriptedWorker] = []

    def start(_sockets: object) -> Any:
        if len(started) == len(script):
            os.kill(os.getpid(), signal.SIGTERM)
            return script[-1]
        started.append(script[len(started)])
        return started[-1]

    supervisor = Supervisor(
        [], workers=1, shutdown_delay=0, create_worker=start, first_pause=0.01, longest_wait=0.05
    )
    status = supervisor.run()
    for worker in script:
        worker.close()
    return status, len(started)


def test_first_start_that_fails_ends_the_server_with_status_1() -> None:
    script = [ScriptedWorker(STARTUP_FAILURE, becomes_ready=False) for _ in range(3)]
    assert supervise(*script) == (1, 1)


def test_worker_that_cannot_start_after_one_was_ready_is_restarted() -> None:
    killed = ScriptedWorker(-signal.SIGKILL, becomes_ready=True)
    replacements = [ScriptedWorker(STARTUP_FAILURE, becomes_ready=False) for _ in range(3)]
    assert supervise(killed, *replacements) == (0, 4)


def test_worker_that_is_killed_while_it_starts_is_restarted() -> None:
    script = [ScriptedWorker(-signal.SIGKILL, becomes_ready=False) for _ in range(3)]
    assert supervise(*script) == (0, 3)


@pytest.mark.soak
def test_worker_that_dies_during_an_outage_and_a_reload_is_restarted(
    own_server: PostgresqlServer, own_settings: dict[str, str], tmp_path: Path
) -> None:
    with running_server(tmp_path, own_settings, "--workers", "2") as server:
        wait_for(lambda: len(ready_workers(server)) == 2)
        own_server.crash()
        before = workers(server)
        # The reload is blocked, because its first worker waits for the database.
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(workers(server)) == 3)
        os.kill(before[1], signal.SIGKILL)
        wait_for(lambda: len(workers(server)) == 3 and before[1] not in workers(server))
        wait_for(lambda: '"database.unavailable"' in server.output)
        own_server.start()
        wait_for(lambda: is_replaced(server, before))
        wait_for(lambda: status(server) == 200)
        assert server.stop() == 0


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_workers_that_wait_for_the_database(
    own_server: PostgresqlServer, own_settings: dict[str, str], tmp_path: Path, number: int
) -> None:
    with running_server(tmp_path, own_settings, "--workers", "2") as server:
        wait_for(lambda: len(ready_workers(server)) == 2)
        own_server.crash()
        try:
            before = workers(server)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(set(workers(server)) - set(before)) == 2)
            wait_for(lambda: server.output.count('"database.unavailable"') > 1)
            server.process.send_signal(number)
            assert server.process.wait(timeout=SOON_SECONDS) == 0
        finally:
            own_server.start()


async def test_lifespan_waits_for_the_database(
    postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with FaultyProxy.to(postgresql_url) as line:
        line.refuse()
        app = create_app(make_settings(line.url, tmp_path), clock=clock)
        async with AsyncExitStack() as stack:
            lifespan = app.router.lifespan_context(app)
            with logged_outages() as causes:
                starting = asyncio.create_task(stack.enter_async_context(lifespan))
                await asyncio.sleep(0.2)
            assert not starting.done()
            assert causes
            line.recover()
            await starting
