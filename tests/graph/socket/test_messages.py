"""Parsing the messages of a socket."""

import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.errors import Unauthenticated
from graph.http.requests import RequestRefused, read_request
from graph.socket.messages import (
    MAX_REASON_BYTES,
    CloseSocket,
    encode_message,
    has_token,
    read_id,
    read_message,
    read_payload,
    read_token,
)
from tests.accounts import ALICE
from tests.api import Api
from tests.sockets import Socket

EVENTS = "subscription { sessionEvents { kind } }"

INVALID = [
    *("", "[", "1", "null", "[]", "{}", '{"type": 1}', '{"type": "start"}', "\ud800", "\0"),
    *('{"type": "complete"}', '{"type": "subscribe"}', '{"type": "subscribe", "id": ""}'),
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": "1", "payload": []}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{ me { id } }"}}',
    json.dumps({"type": "subscribe", "id": "1" * 256, "payload": {"query": EVENTS}}),
    json.dumps({"type": "complete", "id": "é" * 256}),
]


@pytest.fixture
async def socket(sqlite_api: Api) -> AsyncGenerator[Socket, None]:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        yield await socket.initialise(token)


@pytest.mark.parametrize("message", INVALID)
async def test_invalid_message_closes_the_socket(socket: Socket, message: str) -> None:
    await socket.send_text(message)
    assert (await socket.wait_closed())[0] == 4400


async def test_binary_message_closes_the_socket(sqlite_api: Api) -> None:
    async with sqlite_api.accepted_socket() as socket:
        await socket.inbox.put({"type": "websocket.receive", "bytes": b"{}"})
        assert (await socket.wait_closed())[0] == 4400


async def test_message_over_the_size_limit_closes_the_socket(sqlite_api: Api) -> None:
    async with sqlite_api.accepted_socket() as socket:
        await socket.send(type="ping", payload="é" * 40_000)
        assert (await socket.wait_closed())[0] == 1009


@pytest.mark.parametrize("id_", ["é" * 60, "é" * 255, "😀" * 100, "a" * 255, "\0", "a\r\nb"])
async def test_reason_for_a_duplicate_id_fits_a_close_frame(socket: Socket, id_: str) -> None:
    for _ in range(2):
        await socket.send(type="subscribe", id=id_, payload={"query": EVENTS})
    code, reason = await socket.wait_closed()
    assert (code, reason[:14]) == (4409, "Subscriber for")
    assert len(reason.encode()) <= MAX_REASON_BYTES


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["query", "documentId", "variables", "operationName", "extensions", "authToken"]
)
PAYLOADS = JSON_VALUES | st.dictionaries(
    KEYS, JSON_VALUES | st.sampled_from(["{ me { id } }", EVENTS, "", [], {}])
)
TYPES = st.sampled_from(["ping", "pong", "subscribe", "complete", "connection_init", "next"])
MESSAGES = st.fixed_dictionaries(
    {"type": TYPES | JSON_VALUES},
    optional={"id": st.sampled_from(["1", "é" * 100]) | JSON_VALUES, "payload": PAYLOADS},
)
TEXTS = st.text() | MESSAGES.map(json.dumps) | JSON_VALUES.map(json.dumps)


def parse(text: str) -> None:
    """Parses all parts of a message."""
    message = read_message(text)
    encode_message({"payload": message.get("payload")})
    has_token(message.get("payload"))
    read_id(message)
    read_request(read_payload(message))
    read_token(message.get("payload"))


@given(text=TEXTS)
@settings(max_examples=300, deadline=None)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(CloseSocket, RequestRefused, Unauthenticated):
        parse(text)


@given(code=st.integers(4400, 4500), reason=st.text())
def test_any_reason_fits_a_close_frame(code: int, reason: str) -> None:
    assert len(CloseSocket(code, reason).reason.encode()) <= MAX_REASON_BYTES


@given(texts=st.lists(TEXTS, min_size=1, max_size=5))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_messages_cause_no_internal_error(sqlite_api: Api, texts: list[str]) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.accepted_socket() as socket:
        await socket.initialise(token)
        for text in texts:
            await socket.send_text(text)
        await socket.send(type="connection_init")
        received: list[Any] = await socket.receive_until_closed()
        assert 4400 <= socket.closed[0] < 4500
    assert "INTERNAL_SERVER_ERROR" not in str(received)
