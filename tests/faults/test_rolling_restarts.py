"""Rolling restarts behind nginx lose no requests."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.faults.proxies import HOST, Proxy, is_installed, running_proxy
from tests.processes import Process, free_port, running_server
from tests.server.test_supervisor import ready_workers, reload, wait_for

pytestmark = [
    pytest.mark.skipif(not is_installed("nginx"), reason="nginx is not installed"),
    pytest.mark.soak,
]

CLIENTS = 4
RESTARTS = 2
ASK = {"query": 'mutation { refreshTokens(input: {refreshToken: "x"}) { errors { code } } }'}


@contextmanager
def machine(folder: Path, database_url: str, port: int) -> Iterator[Process]:
    """Starts a server with two workers on a fixed port."""
    settings = {
        "POSTERN_SECRET_KEY": "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa",
        "POSTERN_PUBLIC_URL": f"https://{HOST}",
        "POSTERN_DATABASE_URL": database_url,
        "POSTERN_TRUSTED_PROXIES": "127.0.0.1",
    }
    arguments = ("--workers", "2", "--port", str(port))
    with running_server(folder, settings, *arguments, port=port) as server:
        wait_for(lambda: len(ready_workers(server)) == 2)
        yield server


class Load:
    """Clients that send POST requests without a pause, with counts of the replies by status."""

    def __init__(self, proxy: Proxy) -> None:
        self.statuses: Counter[int] = Counter()
        self._proxy = proxy
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs the clients during the block. Raises the exception of a failed request."""
        with ThreadPoolExecutor() as pool:
            asking = [pool.submit(self._ask) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                self._stop.set()
            for each in asking:
                self.statuses += each.result()

    def _ask(self) -> Counter[int]:
        statuses: Counter[int] = Counter()
        url = f"https://127.0.0.1:{self._proxy.port}/graphql"
        tls = self._proxy.tls
        tls.check_hostname = False
        with httpx2.Client(verify=tls, headers={"Host": HOST}, timeout=60) as client:
            while not self._stop.is_set():
                statuses[client.post(url, json=ASK).status_code] += 1
        return statuses


def test_rolling_restart_of_two_machines_behind_nginx_loses_no_request(
    postgresql_url: str, tmp_path: Path
) -> None:
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        machines = [stack.enter_context(ExitStack()) for _ in ports]
        servers = [
            each.enter_context(machine(tmp_path, postgresql_url, port))
            for each, port in zip(machines, ports, strict=True)
        ]
        load = Load(stack.enter_context(running_proxy("nginx", tmp_path, *ports)))
        with load.running():
            for number in [0, 1] * RESTARTS:
                assert servers[number].stop() == 0
                machines[number].close()
                fresh = machine(tmp_path, postgresql_url, ports[number])
                servers[number] = machines[number].enter_context(fresh)
        assert set(load.statuses) == {200}


def test_reload_of_one_machine_behind_nginx_loses_no_request(
    postgresql_url: str, tmp_path: Path
) -> None:
    port = free_port()
    with (
        machine(tmp_path, postgresql_url, port) as server,
        running_proxy("nginx", tmp_path, port) as proxy,
    ):
        load = Load(proxy)
        with load.running():
            for _ in range(RESTARTS):
                reload(server)
        assert set(load.statuses) == {200}
        assert server.stop() == 0
