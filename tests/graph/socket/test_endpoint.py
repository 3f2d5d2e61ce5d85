"""GraphQL over WebSockets: authentication, handshake, and when the server closes a socket."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlalchemy import text

from auth import user_changes as watching
from auth import viewers
from auth.clients import Client
from auth.errors import SessionRevoked
from tests.accounts import ALICE, BOB
from tests.api import BASE_URL, Api, logged_outages
from tests.clock import ManualClock
from tests.sessions import Device
from tests.sockets import Socket

EVENTS = "subscription { sessionEvents { kind session { id current } } }"
FOREIGN = "https://elsewhere.example"


@pytest.fixture(autouse=True)
def poll_the_clock_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_WAIT_SECONDS", 0.05)


# Authentication


@pytest.mark.parametrize("key", ["Authorization", "authorization", "AUTHORIZATION", "authToken"])
async def test_token_in_connection_init_is_accepted(sqlite_api: Api, key: str) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token, key)


async def test_token_without_scheme_is_accepted(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await socket.send(type="connection_init", payload={"authToken": token})
        assert await socket.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize("payload", [None, {}, {"x": "y"}, "Bearer", [], {"authorization": 1}])
async def test_missing_token_closes_the_socket_with_4403(sqlite_api: Api, payload: Any) -> None:
    async with sqlite_api.accepted_socket() as socket:
        await socket.send(type="connection_init", payload=payload)
        assert await socket.wait_closed() == (4403, "TOKEN_MISSING")


@pytest.mark.parametrize("value", ["", "Bearer ", "Bearer x", "Basic eDp5", "no.such.token"])
async def test_invalid_token_closes_the_socket_with_4403(sqlite_api: Api, value: str) -> None:
    async with sqlite_api.accepted_socket() as socket:
        await socket.send(type="connection_init", payload={"authorization": value})
        code, reason = await socket.wait_closed()
        assert code == 4403
        assert reason in {"TOKEN_INVALID", "TOKEN_MISSING"}


async def test_expired_token_closes_the_socket_with_4403(
    sqlite_api: Api, clock: ManualClock
) -> None:
    token = await sqlite_api.log_in(ALICE)
    clock.tick(minutes=30)
    async with sqlite_api.accepted_socket() as socket:
        await socket.send(type="connection_init", payload={"authorization": f"Bearer {token}"})
        assert await socket.wait_closed() == (4403, "TOKEN_EXPIRED")


REVOKE = "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP"
DISABLE = "UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE username = 'alice'"
FINAL = {REVOKE: "SESSION_REVOKED", DISABLE: "USER_DISABLED"}


async def run(api: Api, statement: str) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text(statement))


@pytest.mark.parametrize("statement", FINAL)
async def test_token_of_an_ended_session_closes_the_socket_with_4401(
    sqlite_api: Api, statement: str
) -> None:
    token = await sqlite_api.log_in(ALICE)
    await run(sqlite_api, statement)
    async with sqlite_api.accepted_socket() as socket:
        await socket.send(type="connection_init", payload={"authorization": f"Bearer {token}"})
        assert await socket.wait_closed() == (4401, FINAL[statement])


async def test_operation_before_connection_init_closes_the_socket(sqlite_api: Api) -> None:
    async with sqlite_api.accepted_socket() as socket:
        await socket.send(type="subscribe", id="1", payload={"query": EVENTS})
        assert await socket.wait_closed() == (4401, "Unauthorized")


async def test_missing_connection_init_closes_the_socket_after_a_timeout(sqlite_api: Api) -> None:
    sqlite_api.limit_sockets(init_timeout_seconds=0.1)
    async with sqlite_api.accepted_socket() as socket:
        assert (await socket.wait_closed())[0] == 4408


async def test_pings_do_not_extend_the_connection_init_timeout(sqlite_api: Api) -> None:
    sqlite_api.limit_sockets(init_timeout_seconds=0.2)
    async with sqlite_api.accepted_socket() as socket:
        for _ in range(10):
            await socket.send(type="ping")
            await asyncio.sleep(0.03)
        assert (await socket.wait_closed())[0] == 4408


async def test_second_connection_init_closes_the_socket(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(type="connection_init")
        assert (await socket.wait_closed())[0] == 4429


async def test_connection_init_during_an_outage_closes_the_socket_with_1013(
    sqlite_api: Api,
) -> None:
    token = await sqlite_api.log_in(ALICE)
    with sqlite_api.without_database(), logged_outages() as causes:
        async with sqlite_api.accepted_socket() as socket:
            await socket.send(type="connection_init", payload={"authorization": f"Bearer {token}"})
            assert await socket.wait_closed() == (1013, "Try again later")
    assert causes == ["ConnectionRefusedError"]


async def test_outage_while_the_second_token_is_checked_is_logged(
    sqlite_api: Api,
) -> None:
    known, other = await Device(sqlite_api).log_in(), await Device(sqlite_api).log_in()
    # Its session is in the cache, that of the header is not.
    await sqlite_api.data("{ me { id } }", token=known.access_token)
    header = {"authorization": f"Bearer {other.access_token}"}
    with sqlite_api.without_database(), logged_outages() as causes:
        async with sqlite_api.accepted_socket(headers=header) as socket:
            payload = {"authorization": f"Bearer {known.access_token}"}
            await socket.send(type="connection_init", payload=payload)
            assert await socket.wait_closed() == (1013, "Try again later")
    assert causes == ["ConnectionRefusedError"]


# The handshake


@pytest.mark.parametrize("origin", [None, BASE_URL])
async def test_handshake_from_allowed_or_missing_origin_is_accepted(
    sqlite_api: Api, origin: str | None
) -> None:
    async with sqlite_api.accepted_socket(origin=origin):
        pass


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://localhost:8000.evil.example"])
async def test_handshake_from_another_origin_is_refused(sqlite_api: Api, origin: str) -> None:
    async with sqlite_api.socket(origin=origin) as socket:
        assert (await socket.outbox.get())["type"] == "websocket.close"


async def test_handshake_with_another_host_is_refused(sqlite_api: Api) -> None:
    async with sqlite_api.socket(host="rebound.example") as socket:
        assert (await socket.outbox.get())["type"] == "websocket.close"


@pytest.mark.parametrize("protocol", ["graphql-ws", "soap"])
async def test_unknown_subprotocol_closes_the_socket(sqlite_api: Api, protocol: str) -> None:
    async with sqlite_api.accepted_socket(protocol=protocol) as socket:
        assert (await socket.wait_closed())[0] == 4406


async def test_sockets_of_one_address_are_limited(sqlite_api: Api) -> None:
    sqlite_api.limit_sockets(per_address=1)
    async with sqlite_api.accepted_socket(), sqlite_api.socket() as second:
        assert (await second.outbox.get())["type"] == "websocket.close"
    async with sqlite_api.accepted_socket():
        pass


async def test_sockets_of_one_user_are_limited(sqlite_api: Api) -> None:
    sqlite_api.limit_sockets(per_user=1)
    alice, bob = await sqlite_api.log_in(ALICE), await sqlite_api.log_in(BOB)
    async with sqlite_api.accepted_socket() as first, sqlite_api.accepted_socket() as second:
        await first.initialise(alice)
        await second.send(type="connection_init", payload={"authorization": f"Bearer {alice}"})
        assert (await second.wait_closed())[0] == 4429
        async with sqlite_api.accepted_socket() as third:
            await third.initialise(bob)


# Operations


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { shoeSize }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { " + "sessionEvents { kind } " * 500 + "}", "LIMIT_EXCEEDED"),
    ],
)
async def test_invalid_document_sends_an_error_and_keeps_the_socket_open(
    sqlite_api: Api, query: str, code: str
) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": query})
        message = await socket.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == code
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}


async def test_operation_id_in_use_closes_the_socket(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await (await socket.initialise(token)).subscribe(EVENTS)
        await socket.send(type="subscribe", id="1", payload={"query": EVENTS})
        assert (await socket.wait_closed())[0] == 4409


async def test_operation_id_can_be_reused_after_complete(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await (await socket.initialise(token)).subscribe(EVENTS)
        await socket.send(type="complete", id="1")
        await socket.subscribe(EVENTS)
        event = asyncio.create_task(socket.receive())
        # The server does not report when the second subscription has started.
        while not event.done():
            await sqlite_api.log_in(ALICE)
            await asyncio.wait({event}, timeout=0.2)
        assert event.result()["id"] == "1"


async def test_subscriptions_of_one_socket_are_limited(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token)
        for number in range(11):
            await socket.send(type="subscribe", id=str(number), payload={"query": EVENTS})
        message = await socket.receive()
        assert (message["id"], message["type"]) == ("10", "error")
        assert message["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


# Closing a socket


@pytest.fixture
async def subscribed(api: Api) -> AsyncGenerator[tuple[Socket, Device], None]:
    """A socket that is subscribed to `sessionEvents`, and its device."""
    device = await Device(api).log_in()
    async with api.accepted_socket() as socket:
        await (await socket.initialise(device.access_token)).subscribe(EVENTS)
        yield socket, device


@pytest.mark.parametrize("statement", FINAL)
async def test_manual_revocation_in_the_database_closes_the_socket_with_4401(
    api: Api, subscribed: tuple[Socket, Device], statement: str
) -> None:
    socket, _ = subscribed
    await run(api, statement)
    assert await socket.wait_closed() == (4401, FINAL[statement])


async def test_logout_event_is_sent_before_the_socket_is_closed(
    api: Api, subscribed: tuple[Socket, Device]
) -> None:
    socket, device = subscribed
    await api.data("mutation { logout { endedSessions } }", token=device.access_token)
    event = (await socket.receive())["payload"]["data"]["sessionEvents"]
    assert (event["kind"], event["session"]["current"]) == ("REVOKED", True)
    assert await socket.wait_closed() == (4401, "SESSION_REVOKED")


async def test_token_expiry_closes_the_socket_and_a_new_token_reconnects(
    api: Api, subscribed: tuple[Socket, Device], clock: ManualClock
) -> None:
    socket, device = subscribed
    clock.tick(minutes=30)
    assert await socket.wait_closed() == (4403, "TOKEN_EXPIRED")
    await device.refresh()
    async with api.accepted_socket() as another:
        await another.initialise(device.access_token)


async def test_token_renewed_in_a_ping_keeps_the_socket_open(
    api: Api, subscribed: tuple[Socket, Device], clock: ManualClock
) -> None:
    socket, device = subscribed
    clock.tick(minutes=20)
    await device.refresh()
    assert (await socket.receive())["payload"]["data"]["sessionEvents"]["kind"] == "REFRESHED"
    await socket.send(type="ping", payload={"authorization": f"Bearer {device.access_token}"})
    assert await socket.receive() == {"type": "pong"}
    clock.tick(minutes=20)
    await asyncio.sleep(0.2)
    await socket.send(type="ping")
    assert await socket.receive() == {"type": "pong"}
    clock.tick(minutes=10)
    assert await socket.wait_closed() == (4403, "TOKEN_EXPIRED")


async def test_renewal_with_token_of_another_session_closes_the_socket(
    api: Api, subscribed: tuple[Socket, Device]
) -> None:
    socket, _ = subscribed
    other = await Device(api).log_in(BOB)
    await socket.send(type="ping", payload={"authorization": f"Bearer {other.access_token}"})
    assert (await socket.wait_closed())[0] == 4403


async def test_role_change_closes_the_socket_with_4403(
    api: Api, subscribed: tuple[Socket, Device]
) -> None:
    socket, _ = subscribed
    await run(
        api,
        "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'alice')",
    )
    assert await socket.wait_closed() == (4403, "Your roles have changed")


async def test_revocation_just_before_the_watch_starts_is_noticed(api: Api, alice: str) -> None:
    viewer = await viewers.get_viewer(api.auth, Client(), alice)
    await run(api, REVOKE)
    with pytest.raises(SessionRevoked):
        await anext(viewers.watch_viewer(api.auth, viewer))


async def test_database_outage_keeps_the_socket_open(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    monkeypatch.setattr(viewers, "RETRY_SECONDS", 0.01)
    device = await Device(sqlite_api).log_in()
    async with sqlite_api.accepted_socket() as socket:
        await (await socket.initialise(device.access_token)).subscribe(EVENTS)
        with sqlite_api.without_database():
            sqlite_api.auth.watchers.everything_changed()
            sqlite_api.auth.viewer_cache.everything_changed()
            await asyncio.sleep(0.2)
        await sqlite_api.log_in(ALICE)
        assert (await socket.receive())["payload"]["data"]["sessionEvents"]["kind"] == "SIGNED_IN"
