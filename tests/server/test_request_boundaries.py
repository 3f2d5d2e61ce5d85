"""Where a request ends: Postern and every proxy in front of it must agree, or requests cross.

Each request of a case carries an id, and Postern repeats it in the reply. Bytes that belong to the
body of one request must never be answered as a request of their own (request smuggling).
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.databases import SqliteTemplates
from tests.faults.cluster import one_of_cluster
from tests.faults.wire import Wire, head, post, wire
from tests.processes import Process

ASK = b'{"query": "{ __typename }"}'
SMUGGLED = head("GET", "/healthz", x_request_id="smuggled")
NEXT = head("GET", "/healthz", x_request_id="next", connection="close")
_REQUEST_ID = re.compile(rb"^x-request-id: (\S+)\r$", re.MULTILINE)


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("boundaries")
    with one_of_cluster(folder, sqlite_templates.new(folder)) as process:
        yield process
        assert "Traceback" not in process.output
        assert "http.fault" not in process.output


def attack(method: str = "POST", path: str = "/graphql", **headers: str) -> bytes:
    """A request whose body is another request."""
    fields = {"content_length": str(len(SMUGGLED)), "x_request_id": "attack", **headers}
    return head(method, path, **fields) + SMUGGLED


def raw(*lines: bytes, method: bytes = b"POST", body: bytes = b"") -> bytes:
    """A request with exactly these header lines."""
    fixed = (method + b" /graphql HTTP/1.1", b"host: localhost", b"x-request-id: attack")
    return b"\r\n".join([*fixed, *lines, b"", body])


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def upgrade(protocol: str = "h2c", connection: str = "Upgrade", **headers: str) -> bytes:
    return attack(connection=connection, upgrade=protocol, **headers)


HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    "x_request_id": "attack",
}
CHUNKED = b"transfer-encoding: chunked"
LENGTH = b"content-length: %d" % len(SMUGGLED)

# The request is served with its body, and the next one after it.
SERVED = {
    "upgrade": upgrade(),
    "upgrade to nothing": upgrade(""),
    "upgrade to a made-up protocol": upgrade("foo/1, bar"),
    "upgrade to TLS": upgrade("TLS/1.2"),
    "upgrade to HTTP/2 with settings": upgrade(
        "h2c", "Upgrade, HTTP2-Settings", http2_settings="AAMAAABkAAQCAAAAAAIAAAAA"
    ),
    "upgrade in small letters": upgrade(connection="upgrade"),
    "upgrade with keep-alive": upgrade(connection="keep-alive, Upgrade"),
    "upgrade to websocket by POST": upgrade("websocket"),
    "upgrade to websocket and another": upgrade("websocket, h2c"),
    "handshake by POST": attack(**HANDSHAKE),
    "handshake by GET with a body": attack("GET", **HANDSHAKE),
    "handshake with chunks": head("GET", **HANDSHAKE, transfer_encoding="chunked")
    + chunked(SMUGGLED),
    "two upgrades": raw(
        b"connection: upgrade", b"upgrade: h2c", b"upgrade: websocket", LENGTH, body=SMUGGLED
    ),
    "two connection headers": raw(
        b"connection: keep-alive", b"connection: upgrade", b"upgrade: h2c", LENGTH, body=SMUGGLED
    ),
    "upgrade with chunks": raw(
        b"connection: upgrade", b"upgrade: h2c", CHUNKED, body=chunked(SMUGGLED)
    ),
    "upgrade by GET": attack("GET", connection="upgrade", upgrade="h2c"),
    "upgrade by HEAD": attack("HEAD", connection="upgrade", upgrade="h2c"),
    "upgrade by DELETE": attack("DELETE", connection="upgrade", upgrade="h2c"),
    "upgrade by OPTIONS": attack("OPTIONS", connection="upgrade", upgrade="h2c"),
    "upgrade to an unknown path": attack(path="/none", connection="upgrade", upgrade="h2c"),
    "connection upgrade without upgrade": attack(connection="upgrade"),
    "upgrade without connection": attack(upgrade="h2c"),
    "upgrade of connection close-notify": attack(connection="x-upgrade", upgrade="websocket"),
    "unknown path": attack(path="/none"),
    "GET with a body": attack("GET"),
    "HEAD with a body": attack("HEAD", "/none"),
    "chunks": raw(CHUNKED, body=chunked(SMUGGLED)),
    "chunks in capitals": raw(b"Transfer-Encoding: CHUNKED", body=chunked(SMUGGLED)),
    "spaces around chunked": raw(b"transfer-encoding:  chunked  ", body=chunked(SMUGGLED)),
    "chunk extension": raw(CHUNKED, body=b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "quoted chunk extension": raw(CHUNKED, body=b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    "trailers": raw(CHUNKED, body=b"5\r\nhello\r\n0\r\nx-request-id: smuggled\r\n\r\n"),
    "empty lines before a request": b"\r\n\r\n" + attack(),
    "not acceptable": attack(accept="text/plain"),
    "not JSON": attack(content_type="text/plain"),
}

# The request is refused and the connection closed: nothing after it is answered.
REFUSED = {
    "CONNECT": head("CONNECT", "localhost:443", x_request_id="attack") + SMUGGLED,
    "CONNECT with a body": attack("CONNECT", "localhost:443"),
    "CONNECT to a path": attack("CONNECT"),
    "early websocket frames": head("GET", **HANDSHAKE) + SMUGGLED,
    "length and chunks": raw(CHUNKED, LENGTH, body=chunked() + SMUGGLED),
    "chunks and length": raw(LENGTH, CHUNKED, body=chunked() + SMUGGLED),
    "upgrade with length and chunks": raw(
        b"connection: upgrade", b"upgrade: h2c", CHUNKED, LENGTH, body=chunked() + SMUGGLED
    ),
    "xchunked": raw(b"transfer-encoding: xchunked", body=chunked() + SMUGGLED),
    "xchunked with length": raw(b"transfer-encoding: xchunked", LENGTH, body=SMUGGLED),
    "chunked, identity": raw(b"transfer-encoding: chunked, identity", body=chunked() + SMUGGLED),
    "identity": raw(b"transfer-encoding: identity", body=SMUGGLED),
    "identity with length": raw(b"transfer-encoding: identity", LENGTH, body=SMUGGLED),
    "identity, chunked": raw(b"transfer-encoding: identity, chunked", body=chunked(SMUGGLED)),
    "gzip, chunked": raw(b"transfer-encoding: gzip, chunked", body=chunked(SMUGGLED)),
    "chunked twice": raw(CHUNKED, CHUNKED, body=chunked(SMUGGLED)),
    "chunked, chunked": raw(b"transfer-encoding: chunked, chunked", body=chunked(SMUGGLED)),
    "chunked, then another": raw(CHUNKED, b"transfer-encoding: x", body=chunked() + SMUGGLED),
    "quoted chunked": raw(b'transfer-encoding: "chunked"', body=chunked() + SMUGGLED),
    "chunked with a parameter": raw(b"transfer-encoding: chunked;a=b", body=chunked() + SMUGGLED),
    "empty transfer-encoding": raw(b"transfer-encoding:", LENGTH, body=SMUGGLED),
    "vertical tab before chunked": raw(
        b"transfer-encoding: \x0bchunked", body=chunked() + SMUGGLED
    ),
    "folded transfer-encoding": raw(b"transfer-encoding:\r\n chunked", body=chunked() + SMUGGLED),
    "folded header": raw(b"x: y\r\n transfer-encoding: chunked", body=chunked() + SMUGGLED),
    "folded first header": raw(method=b"POST").replace(b"\r\nhost", b"\r\n host") + SMUGGLED,
    "two lengths": raw(LENGTH, b"content-length: 0", body=SMUGGLED),
    "the same length twice": raw(LENGTH, LENGTH, body=SMUGGLED),
    "list of lengths": raw(b"content-length: 5, 5", body=b"hello" + SMUGGLED),
    "length with a plus": raw(b"content-length: +5", body=b"hello" + SMUGGLED),
    "length with a minus": raw(b"content-length: -5", body=b"hello" + SMUGGLED),
    "length in hexadecimal": raw(b"content-length: 0x5", body=b"hello" + SMUGGLED),
    "length with an underscore": raw(b"content-length: 1_0", body=b"hello" + SMUGGLED),
    "length with a space": raw(b"content-length: 1 0", body=b"hello" + SMUGGLED),
    "empty length": raw(b"content-length:", body=b"hello" + SMUGGLED),
    "length past 64 bits": raw(b"content-length: 18446744073709551617", body=b"x" + SMUGGLED),
    "length in other digits": raw("content-length: ٥".encode(), body=b"hello" + SMUGGLED),
    "space before the colon": raw(b"content-length : 5", body=b"hello" + SMUGGLED),
    "space before the colon of chunked": raw(
        b"transfer-encoding : chunked", body=chunked() + SMUGGLED
    ),
    "tab before the colon": raw(b"content-length\t: 5", body=b"hello" + SMUGGLED),
    "NUL in a name": raw(b"content\0-length: 5", body=b"hello" + SMUGGLED),
    "NUL in a value": raw(b"x: a\0b", body=SMUGGLED),
    "no colon": raw(b"content-length", body=SMUGGLED),
    "empty name": raw(b": 5", body=SMUGGLED),
    "bare CR in a value": raw(b"x: a\rtransfer-encoding: chunked", body=chunked() + SMUGGLED),
    "bare CR after a header": raw(b"x: y\rz: a", body=SMUGGLED),
    "bare LF between headers": raw(b"x: a\ntransfer-encoding: chunked", body=chunked() + SMUGGLED),
    "bare LF at the end of the head": raw(b"x: a")[:-4] + b"\n\n" + SMUGGLED,
    "bare LF after the request line": raw().replace(b"1.1\r\n", b"1.1\n") + SMUGGLED,
    "chunk size in capitals 0X": raw(CHUNKED, body=b"0X5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "chunk size with a plus": raw(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "chunk size with a space before": raw(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "chunk size with a space behind": raw(CHUNKED, body=b"5 \r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "chunk size past 64 bits": raw(CHUNKED, body=b"1" + b"0" * 16 + b"\r\nhello" + SMUGGLED),
    "no chunk size": raw(CHUNKED, body=b"\r\n\r\n" + SMUGGLED),
    "bare LF after a chunk size": raw(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "bare CR after a chunk size": raw(CHUNKED, body=b"5\rhello\r\n0\r\n\r\n" + SMUGGLED),
    "bare LF after a chunk": raw(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n" + SMUGGLED),
    "no line end after a chunk": raw(CHUNKED, body=b"5\r\nhello0\r\n\r\n" + SMUGGLED),
    "longer chunk than its size": raw(CHUNKED, body=b"5\r\nhello!\r\n0\r\n\r\n" + SMUGGLED),
    "bare LF in a chunk extension": raw(CHUNKED, body=b"5;a\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "bare CR in a chunk extension": raw(CHUNKED, body=b"5;a\rb\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "bare LF at the last chunk": raw(CHUNKED, body=b"0\n\n" + SMUGGLED),
    "bare LF after trailers": raw(CHUNKED, body=b"0\r\nx: y\n\n" + SMUGGLED),
    "length in trailers": raw(CHUNKED, body=b"0\r\ncontent-length: 5\r\n\r\nhello" + SMUGGLED),
    "coding in trailers": raw(CHUNKED, body=b"0\r\ntransfer-encoding: x\r\n\r\n" + SMUGGLED),
    "HTTP/0.9": attack().replace(b"HTTP/1.1", b"HTTP/0.9"),
    "HTTP/2.0": attack(connection="keep-alive").replace(b"HTTP/1.1", b"HTTP/2.0"),
    "HTTP/1.2": attack().replace(b"HTTP/1.1", b"HTTP/1.2"),
    "no version": b"GET /healthz\r\n" + SMUGGLED,
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "unknown method": attack("SMUGGLE"),
}

# The request is served, and the connection closed as it asked.
CLOSED = {
    "connection close": attack(connection="close"),
    "upgrade and close": upgrade(connection="Upgrade, close"),
    "HTTP/1.0": attack().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/1.0 keep-alive": attack(connection="keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/1.0 upgrade": upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"),
}


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


def answered(replies: bytes) -> list[bytes]:
    """The ids of the requests that were answered, in their order."""
    return _REQUEST_ID.findall(replies)


@ways
@pytest.mark.parametrize("name", SERVED)
async def test_served_request_ends_where_its_framing_says(
    server: Process, name: str, way: Way
) -> None:
    async with wire(server) as client:
        assert answered(await way(client, SERVED[name])) == [b"attack", b"next"]


@ways
@pytest.mark.parametrize("name", REFUSED)
async def test_request_without_a_certain_end_is_refused_and_the_connection_closed(
    server: Process, name: str, way: Way
) -> None:
    async with wire(server) as client:
        replies = await way(client, REFUSED[name])
    assert set(answered(replies)) <= {b"attack"}
    assert replies.count(b"HTTP/1.1 ") <= 2


@pytest.mark.parametrize("name", CLOSED)
async def test_last_request_of_a_connection_is_the_last_one_answered(
    server: Process, name: str
) -> None:
    async with wire(server) as client:
        assert answered(await at_once(client, CLOSED[name])) == [b"attack"]


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


async def test_pipelined_upgrades_are_answered_in_their_order(server: Process) -> None:
    requests = [
        post(
            ASK, x_request_id=str(i), **({"connection": "upgrade", "upgrade": "x"} if i % 2 else {})
        )
        for i in range(20)
    ]
    async with wire(server) as client:
        await client.send(b"".join(requests) + NEXT)
        assert answered(await client.rest()) == [b"%d" % i for i in range(20)] + [b"next"]


async def test_handshake_behind_an_unanswered_request_is_no_reply_to_it(server: Process) -> None:
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


async def test_bytes_after_an_accepted_handshake_are_no_requests(server: Process) -> None:
    headers = {**HANDSHAKE, "sec_websocket_protocol": "graphql-transport-ws"}
    async with wire(server) as client:
        await client.send(head("GET", **headers))
        assert await client.status() == 101
        await client.send(SMUGGLED + NEXT)
        assert b"HTTP/1.1" not in await client.rest()


async def test_trailers_are_no_headers_of_their_request(server: Process) -> None:
    request = raw(b"content-type: application/json", CHUNKED, body=chunked(ASK)[:-2])
    for trailer in (b"content-encoding: gzip", b"content-type: text/plain", b"host: evil.example"):
        async with wire(server) as client:
            assert await client.ask(request + trailer + b"\r\n\r\n") == 200


async def test_half_closed_connection_gets_the_replies_to_whole_requests(server: Process) -> None:
    async with wire(server) as client:
        await client.send(attack() + post(ASK, x_request_id="second"))
        client.writer.write_eof()
        assert answered(await client.rest())[:1] == [b"attack"]


async def test_body_cut_by_a_half_close_is_never_a_request(server: Process) -> None:
    async with wire(server) as client:
        await client.send(attack(content_length="9999"))
        client.writer.write_eof()
        assert b"smuggled" not in answered(await client.rest())
