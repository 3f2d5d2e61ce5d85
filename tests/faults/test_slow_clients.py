"""Slow clients are disconnected and do not affect other clients."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx2
import orjson
import pytest
from graphql import get_introspection_query
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.databases import SqliteTemplates
from tests.faults.cluster import one_of_cluster
from tests.faults.wire import SMALL_BUFFER, head, post, wire
from tests.processes import Process
from tests.sockets import PROTOCOL

SECONDS = 0.5
# The keep-alive timeout of uvicorn.
KEEP_ALIVE_SECONDS = 5
# The watchdog checks each quarter of the time, and the machine can be busy.
BY_THEN = SECONDS + 2

ASK = b'{"query": "{ __typename }"}'
REPEATS = 100
MUCH = orjson.dumps({"query": get_introspection_query()})


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("slow")
    url = sqlite_templates.new(folder)
    with one_of_cluster(folder, url, POSTERN_REQUEST_TIMEOUT=str(SECONDS)) as process:
        yield process
        assert "Traceback" not in process.output
        assert "http.internal_error" not in process.output


async def is_served_at_once(server: Process) -> None:
    async with httpx2.AsyncClient(base_url=server.base_url) as client:
        started = time.monotonic()
        reply = await client.post("/graphql", content=ASK, headers={"Content-Type": JSON})
        assert reply.status_code == 200
        assert time.monotonic() - started < 1


JSON = "application/json"


@pytest.mark.parametrize(
    "sent",
    [
        head()[:-2],
        b"POST /gra",
        post(ASK) + head()[:-2],
        head(content_length="100"),
        head(content_length="100") + b'{"que',
        head(transfer_encoding="chunked") + b"5\r\nhello\r\n",
        head(path="/token", content_length="10", content_type="application/x-www-form-urlencoded"),
    ],
    ids=["head", "line", "second head", "body", "half body", "chunks", "form"],
)
async def test_incomplete_request_is_answered_408(server: Process, sent: bytes) -> None:
    async with wire(server) as client:
        await client.send(sent)
        if sent.startswith(post(ASK)):
            assert await client.status() == 200
        await is_served_at_once(server)
        end = await client.rest(within_seconds=BY_THEN)
    assert end.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in end.lower()


@pytest.mark.parametrize(
    ("sent", "drop"),
    [(head()[:-2], b"x: y\r\n"), (head(content_length="9999"), b" ")],
    ids=["head", "body"],
)
async def test_slow_bytes_do_not_extend_the_timeout(
    server: Process, sent: bytes, drop: bytes
) -> None:
    async with wire(server) as client:
        await client.send(sent)
        ending = asyncio.create_task(client.rest(within_seconds=BY_THEN))
        while not ending.done():
            await client.send(drop)
            await asyncio.sleep(0.05)
        assert b" 408 " in ending.result()


@pytest.mark.parametrize("drops", [b"", b"\r\n"], ids=["silence", "empty lines"])
async def test_connection_without_a_request_is_closed_without_a_reply(
    server: Process, drops: bytes
) -> None:
    async with wire(server) as client:
        ending = asyncio.create_task(client.rest(within_seconds=BY_THEN))
        while not ending.done():
            await client.send(drops)
            await asyncio.sleep(0.05)
        assert ending.result() == b""


@pytest.mark.parametrize("sent_on", [b"", b"\r\n"], ids=["silence", "empty lines"])
async def test_idle_connection_is_closed(server: Process, sent_on: bytes) -> None:
    async with wire(server) as client:
        assert await client.ask(post(ASK)) == 200
        ending = asyncio.create_task(client.rest(within_seconds=KEEP_ALIVE_SECONDS + 2))
        while not ending.done():
            await client.send(sent_on)
            await asyncio.sleep(0.05)
        assert ending.result() == b""


async def test_connection_stays_open_for_the_next_request(server: Process) -> None:
    async with wire(server) as client:
        assert await client.ask(post(ASK)) == 200
        await asyncio.sleep(KEEP_ALIVE_SECONDS - 1)
        assert await client.ask(post(ASK)) == 200


async def test_unread_body_does_not_keep_the_connection_open(server: Process) -> None:
    async with wire(server) as client:
        assert await client.ask(head("PUT", content_length="9999")) == 405
        ending = asyncio.create_task(client.rest(within_seconds=BY_THEN))
        while not ending.done():
            await client.send(b" ")
            await asyncio.sleep(0.05)
        assert ending.result() == b""


async def test_client_that_half_closes_gets_its_reply(server: Process) -> None:
    for _ in range(20):
        async with wire(server) as client:
            await client.send(post(ASK))
            client.writer.write_eof()
            assert await client.status() == 200
            assert await client.rest() == b""


async def test_client_that_half_closes_within_a_request_is_disconnected(server: Process) -> None:
    async with wire(server) as client:
        await client.send(head(content_length="100") + b'{"que')
        client.writer.write_eof()
        assert await client.rest(within_seconds=SECONDS / 2) == b""


async def test_slow_client_within_the_timeout_is_served(server: Process) -> None:
    request = post(ASK)
    async with wire(server) as client:
        for start in range(0, len(request), 40):
            await client.send(request[start : start + 40])
            await asyncio.sleep(SECONDS / 10)
        assert await client.status() == 200
        # Between requests, uvicorn's keep-alive timeout applies, which is longer.
        await asyncio.sleep(SECONDS * 1.8)
        assert await client.ask(request) == 200


async def test_client_that_does_not_read_a_large_reply_is_disconnected(server: Process) -> None:
    async with wire(server, buffer=SMALL_BUFFER) as client:
        # More than the system buffers for both sides. The client reads nothing.
        client.writer.write(post(MUCH) * REPEATS)
        await wait_for_timeout_log(server, "reading")
        await is_served_at_once(server)
        received = await client.rest()
    assert received.count(b"HTTP/1.1 200") < REPEATS


async def test_client_that_reads_slowly_gets_the_whole_large_reply(server: Process) -> None:
    async with wire(server, buffer=SMALL_BUFFER) as client:
        await client.send(post(MUCH, connection="close"))
        received = b""
        while data := await client.reader.read(SMALL_BUFFER):
            received += data
            await asyncio.sleep(SECONDS / 10)
    assert len(json.loads(received.partition(b"\r\n\r\n")[2])["data"]["__schema"]["types"]) > 50


async def test_thousand_idle_connections_do_not_affect_other_clients(server: Process) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(wire(server)) for _ in range(1000)]
        await is_served_at_once(server)
        ends = await asyncio.gather(*(client.rest(within_seconds=10) for client in clients))
        assert set(ends) == {b""}
        await is_served_at_once(server)


async def test_websocket_has_other_timeouts(server: Process) -> None:
    url = server.base_url.replace("http", "ws", 1) + "/graphql"
    async with connect(url, subprotocols=[Subprotocol(PROTOCOL)]) as socket:
        await asyncio.sleep(BY_THEN)
        await socket.send('{"type": "ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}


@pytest.mark.parametrize(
    "request_",
    [
        head("POST", upgrade="websocket", connection="Upgrade"),
        head("GET", upgrade="websocket", connection="Upgrade", x="y" * 9000),
        head(
            "GET", upgrade="websocket", connection="Upgrade", **{f"x{i}": "y" for i in range(200)}
        ),
    ],
    ids=["post", "long header", "many headers"],
)
async def test_invalid_handshake_is_refused(server: Process, request_: bytes) -> None:
    async with wire(server) as client:
        assert await client.ask(request_) in {400, 405}


async def wait_for_timeout_log(server: Process, awaited: str) -> None:
    async with asyncio.timeout(15):
        while awaited not in server.output.partition("http.client_timeout")[2]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
