"""Limits for sockets."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import strawberry
from starlette.types import Message

from graph.permissions import Public
from graph.token_bucket import TokenBucket
from tests.accounts import ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.sockets import Socket

PING = {"type": "websocket.receive", "text": json.dumps({"type": "ping"})}


def test_token_bucket_allows_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(3, per_second=2)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]
    assert [bucket.take(99.0) for _ in range(4)] == [True, True, True, False]


def test_token_bucket_survives_a_clock_that_is_set_back() -> None:
    bucket = TokenBucket(2, per_second=1)
    assert bucket.take(10.0)
    assert bucket.take(5.0)
    assert not bucket.take(5.0)
    assert bucket.take(6.0)


async def flood(socket: Socket, message: Message, count: int) -> None:
    for _ in range(count):
        await socket.inbox.put(message)


def pongs(received: list[Any]) -> int:
    return sum(message == {"type": "pong"} for message in received)


async def test_pings_before_connection_init_are_limited(sqlite_api: Api) -> None:
    async with sqlite_api.accepted_socket() as socket:
        await flood(socket, PING, 1_000)
        received = await socket.receive_until_closed()
        assert pongs(received) <= 11
        assert socket.closed == (4429, "Too many messages before connection_init")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ping"},
        {"type": "pong"},
        {"type": "complete", "id": "x"},
        {"type": "subscribe", "id": "x", "payload": {}},
        {"type": "subscribe", "id": "x", "payload": {"query": "{ __typename }"}},
    ],
)
async def test_flood_of_messages_closes_the_socket(sqlite_api: Api, message: Any) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token)
        text = json.dumps(message)
        for number in range(2_000):
            await socket.send_text(text.replace('"x"', f'"{number}"'))
        received = await socket.receive_until_closed()
        assert socket.closed == (4429, "Too many messages")
        assert len(received) <= 2 * 250


async def test_flood_of_short_subscriptions_closes_the_socket(
    sqlite_api: Api,
) -> None:
    token = await sqlite_api.log_in(ALICE)
    events = "subscription { sessionEvents { kind } }"
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token)
        for _ in range(1_000):
            await socket.send(type="subscribe", id="1", payload={"query": events})
            await socket.send(type="complete", id="1")
        await socket.receive_until_closed()
        assert socket.closed[0] == 4429


async def test_queued_messages_of_one_socket_do_not_block_others(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    sqlite_api.limit_sockets(message_burst=10_000)
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token)
        await flood(socket, PING, 5_000)
        turns = 0
        while socket.inbox.qsize():
            await asyncio.sleep(0)
            turns += 1
        # About one turn of the event loop per message.
        assert turns > 2_000


async def test_unauthenticated_sockets_have_a_lower_limit(sqlite_api: Api) -> None:
    sqlite_api.limit_sockets(per_address=8)
    token = await sqlite_api.log_in(ALICE)
    async with (
        sqlite_api.accepted_socket(),
        sqlite_api.accepted_socket(),
        sqlite_api.socket() as third,
    ):
        assert (await third.outbox.get())["type"] == "websocket.close"
    async with sqlite_api.accepted_socket() as first, sqlite_api.accepted_socket() as second:
        await first.initialise(token)
        await second.initialise(token)
        async with sqlite_api.accepted_socket() as third:
            await third.initialise(token)


async def test_sockets_of_one_ipv6_network_are_counted_together(sqlite_api: Api) -> None:
    sqlite_api.limit_sockets(per_address=1)
    async with (
        sqlite_api.accepted_socket(address="2001:db8::1"),
        sqlite_api.socket(address="2001:db8::2") as same,
        sqlite_api.accepted_socket(address="2001:db8:0:1::1"),
    ):
        assert (await same.outbox.get())["type"] == "websocket.close"


async def test_sockets_of_one_ipv6_site_are_limited(sqlite_api: Api) -> None:
    sqlite_api.limit_sockets(per_address=1)
    async with AsyncExitStack() as opened:
        for number in range(4):
            socket = sqlite_api.accepted_socket(address=f"2001:db8:0:{number}::1")
            await opened.enter_async_context(socket)
        elsewhere = sqlite_api.accepted_socket(address="2001:db8:1::1")
        await opened.enter_async_context(elsewhere)
        async with sqlite_api.socket(address="2001:db8:0:4::1") as fifth:
            assert (await fifth.outbox.get())["type"] == "websocket.close"


# Clients that do not read


@strawberry.type
class Endless:
    @strawberry.subscription(permission_classes=[Public])
    async def numbers(self) -> AsyncGenerator[int, None]:
        number = 0
        while True:
            yield number
            number += 1


@pytest.fixture
async def own(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Api, None]:
    settings = make_settings(sqlite_url, tmp_path)
    async with serving(settings, clock, subscriptions=[Endless]) as api:
        yield api


async def test_socket_of_a_client_that_does_not_read_is_closed(own: Api) -> None:
    own.limit_sockets(send_timeout_seconds=0.1)
    async with own.accepted_socket() as socket:
        await socket.initialise(await own.log_in(ALICE))
        socket.reads = False
        for number in range(10):
            payload = {"query": "subscription { numbers }"}
            await socket.send(type="subscribe", id=str(number), payload=payload)
        async with asyncio.timeout(10):
            await socket.served.wait()
    # Only one of the waiting messages is handed to the connection at a time.
    assert socket.most_unread == 1


async def test_source_that_never_waits_does_not_block_others(own: Api) -> None:
    async with own.accepted_socket() as socket:
        await socket.initialise(await own.log_in(ALICE))
        await socket.send(type="subscribe", id="1", payload={"query": "subscription { numbers }"})
        assert (await socket.receive())["type"] == "next"
        assert (await own.ask("{ __typename }"))["data"] == {"__typename": "Query"}
        await socket.send(type="complete", id="1")
        await socket.send(type="ping")
        async with asyncio.timeout(10):
            while await socket.receive() != {"type": "pong"}:
                pass
