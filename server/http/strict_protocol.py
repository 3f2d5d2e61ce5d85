"""uvicorn's HTTP protocol, with strict rules on where a request ends.

A proxy sends the requests of many clients over one connection. If the proxy and Postern disagree on
where a request ends, one client gets the reply of another (request smuggling).

This package uses these undocumented parts of uvicorn and httptools. New versions can change them,
so pyproject.toml limits the versions, and tests/server/http/test_uvicorn_internals.py checks them.

* The callbacks of httptools on `HttpToolsProtocol`, its attributes per connection and per request,
  `_start_asgi_task` and `handle_websocket_upgrade`; the positional offset of `HttpParserUpgrade`.
* `RequestResponseCycle`: its flags, `body`, `transport`, `send`, `receive` and `on_response`.
* `FlowControl`, `STATUS_LINE`; `handshake_initiated` of the WebSocket protocol, and what
  server/http/socket_protocol.py overrides of it.
* `Config(http=...)` takes a callable, and calls it with a config, a state and a loop.
"""

import asyncio
from http import HTTPStatus

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Heads and trailers up to this length are accepted; those of twice the length never are.
HEAD_BYTES = 16_384

# RFC 9112 specifies the framing of these versions.
_VERSIONS = ("1.1", "1.0")

# Looked up once, because it is called for each request.
_start_request = HttpToolsProtocol.on_headers_complete


class AmbiguousFraming(Exception):
    """A proxy could disagree with Postern on where this request ends."""


class StrictProtocol(HttpToolsProtocol):
    """Serves requests with clear framing; refuses others and closes the connection."""

    # Received since the last byte of a body, the last complete head or the last complete request.
    framing_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parses data. Refuses heads, trailers and chunk extensions that are too long."""
        unread: bytes | None = data
        # A loop: each of hundreds of requests in one piece may have an `Upgrade` to ignore.
        while unread is not None:
            if len(unread) > HEAD_BYTES:
                self._receive_in_pieces(unread)
                return
            unread = self._read(unread)

    def refuse(self, status: HTTPStatus) -> None:
        """Answers with this status and closes the connection."""
        raise NotImplementedError

    def refuse_malformed(self) -> None:
        """Closes the connection after data that is not valid HTTP."""
        raise NotImplementedError

    def discard(self, size: int) -> None:
        """Counts bytes of a body that arrived after the reply."""
        raise NotImplementedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Adds a header, and handles `Expect` like uvicorn. Raises AmbiguousFraming."""
        name = name.lower()
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            # No other coding is supported (RFC 9112, 6.1), and proxies parse lists of codings
            # differently.
            raise AmbiguousFraming
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Starts the request, unless it has to be checked by `_upgrade` first."""
        if self.parser.get_http_version() not in _VERSIONS:
            raise AmbiguousFraming
        if not self.parser.should_upgrade():
            _start_request(self)
            self.framing_bytes = 0
            # Trailers must not become headers of the running request (RFC 9110, 6.5.1).
            self.headers = []

    def on_body(self, body: bytes) -> None:
        """Adds a part of a body, or discards it if the request was answered already."""
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
        """Marks the body of the latest request as complete."""
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
            # Not always `self`: a WebSocket handshake or a refusal changes the protocol.
            receiver = self.transport.get_protocol()
            assert isinstance(receiver, asyncio.Protocol)
            receiver.data_received(data[start : start + HEAD_BYTES])

    def _upgrade(self, rest: bytes) -> bytes | None:
        """Handles a request after which the parser has stopped because of `Upgrade` or CONNECT.

        The parser does not read the body of such a request. If it continued, it would parse the
        body as the next request (request smuggling, uvicorn issue 2722).
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
        """Returns whether this is a handshake (RFC 6455, 4.1) and no earlier reply is pending."""
        headers = dict(self.headers)
        protocols = [value.lower() for name, value in self.headers if name == b"upgrade"]
        is_handshake = method == b"GET" and self.parser.get_http_version() == "1.1"
        has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_handshake and protocols == [b"websocket"] and not has_body and is_idle

    def _without_upgrade(self, method: bytes, rest: bytes) -> bytes:
        """Returns the same request without `Upgrade`, which may be ignored (RFC 9110, 7.8).

        A new parser must read it, and what came after it.
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
        # Not started if websockets rejects what httptools accepts, such as 200 headers.
        if not getattr(socket, "handshake_initiated", True):
            self.refuse(HTTPStatus.BAD_REQUEST)
