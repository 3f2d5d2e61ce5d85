"""A proxy between a frontend and its server that can damage replies after the server has acted."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from tests.processes import Process

PORTAL = b"<!doctype html><title>Welcome to our Wi-Fi</title>"

Failure = Callable[["_Call", bytes], None]


class FaultyProxy:
    """The proxy that a frontend calls instead of the server."""

    def __init__(self, server: Process) -> None:
        self.server = server
        self.base_url = ""
        self.stopped = threading.Event()
        self._next: list[tuple[str, Failure]] = []

    def fail_next(self, operation: str, failure: Failure, *, times: int = 1) -> None:
        """Damages the next replies to requests that contain `operation`."""
        self._next = [(operation, failure)] * times

    def take_failure(self, request: bytes) -> Failure | None:
        """Returns how to damage the reply to the request, if it must be damaged."""
        if not self._next or self._next[0][0].encode() not in request:
            return None
        return self._next.pop()[1]


class _Call(BaseHTTPRequestHandler):
    proxy: FaultyProxy

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        passed = ("Content-Type", "Authorization", "Idempotency-Key")
        headers = {name: self.headers[name] for name in passed if name in self.headers}
        address = f"{self.proxy.server.base_url}{self.path}"
        reply = httpx2.post(address, content=request, headers=headers)
        if damage := self.proxy.take_failure(request):
            damage(self, reply.content)
        else:
            self.answer(reply.status_code, reply.content, len(reply.content))

    def answer(self, status: int, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing."""


def no_reply(call: _Call, _body: bytes) -> None:
    """Sends no reply, and keeps the connection open."""
    call.proxy.stopped.wait()


def truncated_reply(call: _Call, body: bytes) -> None:
    """Sends half of the reply."""
    call.answer(200, body[: len(body) // 2], len(body))
    call.close_connection = True


def html_reply(call: _Call, _body: bytes) -> None:
    """Sends an HTML page, as a captive portal does."""
    call.answer(200, PORTAL, len(PORTAL))


def other_json_reply(call: _Call, _body: bytes) -> None:
    """Sends JSON that is not a GraphQL response."""
    call.answer(200, b"null", 4)


@contextmanager
def faulty_proxy(server: Process) -> Iterator[FaultyProxy]:
    """Starts a proxy."""
    proxy = FaultyProxy(server)
    handler = type("Call", (_Call,), {"proxy": proxy})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        proxy.base_url = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield proxy
        finally:
            proxy.stopped.set()
            listening.shutdown()
