"""Request smuggling: Postern and a proxy must agree on where each request ends.

Each request of a case has an ID, which Postern repeats in the reply. The bytes of a body must never
be answered as another request.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.databases import SqliteTemplates
from tests.faults.cluster import one_of_cluster
from tests.faults.request_attacks import (
    CHUNKED,
    CLOSED,
    HANDSHAKE,
    NEXT,
    PADDED,
    REFUSED,
    SERVED,
    SMUGGLED,
    answered,
    attack,
    chunked,
    raw,
)
from tests.faults.wire import Wire, head, post, wire
from tests.processes import Process

ASK = b'{"query": "{ __typename }"}'


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("boundaries")
    with one_of_cluster(folder, sqlite_templates.new(folder)) as process:
        yield process
        assert "Traceback" not in process.output
        assert "http.internal_error" not in process.output


async def at_once(client: Wire, request: bytes) -> bytes:
    await client.send(request + NEXT)
    return await client.rest()


async def one_after_another(client: Wire, request: bytes) -> bytes:
    await client.send(request)
    await asyncio.sleep(0.01)
    await client.send(NEXT)
    return await client.rest()


async def byte_by_byte(client: Wire, request: bytes) -> bytes:
    client.no_delay()
    for byte in request + NEXT:
        if client.writer.is_closing():
            break
        await client.send(bytes([byte]))
        await asyncio.sleep(0)
    return await client.rest()


Way = Callable[[Wire, bytes], Awaitable[bytes]]
ways = pytest.mark.parametrize(
    "way", [at_once, one_after_another, byte_by_byte], ids=lambda way: way.__name__
)


@ways
@pytest.mark.parametrize("name", SERVED)
async def test_served_request_ends_according_to_its_framing(
    server: Process, name: str, way: Way
) -> None:
    async with wire(server) as client:
        assert answered(await way(client, SERVED[name])) == [b"attack", b"next"]


@pytest.mark.parametrize("name", PADDED)
async def test_served_request_in_many_segments_ends_according_to_its_framing(
    server: Process, name: str
) -> None:
    async with wire(server) as client:
        assert answered(await at_once(client, PADDED[name])) == [b"attack", b"next"]


@ways
@pytest.mark.parametrize("name", REFUSED)
async def test_request_with_ambiguous_framing_is_refused_and_the_connection_closed(
    server: Process, name: str, way: Way
) -> None:
    async with wire(server) as client:
        replies = await way(client, REFUSED[name])
    assert set(answered(replies)) <= {b"attack"}
    assert replies.count(b"HTTP/1.1 ") <= 2


@ways
@pytest.mark.parametrize("name", CLOSED)
async def test_request_after_connection_close_is_not_answered(
    server: Process, name: str, way: Way
) -> None:
    async with wire(server) as client:
        assert answered(await way(client, CLOSED[name])) == [b"attack"]


@pytest.mark.parametrize(
    "headers",
    [
        {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABk"},
        {"connection": "upgrade", "upgrade": "foo"},
        {"connection": "upgrade", "upgrade": "websocket"},
        {"connection": "upgrade"},
    ],
    ids=["h2c", "foo", "websocket", "nothing"],
)
async def test_unsupported_upgrade_is_served_with_its_body(
    server: Process, headers: dict[str, str]
) -> None:
    async with wire(server) as client:
        for _ in range(3):
            await client.send(post(ASK, **headers))
            status, body = await client.reply()
            assert status == 200
            assert json.loads(body) == {"data": {"__typename": "Query"}}


async def test_upgrade_with_a_body_in_many_segments_is_served(server: Process) -> None:
    body = ASK + b" " * 60_000
    async with wire(server) as client:
        request = post(body, connection="Upgrade", upgrade="h2c")
        for start in range(0, len(request), 7_000):
            await client.send(request[start : start + 7_000])
            await asyncio.sleep(0)
        assert await client.status() == 200
        assert await client.ask(post(ASK)) == 200


async def test_pipelined_upgrades_are_answered_in_order(server: Process) -> None:
    requests = [
        post(
            ASK, x_request_id=str(i), **({"connection": "upgrade", "upgrade": "x"} if i % 2 else {})
        )
        for i in range(20)
    ]
    async with wire(server) as client:
        await client.send(b"".join(requests) + NEXT)
        assert answered(await client.rest()) == [b"%d" % i for i in range(20)] + [b"next"]


async def test_hundreds_of_pipelined_upgrades_are_all_answered(server: Process) -> None:
    request = b"GET /healthz HTTP/1.1\r\nUpgrade:h\r\nConnection:upgrade\r\n\r\n"
    async with wire(server) as client:
        await client.send(request * 290 + NEXT)
        replies = await client.rest()
    assert replies.count(b"HTTP/1.1 200") == 291
    assert answered(replies)[-1] == b"next"


async def test_handshake_behind_an_unanswered_request_is_served_as_a_request(
    server: Process,
) -> None:
    async with wire(server) as client:
        await client.send(post(ASK, x_request_id="first") + head("GET", **HANDSHAKE) + NEXT)
        replies = await client.rest()
    assert answered(replies) == [b"first", b"attack", b"next"]
    assert b" 101 " not in replies


@pytest.mark.parametrize(
    "changed",
    [
        {"sec_websocket_version": "8"},
        {"sec_websocket_key": "short"},
        {"sec_websocket_key": ""},
        {"origin": "https://evil.example"},
        {"host": "evil.example"},
    ],
    ids=["version", "key", "empty key", "origin", "host"],
)
async def test_refused_handshake_closes_the_connection(
    server: Process, changed: dict[str, str]
) -> None:
    async with wire(server) as client:
        await client.send(head("GET", **{**HANDSHAKE, **changed}))
        await asyncio.sleep(0.01)
        await client.send(SMUGGLED + NEXT)
        replies = await client.rest()
    assert replies.count(b"HTTP/1.1 ") == 1
    assert replies.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 426"))
    assert b"connection: close" in replies.lower()


async def test_handshake_at_a_path_without_a_socket_closes_the_connection(server: Process) -> None:
    async with wire(server) as client:
        await client.send(head("GET", "/healthz", **HANDSHAKE))
        await asyncio.sleep(0.01)
        await client.send(SMUGGLED + NEXT)
        replies = await client.rest()
    assert replies.startswith(b"HTTP/1.1 403")
    assert replies.count(b"HTTP/1.1 ") == 1


async def test_bytes_after_an_accepted_handshake_are_not_parsed_as_requests(
    server: Process,
) -> None:
    headers = {**HANDSHAKE, "sec_websocket_protocol": "graphql-transport-ws"}
    async with wire(server) as client:
        await client.send(head("GET", **headers))
        assert await client.status() == 101
        await client.send(SMUGGLED + NEXT)
        assert b"HTTP/1.1" not in await client.rest()


async def test_trailers_do_not_become_headers(server: Process) -> None:
    request = raw(b"content-type: application/json", CHUNKED, body=chunked(ASK)[:-2])
    for trailer in (b"content-encoding: gzip", b"content-type: text/plain", b"host: evil.example"):
        async with wire(server) as client:
            assert await client.ask(request + trailer + b"\r\n\r\n") == 200


async def test_requests_before_a_malformed_request_are_answered(server: Process) -> None:
    async with wire(server) as client:
        whole = [post(ASK, x_request_id=str(i)) for i in range(5)]
        await client.send(b"".join(whole) + b"GARBAGE\r\n\r\n" + NEXT)
        replies = await client.rest()
    assert answered(replies) == [b"0", b"1", b"2", b"3", b"4"]
    assert replies.count(b"HTTP/1.1 200") == 5


async def test_malformed_body_after_its_reply_gets_no_second_reply(server: Process) -> None:
    async with wire(server) as client:
        head_ = raw(b"content-type: application/json", CHUNKED).replace(b"/graphql", b"/none")
        assert await client.ask(head_) == 404
        await client.send(b"XX\r\n" + NEXT)
        assert await client.rest() == b""


@pytest.mark.parametrize("path", ["/none", "/graphql"])
async def test_final_reply_instead_of_100_continue_closes_the_connection(
    server: Process, path: str
) -> None:
    # The client may then leave out the body, and the next request would be parsed as the body.
    request = head(path=path, expect="100-continue", content_length="500", accept="text/plain")
    async with wire(server) as client:
        await client.send(request)
        reply = await client.rest()
        await client.send(NEXT)
    assert reply.startswith((b"HTTP/1.1 404", b"HTTP/1.1 406"))
    assert b"connection: close" in reply.lower()
    assert b"100 Continue" not in reply


async def test_100_continue_is_sent_to_a_client_that_expects_it(server: Process) -> None:
    async with wire(server) as client:
        await client.send(head(expect="100-continue", content_length=str(len(ASK))))
        assert await client.status() == 100
        assert await client.ask(ASK) == 200
        assert await client.ask(post(ASK)) == 200


async def test_half_closed_connection_gets_the_replies_to_complete_requests(
    server: Process,
) -> None:
    async with wire(server) as client:
        await client.send(attack() + post(ASK, x_request_id="second"))
        client.writer.write_eof()
        assert answered(await client.rest())[:1] == [b"attack"]


async def test_body_cut_by_a_half_close_is_not_parsed_as_a_request(server: Process) -> None:
    async with wire(server) as client:
        await client.send(attack(content_length="9999"))
        client.writer.write_eof()
        assert b"smuggled" not in answered(await client.rest())
