"""A worker process: connections that arrive during the shutdown."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from server.http.connection_watchdog import http_protocol
from server.http.timed_protocol import LAST_REQUESTS_SECONDS
from server.worker import Server, run

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def new_server() -> Server:
    config = uvicorn.Config(app, lifespan="off", log_config=None, http=http_protocol(10.0))
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    server.servers = []
    return server


async def test_pending_connection_is_answered_during_shutdown() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    # Not accepted yet, like a connection that arrives just before the shutdown.
    with socket.create_connection(address) as client:
        client.sendall(REQUEST)
        await new_server().shutdown([listening])
        client.settimeout(10)
        reply = await asyncio.to_thread(client.recv, 1000)
    assert reply.startswith(b"HTTP/1.1 200")
    assert reply.endswith(b"ok")


async def test_connection_after_shutdown_is_refused() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    await new_server().shutdown([listening])
    with socket.socket() as client:
        assert client.connect_ex(address) != 0


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Restores the handler of SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("own_signals")
def test_failed_start_exits_with_3() -> None:
    """Service managers and the supervisor depend on the exit status."""

    async def cannot_start(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("no database")

    server = Server(uvicorn.Config(cannot_start, lifespan="on", log_config=None))
    with pytest.raises(SystemExit) as end, closing(socket.create_server(("127.0.0.1", 0))) as own:
        run(server, [own])
    assert end.value.code == 3


def test_request_that_arrives_while_the_last_timer_is_due_is_answered() -> None:
    """Regression: the event loop had not read the request, and a proxy answered 502."""

    async def ask_at_the_last_moment() -> bytes:
        server, loop = new_server(), asyncio.get_running_loop()
        create: Any = server.config.http_protocol_class
        listening = await loop.create_server(
            lambda: create(server.config, server.server_state, {}), "127.0.0.1", 0
        )
        address = listening.sockets[0].getsockname()
        with closing(listening), socket.create_connection(address) as client:
            client.settimeout(60)
            client.sendall(REQUEST)
            await asyncio.to_thread(client.recv, 1000)
            # Due at the same time as the timer of the shutdown, and called before it.
            loop.call_later(LAST_REQUESTS_SECONDS, client.sendall, REQUEST)
            for connection in server.server_state.connections:
                connection.shutdown()
            return await asyncio.to_thread(client.recv, 1000)

    reply = uvloop.run(ask_at_the_last_moment())
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in reply.lower()
