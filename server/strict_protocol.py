"""uvicorn's HTTP protocol, made strict about where a request ends.

A proxy sends the requests of many clients over one connection. If it and Postern disagree on where
a request ends, one client gets the reply of another (request smuggling).

This is what is used of uvicorn and httptools beyond their documentation. A new version of either
can change it: pyproject.toml bounds them, and tests/server/test_uvicorn_internals.py checks it.

* The callbacks of httptools on `HttpToolsProtocol`, its attributes per connection and per request,
  `_start_asgi_task` and `handle_websocket_upgrade`; the positional offset of `HttpParserUpgrade`.
* `RequestResponseCycle`: its flags, `body`, `transport`, `send`, `receive` and `on_response`.
* `FlowControl`, `STATUS_LINE`; `handshake_initiated` of the WebSocket protocol, and what
  server/socket_protocol.py overrides of it.
* `Config(http=...)` takes a callable, and calls it with a config, a state and a loop.
"""

import asyncio
from http import HTTPStatus

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Heads and trailers of this length always pass; those of twice the length never do.
HEAD_BYTES = 16_384

# Those whose framing is specified in RFC 9112.
_VERSIONS = ("1.1", "1.0")

# Looked up once: each request passes here.
_begin = HttpToolsProtocol.on_headers_complete


class UncertainEnd(Exception):
    """Postern and a proxy could disagree on where this request ends."""


class StrictProtocol(HttpToolsProtocol):
    """Serves a request, or refuses it and closes the connection; never guesses."""

    # Received since the last byte of a body, the last whole head or the last whole request.
    framing_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Reads on; refuses heads, trailers and chunk extensions that are too long."""
        unread: bytes | None = data
        # A loop: each of hundreds of requests in one piece may have an `Upgrade` to ignore.
        while unread is not None:
            if len(unread) > HEAD_BYTES:
                self._receive_in_pieces(unread)
                return
            unread = self._read(unread)

    def refuse(self, status: HTTPStatus) -> None:
        """Ends the connection with this status."""
        raise NotImplementedError

    def refuse_malformed(self) -> None:
        """Ends the connection: what came last is not HTTP."""
        raise NotImplementedError

    def discard(self, size: int) -> None:
        """Notes bytes of a body that came after the reply."""
        raise NotImplementedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header; `expect` as uvicorn does. Raises UncertainEnd."""
        name = name.lower()
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            # No other coding is decoded here (RFC 9112, 6.1), and proxies read their lists in
            # different ways.
            raise UncertainEnd
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Starts the request, unless `_upgrade` must decide first what it is."""
        if self.parser.get_http_version() not in _VERSIONS:
            raise UncertainEnd
        if not self.parser.should_upgrade():
            _begin(self)
            self.framing_bytes = 0
            # Trailers must not become headers of the running request (RFC 9110, 6.5.1).
            self.headers = []

    def on_body(self, body: bytes) -> None:
        """Keeps a part of a body, unless its request was answered already."""
        self.framing_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            self.discard(len(body))
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The body of the newest request is whole."""
        if not self.parser.should_upgrade():
            self.framing_bytes = 0
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def _read(self, data: bytes) -> bytes | None:
        """Parses; returns what must be read again, by the next parser."""
        self.framing_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._upgrade(data[upgrade.args[0] :])
        except HttpParserError:
            self.refuse_malformed()
            return None
        if self.framing_bytes >= HEAD_BYTES:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return None

    def _receive_in_pieces(self, data: bytes) -> None:
        for start in range(0, len(data), HEAD_BYTES):
            if self.transport.is_closing():
                return
            # Not always this one: a piece can end in a WebSocket handshake, or in a refusal.
            receiver = self.transport.get_protocol()
            assert isinstance(receiver, asyncio.Protocol)
            receiver.data_received(data[start : start + HEAD_BYTES])

    def _upgrade(self, rest: bytes) -> bytes | None:
        """Decides on a request that the parser takes for the last of its connection.

        The parser does not read the body of such a request. If the same parser read on, the body
        would be parsed as the next request: request smuggling (uvicorn issue 2722).
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(HTTPStatus.NOT_IMPLEMENTED)
        elif not self._is_websocket_handshake(method):
            return self._without_upgrade(method, rest)
        elif rest:
            # A client must wait for the reply to its handshake (RFC 6455, 4.1).
            self.refuse(HTTPStatus.BAD_REQUEST)
        else:
            self._start_websocket(method)
        return None

    def _is_websocket_handshake(self, method: bytes) -> bool:
        """Whether this is a handshake of RFC 6455, 4.1, and can be answered at once."""
        headers = dict(self.headers)
        protocols = [value.lower() for name, value in self.headers if name == b"upgrade"]
        is_handshake = method == b"GET" and self.parser.get_http_version() == "1.1"
        has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_handshake and protocols == [b"websocket"] and not has_body and is_idle

    def _without_upgrade(self, method: bytes, rest: bytes) -> bytes:
        """Ignores `Upgrade` (RFC 9110, 7.8): the same request without this header, and the rest.

        A new parser must read it.
        """
        version = self.parser.get_http_version().encode()
        fields = [header for header in self.headers if header[0] != b"upgrade"]
        head = [b"%b %b HTTP/%b" % (method, self.url, version), *map(b": ".join, fields)]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*head, b"", rest])

    def _start_websocket(self, method: bytes) -> None:
        self.scope["method"] = method.decode()
        self.handle_websocket_upgrade()
        socket = self.transport.get_protocol()
        # What httptools lets pass and websockets does not (200 headers) it never answers.
        if not getattr(socket, "handshake_initiated", True):
            self.refuse(HTTPStatus.BAD_REQUEST)
