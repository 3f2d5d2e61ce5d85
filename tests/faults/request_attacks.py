"""Request smuggling attacks: requests that a server and a proxy could parse differently."""

import re

from tests.faults.wire import head

SMUGGLED = head("GET", "/healthz", x_request_id="smuggled")
# Its last header would contain the next request on the connection.
HALF = SMUGGLED[:-2] + b"x: "
NEXT = head("GET", "/healthz", x_request_id="next", connection="close")
_REQUEST_ID = re.compile(rb"^x-request-id: (\S+)\r$", re.MULTILINE | re.IGNORECASE)


def answered(replies: bytes) -> list[bytes]:
    """Returns the IDs of the answered requests, in order."""
    return _REQUEST_ID.findall(replies)


def attack(method: str = "POST", path: str = "/graphql", **headers: str) -> bytes:
    """Returns a request whose body is another request."""
    fields = {"content_length": str(len(SMUGGLED)), "x_request_id": "attack", **headers}
    return head(method, path, **fields) + SMUGGLED


def raw(*lines: bytes, method: bytes = b"POST", body: bytes = b"") -> bytes:
    """Returns a request with exactly these header lines."""
    fixed = (method + b" /graphql HTTP/1.1", b"host: localhost", b"x-request-id: attack")
    return b"\r\n".join([*fixed, *lines, b"", body])


def chunked(*chunks: bytes) -> bytes:
    """Returns a complete chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def upgrade(protocol: str = "h2c", connection: str = "Upgrade", **headers: str) -> bytes:
    return attack(connection=connection, upgrade=protocol, **headers)


def half(padding: bytes = b"", **headers: str) -> bytes:
    """Returns a request whose body ends with the start of another request."""
    body = padding + HALF
    return head(content_length=str(len(body)), x_request_id="attack", **headers) + body


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
    "upgrade with half a request": half(connection="upgrade", upgrade="h2c"),
    "upgrade to websocket with half a request": half(connection="upgrade", upgrade="websocket"),
    "half a request": half(),
    "half a request to an unacceptable type": half(accept="text/plain"),
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
    "HTTP/1.0 handshake": head("GET", **HANDSHAKE).replace(b"HTTP/1.1", b"HTTP/1.0") + SMUGGLED,
    "HTTP/1.0 upgrade": upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"),
}

# The same behind many empty lines, so that a server reads head and body at different times.
EMPTY_LINES = b"\r\n" * 35_000
PADDED = {
    f"{name} behind padding": half(EMPTY_LINES, connection="upgrade", upgrade=protocol)
    for name, protocol in [("h2c", "h2c"), ("websocket", "websocket"), ("other", "foo")]
}
