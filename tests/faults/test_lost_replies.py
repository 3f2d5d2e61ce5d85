"""Lost replies to a refresh: the client repeats it with its idempotency key.

The grace window is closed in these tests, as if each outage were longer than it.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.api import Client, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import FaultyProxy, PostgresqlServer, PostgresqlTemplates, postgresql_server
from tests.faults.cluster import clients, cluster, one_of_cluster, signed_in
from tests.faults.standby import Standby, synchronous_standby
from tests.processes import Process
from tests.sessions import Device

NO_GRACE = {"POSTERN_REFRESH_GRACE": "0"}
DEVICES = 5


class CarefulDevice:
    """A client as in docs/sign-in.md: it keeps the idempotency key until the reply is stored."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.key: str | None = None
        self.statuses: list[int] = []

    async def refresh(self, *, api: Client | None = None) -> bool:
        """Tries once. Returns whether the reply arrived and is stored."""
        self.device.api = api or self.device.api
        self.key = self.key or uuid4().hex
        try:
            reply = await self.device.request_refresh(key=self.key)
        except httpx2.TransportError:
            return False
        self.statuses.append(reply.status_code)
        if reply.status_code != 200:
            return False
        payload = reply.json()["data"]["refreshTokens"]
        assert payload["errors"] == []
        self.device.keep(payload["tokens"])
        self.key = None
        return True


@asynccontextmanager
async def killing_proxy(server: Process) -> AsyncIterator[str]:
    """Forwards one request. Kills the server at the first byte of the reply and drops the reply."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = int(server.base_url.rpartition(":")[2])
        replies, requests = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(_copy(reader, requests))
        await replies.read(1)
        server.process.send_signal(signal.SIGKILL)
        asking.cancel()
        for stream in (writer, requests):
            stream.transport.abort()

    proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    finally:
        proxy.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def test_refresh_survives_a_kill_between_commit_and_reply(
    database_url: str, tmp_path: Path
) -> None:
    careful: CarefulDevice | None = None
    for _ in range(2):
        with one_of_cluster(tmp_path, database_url, **NO_GRACE) as server:
            async with clients([server]) as (client,):
                careful = careful or CarefulDevice(await signed_in(client))
                assert await careful.refresh(api=client)
            async with (
                killing_proxy(server) as address,
                httpx2.AsyncClient(base_url=address, headers={"Host": "localhost"}) as lost,
            ):
                assert not await careful.refresh(api=Client(lost))
            server.process.wait(timeout=10)
    with one_of_cluster(tmp_path, database_url, **NO_GRACE) as server:
        async with clients([server]) as (client,):
            assert careful
            assert await careful.refresh(api=client)
            assert await careful.device.is_signed_in()


@pytest.fixture
async def line(postgresql_url: str) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy.to(postgresql_url) as line:
        yield line


async def test_refresh_whose_commit_is_unknown_is_repeated_hours_later(
    line: FaultyProxy, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(line.url, tmp_path), clock) as api:
        careful = CarefulDevice(await signed_in(api))
        line.breaks_after = b"COMMIT;"
        assert not await careful.refresh()
        line.breaks_after = None
        clock.tick(hours=12)
        assert await careful.refresh()
        assert await careful.device.is_signed_in()
        assert careful.statuses == [503, 200]


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="module")
def own_url(own_server: PostgresqlServer) -> Iterator[str]:
    with closing(PostgresqlTemplates(own_server.folder)) as templates:
        yield templates.new_uncached()


@pytest.fixture
def standby(own_server: PostgresqlServer, own_url: str) -> Iterator[Standby]:
    with synchronous_standby(own_server) as standby:
        yield standby


@pytest.mark.soak
async def test_stopped_synchronous_standby_ends_no_sessions(
    standby: Standby, own_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, own_url, POSTERN_REFRESH_GRACE="0") as processes:
        async with clients(processes) as both:
            all_of_them = [CarefulDevice(await signed_in(both[n % 2])) for n in range(DEVICES)]
            assert await _refresh_all(all_of_them) == DEVICES
            await asyncio.to_thread(standby.stop)
            for _ in range(2):
                # Committed on the primary, but not acknowledged.
                assert await _refresh_all(all_of_them) == 0
            await asyncio.to_thread(standby.start)
            async with asyncio.timeout(60):
                while waiting := [careful for careful in all_of_them if careful.key]:
                    await _refresh_all(waiting)
            assert {s for careful in all_of_them for s in careful.statuses} == {200, 503}
            for careful in all_of_them:
                assert await careful.refresh()
                assert await careful.device.is_signed_in()


async def _refresh_all(devices: list[CarefulDevice]) -> int:
    return sum(await asyncio.gather(*(careful.refresh() for careful in devices)))
