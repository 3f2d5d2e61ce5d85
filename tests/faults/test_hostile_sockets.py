"""A hostile WebSocket is closed soon and does not delay other clients."""

import asyncio
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import pytest

from server.http.socket_protocol import FRAME_BURST
from tests.databases import SqliteTemplates
from tests.faults.cluster import one_of_cluster
from tests.faults.wire import SMALL_BUFFER, Wire, head, wire
from tests.processes import Process
from tests.sockets import PROTOCOL

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
ASK = {"query": "{ __typename }"}


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("hostile")
    with one_of_cluster(folder, sqlite_templates.new(folder)) as process:
        yield process
        assert "Traceback" not in process.output
        assert "internal_error" not in process.output


def upgrade(**more: str) -> bytes:
    return head(
        "GET",
        upgrade="websocket",
        connection="Upgrade",
        sec_websocket_version="13",
        sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==",
        sec_websocket_protocol=PROTOCOL,
        **more,
    )


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, flags: int = 0) -> bytes:
    """Returns a frame of a client, masked with zeros."""
    length = len(data)
    if length < 126:
        size = struct.pack("!B", 0x80 | length)
    else:
        size = struct.pack("!BH", 0x80 | 126, length)
    return bytes([(0x80 if fin else 0) | flags | opcode]) + size + b"\0\0\0\0" + data


async def open_socket(line: Wire, **more: str) -> bytes:
    await line.send(upgrade(**more))
    return await line.reader.readuntil(b"\r\n\r\n")


GRAPHQL_PING = frame(TEXT, b'{"type": "ping"}')
FLOODS = {
    "pings of the protocol": frame(PING, b"x" * 125) * 20_000,
    "empty pings of the protocol": frame(PING) * 100_000,
    "pongs of the protocol": frame(PONG) * 100_000,
    "messages": GRAPHQL_PING * 20_000,
    "empty messages": frame(TEXT) * 50_000,
    "pieces of one message": frame(TEXT, b"a", fin=False) + frame(0, b"a", fin=False) * 50_000,
    "empty pieces of one message": frame(TEXT, fin=False) + frame(0, fin=False) * 50_000,
    "text that is not UTF-8, and a close": frame(TEXT, b"\xff") + frame(CLOSE),
}


@pytest.mark.parametrize("case", FLOODS)
async def test_flood_closes_the_socket(server: Process, case: str) -> None:
    async with wire(server) as line:
        await open_socket(line)
        reading = asyncio.create_task(line.rest(within_seconds=20))
        await line.send(FLOODS[case])
        received = await reading
    # The size of the replies before the close is limited.
    assert len(received) < 2 * FRAME_BURST * 127


BROKEN = {
    "text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "a compressed message": (frame(TEXT, b"\xaa\x56", flags=0x40), 1002),
    "a piece of nothing": (frame(0, b"a"), 1002),
    "an unknown opcode": (frame(5, b"a"), 1002),
    "bytes": (frame(BINARY, b"{}"), 4400),
    "a long message in pieces": (
        frame(TEXT, b"a" * 1000, fin=False) + frame(0, b"a" * 1000, fin=False) * 70,
        1009,
    ),
    "many pieces": (frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * 410, 4429),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_broken_frame_closes_the_socket_with_its_code(server: Process, case: str) -> None:
    data, code = BROKEN[case]
    async with wire(server) as line:
        await open_socket(line)
        await line.send(data)
        received = await line.reader.readexactly(4)
    assert (received[0], *struct.unpack_from("!H", received, 2)) == (0x80 | CLOSE, code)


async def test_compression_is_not_negotiated(server: Process) -> None:
    async with wire(server) as line:
        reply = await open_socket(line, sec_websocket_extensions="permessage-deflate")
    assert b"101 Switching Protocols" in reply
    assert b"permessage-deflate" not in reply.lower()


async def test_few_pings_are_answered(server: Process) -> None:
    async with wire(server) as line:
        await open_socket(line)
        await line.send(frame(PING, b"one") + frame(PING, b"two") + GRAPHQL_PING)
        expected = b"\x8a\x03one\x8a\x03two\x81\x0f" + b'{"type":"pong"}'
        assert await line.reader.readexactly(len(expected)) == expected


async def test_client_that_does_not_read_costs_little_memory(server: Process) -> None:
    before = server.resident_bytes
    for _ in range(5):
        async with wire(server, buffer=SMALL_BUFFER) as line:
            await open_socket(line)
            await send_without_reading(line, frame(PING, b"x" * 125) * 100)
    assert server.resident_bytes - before < 20_000_000


async def send_without_reading(line: Wire, data: bytes) -> None:
    """Sends for some seconds, or until the connection is closed."""
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(3):
            while True:
                line.writer.write(data)
                await line.writer.drain()
                await asyncio.sleep(0)


# Delays of other clients

FLOODER = """
import socket, sys
port, upgrade, flood = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
flood *= 100_000 // len(flood)
print("ready", flush=True)
while True:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.settimeout(5)
        try:
            line.sendall(upgrade)
            line.recv(4096)
            while True:
                line.sendall(flood)
        except OSError:
            pass
"""


@contextmanager
def flooding(server: Process, data: bytes) -> Iterator[None]:
    """Runs a process that sends as fast as it can, and reconnects when it is closed."""
    port = str(urlsplit(server.base_url).port)
    process = subprocess.Popen(
        [sys.executable, "-c", FLOODER, port, upgrade().hex(), data.hex()],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.nice(10),  # noqa: PLW1509 - the machine has few cores
    )
    try:
        assert process.stdout
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


async def seconds_of_requests(client: httpx2.AsyncClient) -> float:
    """Returns the median duration of many requests."""
    taken = []
    for _ in range(60):
        started = time.perf_counter()
        assert (await client.post("/graphql", json=ASK)).status_code == 200
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) // 2]


@pytest.mark.parametrize("data", [GRAPHQL_PING, frame(PING, b"x" * 125)], ids=["text", "ping"])
async def test_requests_are_served_while_a_hostile_socket_sends(
    server: Process, data: bytes
) -> None:
    async with httpx2.AsyncClient(base_url=server.base_url) as client:
        await seconds_of_requests(client)
        calm = await seconds_of_requests(client)
        with flooding(server, data):
            hostile = await seconds_of_requests(client)
    assert hostile < 20 * calm
