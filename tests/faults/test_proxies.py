"""Clients behind a real proxy: their replies must never be mixed up."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.accounts import BOB
from tests.api import LOGIN
from tests.databases import SqliteTemplates
from tests.faults.cluster import one_of_cluster
from tests.faults.proxies import HOST, PROXIES, Proxy, is_installed, running_proxy
from tests.faults.request_attacks import CLOSED, PADDED, REFUSED, SERVED, answered
from tests.faults.wire import GONE, Wire, head, post
from tests.processes import Process
from tests.sockets import PROTOCOL

ATTACKS = {**PADDED, **SERVED, **REFUSED, **CLOSED}
# After some attacks a proxy waits for more data. The others are answered in milliseconds.
ATTACK_SECONDS = 0.5
LOGIN_BODY = orjson.dumps(
    {
        "query": LOGIN,
        "variables": {"input": {"username": BOB.username, "password": BOB.password}},
    }
)


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("behind_proxies")
    settings = {
        "POSTERN_PUBLIC_URL": f"https://{HOST}",
        "POSTERN_TRUSTED_PROXIES": "127.0.0.1",
        "POSTERN_THROTTLE": "off",
    }
    with one_of_cluster(folder, sqlite_templates.new(folder), **settings) as process:
        yield process
        assert "Traceback" not in process.output


@pytest.fixture(scope="module", params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, server: Process, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    name = request.param
    if not is_installed(name):
        pytest.skip(f"{name} is not installed")
    port = urlsplit(server.base_url).port
    assert port
    with running_proxy(name, tmp_path_factory.mktemp(name), port) as running:
        yield running


@asynccontextmanager
async def client_of(proxy: Proxy) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", proxy.port, ssl=proxy.tls, server_hostname=HOST
    )
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


class Victim:
    """A client that repeatedly logs in on one connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._count = 0

    async def log_in(self) -> None:
        """Logs in, and checks that the reply belongs to this request."""
        self._count += 1
        request_id = f"victim-{self._count}"
        await self._wire.send(post(LOGIN_BODY, host=HOST, x_request_id=request_id))
        async with asyncio.timeout(10):
            reply = await self._wire.reader.readuntil(b"\r\n\r\n")
            length = reply.lower().partition(b"content-length:")[2].split()[0]
            body = await self._wire.reader.readexactly(int(length))
        assert answered(reply) == [request_id.encode()]
        assert json.loads(body)["data"]["login"]["user"]["username"] == BOB.username


async def received(wire: Wire, end: bytes) -> bytes:
    """Reads until these bytes, until the proxy closes the connection, or for a short time."""
    replies = b""
    with suppress(TimeoutError, *GONE):
        async with asyncio.timeout(ATTACK_SECONDS):
            while end not in replies and (data := await wire.reader.read(65_536)):
                replies += data
    return replies


@pytest.mark.soak
async def test_replies_of_two_clients_never_cross(proxy: Proxy) -> None:
    async with client_of(proxy) as wire:
        victim = Victim(wire)
        for name, request in ATTACKS.items():
            async with client_of(proxy) as attacker:
                await attacker.send(request.replace(b"localhost\r\n", HOST.encode() + b"\r\n"))
                replies, _ = await asyncio.gather(received(attacker, b"\r\n"), victim.log_in())
                # The proxy uses the connection of the attack for the next request.
                await victim.log_in()
                await attacker.send(head("GET", "/healthz", host=HOST, x_request_id="next"))
                replies += await received(attacker, b"x-request-id: next")
                await victim.log_in()
            assert b"victim" not in replies, name
            assert b"accessToken" not in replies, name


@pytest.mark.parametrize("protocol", ["h2c", "foo", "websocket, h2c"])
async def test_upgrade_is_served_as_an_ordinary_request(proxy: Proxy, protocol: str) -> None:
    async with client_of(proxy) as wire:
        headers = {"host": HOST, "connection": "Upgrade", "upgrade": protocol}
        for _ in range(3):
            await wire.send(post(b'{"query": "{ __typename }"}', **headers))
            status, body = await wire.reply()
            assert (status, json.loads(body)) == (200, {"data": {"__typename": "Query"}})


async def test_websockets_work_through_the_proxy(proxy: Proxy) -> None:
    async with connect(
        f"wss://{HOST}/graphql",
        host="127.0.0.1",
        port=proxy.port,
        ssl=proxy.tls,
        subprotocols=[Subprotocol(PROTOCOL)],
    ) as socket:
        await socket.send('{"type": "ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}


async def test_metrics_are_not_reachable_from_outside(proxy: Proxy) -> None:
    async with client_of(proxy) as wire:
        await wire.send(head("GET", "/metrics", host=HOST))
        reply = await wire.reader.readuntil(b"\r\n\r\n")
        assert b" 404 " in reply
