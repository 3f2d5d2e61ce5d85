"""SIGTERM: running requests are finished, and new ones are refused."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.accounts import ALICE
from tests.api import LOGIN, codes
from tests.emails import SmtpServer
from tests.faults.cluster import clients, one_of_cluster
from tests.faults.wire import Wire, head, post, wire
from tests.processes import Process
from tests.sockets import PROTOCOL

# A hash takes two thirds of a second or more.
SLOW_HASHES = {"POSTERN_BCRYPT_COST": "13", "POSTERN_REQUEST_TIMEOUT": "2"}
RESET = """mutation($input: RequestPasswordResetInput!) {
  requestPasswordReset(input: $input) { emailSentTo }
}"""
ASK = b'{"query": "{ __typename }"}'


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path) -> Iterator[Process]:
    with one_of_cluster(tmp_path, sqlite_url, **SLOW_HASHES) as process:
        yield process


def start_slow_login(client: Any) -> asyncio.Task[Any]:
    """Starts a slow login."""
    variables = {"input": {"username": "unknown", "password": "wrong"}}
    return asyncio.create_task(client.data(LOGIN, variables))


async def ask_soon(client: Wire, number: int) -> int:
    """Sends a request at a time within a fifth of a second that depends on the number."""
    await asyncio.sleep(number * 0.002)
    return await client.ask(post(ASK))


async def open_socket(server: Process, token: str) -> ClientConnection:
    url = server.base_url.replace("http", "ws", 1) + "/graphql"
    socket = await connect(url, subprotocols=[Subprotocol(PROTOCOL)])
    await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": token}}))
    assert json.loads(await socket.recv()) == {"type": "connection_ack"}
    return socket


async def exit_code(server: Process) -> int:
    return await asyncio.to_thread(server.process.wait, 60)


async def test_running_requests_are_finished_and_sockets_are_closed(server: Process) -> None:
    async with clients([server]) as (client,), AsyncExitStack() as stack:
        token = await client.log_in(ALICE)
        sockets = [await open_socket(server, f"Bearer {token}") for _ in range(3)]
        idle = await stack.enter_async_context(wire(server))
        half = await stack.enter_async_context(wire(server))
        await half.send(head(content_length="10"))
        logins = [start_slow_login(client) for _ in range(2)]
        await asyncio.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert [codes((await login)["login"]) for login in logins] == [["INVALID_CREDENTIALS"]] * 2
        for socket in sockets:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd
            assert closed.value.rcvd.code == 1012
        assert await idle.rest() == b""
        # The server does not wait longer than usual for a client that never finishes.
        assert b" 408 " in await half.rest()
        assert await exit_code(server) == 0
    assert "Traceback" not in server.output


async def test_each_of_a_hundred_requests_gets_its_reply(server: Process) -> None:
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(wire(server)) for _ in range(100)]
        assert [await each.ask(post(ASK)) for each in wires] == [200] * 100
        # Requests that a client sends before it notices the shutdown are answered.
        replies = [asyncio.create_task(ask_soon(each, number)) for number, each in enumerate(wires)]
        await asyncio.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.gather(*replies) == [200] * 100
        assert await exit_code(server) == 0


async def test_queued_email_is_sent_by_the_next_server(sqlite_url: str, tmp_path: Path) -> None:
    with SmtpServer() as smtp:
        settings = {**SLOW_HASHES, "POSTERN_MAIL_URL": smtp.url}
        smtp.stop()
        with one_of_cluster(tmp_path, sqlite_url, **settings) as server:
            async with clients([server]) as (client,):
                await client.data(RESET, {"input": {"email": ALICE.email}})
            server.process.send_signal(signal.SIGTERM)
            assert await exit_code(server) == 0
        smtp.start()
        with one_of_cluster(tmp_path, sqlite_url, **settings):
            async with asyncio.timeout(60):
                while not smtp.to(ALICE.email):  # noqa: ASYNC110 - it is in another thread
                    await asyncio.sleep(0.05)


async def test_no_socket_is_opened_during_shutdown(server: Process) -> None:
    upgrade = head(
        "GET",
        connection="Upgrade",
        upgrade="websocket",
        sec_websocket_version="13",
        sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==",
        sec_websocket_protocol=PROTOCOL,
    )
    async with wire(server) as client:
        assert await client.ask(post(ASK)) == 200
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert await client.ask(upgrade) == 503


async def test_new_connections_are_refused_during_shutdown(server: Process) -> None:
    async with clients([server]) as (client,):
        login = start_slow_login(client)
        await asyncio.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        # Also to a health check, so that a load balancer notices it.
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{server.base_url}/readyz")
        await login
    assert await exit_code(server) == 0


async def test_readyz_fails_before_requests_are_refused(sqlite_url: str, tmp_path: Path) -> None:
    with one_of_cluster(tmp_path, sqlite_url, POSTERN_SHUTDOWN_DELAY="4") as server:
        async with clients([server]) as (probing,):
            server.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(4):
                while (probe := await probing.http.get("/readyz")).status_code == 200:
                    pass
        assert (probe.status_code, probe.json()) == (503, {"status": "ending"})
        # Long after the shutdown would have started.
        await asyncio.sleep(1)
        async with clients([server]) as (newcomer,):
            assert await newcomer.log_in(ALICE)
        assert await exit_code(server) == 0


async def test_second_sigterm_ends_the_process_at_once(server: Process) -> None:
    async with wire(server) as half:
        await half.send(head(content_length="10"))
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1.2)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert await exit_code(server) == -signal.SIGTERM
