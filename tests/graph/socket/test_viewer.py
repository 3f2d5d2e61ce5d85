"""The viewer of a socket: one session with unchanged permissions."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import strawberry
from sqlalchemy import text

from auth import user_changes as watching
from graph.permissions import HasRole
from tests.accounts import ADMIN, ALICE, BOB, Account
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.sessions import Device
from tests.sockets import Socket

ALICE_ID = "(SELECT id FROM users WHERE username = 'alice')"
DEMOTE = f"DELETE FROM user_roles WHERE user_id = {ALICE_ID}"
DISABLE = f"UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE id = {ALICE_ID}"
REVOKE = f"UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = {ALICE_ID}"
RENAME = "UPDATE roles SET name = 'users' WHERE name = 'user'"
GRANT = """
    INSERT INTO role_permissions (role_id, permission)
    SELECT id, 'users:read' FROM roles WHERE name = 'user'
"""
CHANGES = {
    DEMOTE: (4403, "Your roles have changed"),
    RENAME: (4403, "Your roles have changed"),
    GRANT: (4403, "Your roles have changed"),
    DISABLE: (4401, "USER_DISABLED"),
    REVOKE: (4401, "SESSION_REVOKED"),
}


async def run(api: Api, statement: str) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text(statement))


@asynccontextmanager
async def watchers_blocked(api: Api) -> AsyncIterator[None]:
    """Blocks the watchers, so sockets do not notice changes in the background."""
    async with AsyncExitStack() as stack:
        for _ in range(watching.MAX_CONCURRENT_READS):
            await stack.enter_async_context(api.auth.watchers.read_slot())
        yield


async def renew(socket: Socket, device: Device) -> None:
    await socket.send(type="ping", payload={"authorization": f"Bearer {device.access_token}"})


@pytest.fixture
async def device(api: Api) -> Device:
    return await Device(api).log_in()


@pytest.fixture
async def socket(api: Api, device: Device) -> AsyncGenerator[Socket, None]:
    async with api.accepted_socket() as socket:
        yield await socket.initialise(device.access_token)


# Permissions


@pytest.mark.parametrize("statement", CHANGES)
async def test_changed_permissions_close_the_socket(
    api: Api, socket: Socket, statement: str
) -> None:
    await run(api, statement)
    assert await socket.wait_closed() == CHANGES[statement]


@pytest.mark.parametrize("statement", CHANGES)
async def test_renewal_with_changed_permissions_closes_the_socket(
    api: Api, device: Device, socket: Socket, statement: str
) -> None:
    async with watchers_blocked(api):
        await run(api, statement)
        await api.catch_up_with_changes()
        for _ in range(5):
            await renew(socket, device)
        received = await socket.receive_until_closed()
    assert (received, socket.closed) == ([], CHANGES[statement])


@pytest.mark.parametrize("statement", CHANGES)
async def test_operation_does_not_start_after_permission_change(
    api: Api, socket: Socket, statement: str
) -> None:
    async with watchers_blocked(api):
        await run(api, statement)
        await api.catch_up_with_changes()
        await socket.send(type="subscribe", id="1", payload={"query": "{ me { id } }"})
        received = await socket.receive_until_closed()
    assert (received, socket.closed) == ([], CHANGES[statement])


class Source:
    """The events of the tests."""

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        self.queue = asyncio.Queue[str]()


SOURCE = Source()


@strawberry.type
class News:
    @strawberry.subscription(permission_classes=[HasRole("user")])
    async def news(self) -> AsyncGenerator[str, None]:
        yield "started"
        while True:
            yield await SOURCE.queue.get()


@pytest.fixture
async def own(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Api, None]:
    SOURCE.empty()
    settings = make_settings(sqlite_url, tmp_path)
    async with serving(settings, clock, subscriptions=[News]) as api:
        yield api


@pytest.mark.parametrize("statement", CHANGES)
async def test_event_is_not_sent_after_permission_change(own: Api, statement: str) -> None:
    device = await Device(own).log_in()
    async with own.accepted_socket() as socket, watchers_blocked(own):
        await socket.initialise(device.access_token)
        await socket.send(type="subscribe", id="1", payload={"query": "subscription { news }"})
        assert (await socket.receive())["payload"] == {"data": {"news": "started"}}
        await SOURCE.queue.put("a")
        assert (await socket.receive())["payload"] == {"data": {"news": "a"}}
        await run(own, statement)
        await own.catch_up_with_changes()
        await SOURCE.queue.put("b")
        received = await socket.receive_until_closed()
    assert (received, socket.closed) == ([], CHANGES[statement])


async def test_subscription_continues_after_renewals(own: Api, clock: ManualClock) -> None:
    device = await Device(own).log_in()
    async with own.accepted_socket() as socket:
        await socket.initialise(device.access_token)
        await socket.send(type="subscribe", id="1", payload={"query": "subscription { news }"})
        assert (await socket.receive())["payload"] == {"data": {"news": "started"}}
        for number in range(4):
            clock.tick(minutes=20)
            await device.refresh()
            await renew(socket, device)
            assert await socket.receive() == {"type": "pong"}
            await SOURCE.queue.put(str(number))
            assert (await socket.receive())["payload"] == {"data": {"news": str(number)}}


# Renewal with a token of another user


async def test_renewal_with_another_session_of_the_user_closes_the_socket(
    api: Api, socket: Socket
) -> None:
    await renew(socket, await Device(api).log_in())
    assert await socket.wait_closed() == (4403, "The token belongs to another session")


async def test_renewal_by_another_user_closes_the_socket(api: Api, socket: Socket) -> None:
    await renew(socket, await Device(api).log_in(ADMIN))
    assert await socket.wait_closed() == (4403, "The token belongs to another session")


async def test_renewal_with_an_expired_token_closes_the_socket(
    api: Api, socket: Socket, device: Device, clock: ManualClock
) -> None:
    async with watchers_blocked(api):
        clock.tick(minutes=31)
        await renew(socket, device)
        assert await socket.wait_closed() == (4403, "TOKEN_EXPIRED")


async def test_flood_of_renewals_closes_the_socket(socket: Socket, device: Device) -> None:
    for _ in range(1_000):
        await renew(socket, device)
    received = await socket.receive_until_closed()
    assert len(received) < 300
    assert socket.closed == (4429, "Too many messages")


# A token in the upgrade request


def bearer(device: Device) -> dict[str, str]:
    return {"authorization": f"Bearer {device.access_token}"}


async def test_token_of_the_upgrade_request_authenticates(sqlite_api: Api) -> None:
    device = await Device(sqlite_api).log_in()
    async with sqlite_api.accepted_socket(headers=bearer(device)) as socket:
        await socket.send(type="connection_init")
        assert await socket.receive() == {"type": "connection_ack"}


async def test_token_of_the_upgrade_request_runs_nothing_before_connection_init(
    sqlite_api: Api,
) -> None:
    device = await Device(sqlite_api).log_in()
    async with sqlite_api.accepted_socket(headers=bearer(device)) as socket:
        await socket.send(type="subscribe", id="1", payload={"query": "{ me { id } }"})
        assert await socket.wait_closed() == (4401, "Unauthorized")


async def test_token_of_connection_init_takes_precedence_over_the_header(
    sqlite_api: Api, clock: ManualClock
) -> None:
    device = await Device(sqlite_api).log_in()
    older = bearer(device)
    for minutes in (20, 20):
        clock.tick(minutes=minutes)
        await device.refresh()
        # The second time the header's token has expired, as after a reconnect.
        async with sqlite_api.accepted_socket(headers=older) as socket:
            await socket.initialise(device.access_token)


@pytest.mark.parametrize("account", [ALICE, BOB])
async def test_tokens_of_two_sessions_are_refused(sqlite_api: Api, account: Account) -> None:
    device, other = await Device(sqlite_api).log_in(), await Device(sqlite_api).log_in(account)
    async with sqlite_api.accepted_socket(headers=bearer(other)) as socket:
        await socket.send(type="connection_init", payload=bearer(device))
        assert await socket.wait_closed() == (4403, "The token belongs to another session")


@pytest.mark.parametrize("header", ["Bearer x", "Bearer a, Bearer b"])
async def test_invalid_token_of_the_upgrade_request_is_refused(
    sqlite_api: Api, header: str
) -> None:
    device = await Device(sqlite_api).log_in()
    async with sqlite_api.accepted_socket(headers={"authorization": header}) as socket:
        await socket.send(type="connection_init", payload=bearer(device))
        assert await socket.wait_closed() == (4403, "TOKEN_INVALID")


async def test_basic_credentials_of_a_proxy_are_ignored(sqlite_api: Api) -> None:
    device = await Device(sqlite_api).log_in()
    async with sqlite_api.accepted_socket(headers={"authorization": "Basic eDp5"}) as socket:
        await socket.initialise(device.access_token)


async def test_token_in_the_url_or_a_cookie_is_ignored(sqlite_api: Api) -> None:
    device = await Device(sqlite_api).log_in()
    query = f"access_token={device.access_token}&authorization=Bearer%20{device.access_token}"
    cookies = f"postern_refresh={device.refresh_token}; authorization={device.access_token}"
    async with sqlite_api.accepted_socket(
        query_string=query.encode(),
        headers={"cookie": cookies},
        origin="http://localhost:8000",
    ) as socket:
        await socket.send(type="connection_init", payload={})
        assert await socket.wait_closed() == (4403, "TOKEN_MISSING")


async def test_revoked_token_of_the_upgrade_request_is_refused(sqlite_api: Api) -> None:
    device, other = await Device(sqlite_api).log_in(), await Device(sqlite_api).log_in()
    await sqlite_api.data("mutation { logout { endedSessions } }", token=other.access_token)
    async with sqlite_api.accepted_socket(headers=bearer(other)) as socket:
        await socket.send(type="connection_init", payload=bearer(device))
        assert await socket.wait_closed() == (4403, "The token belongs to another session")
