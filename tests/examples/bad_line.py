"""A line between a frontend and its server that spoils a reply: the server has done its part."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from tests.processes import Process

PORTAL = b"<!doctype html><title>Welcome to our Wi-Fi</title>"

Spoil = Callable[["_Call", bytes], None]


class BadLine:
    """What a frontend takes for the server."""

    def __init__(self, server: Process) -> None:
        self.server = server
        self.base_url = ""
        self.is_over = threading.Event()
        self._next: list[tuple[str, Spoil]] = []

    def spoil_next(self, operation: str, how: Spoil, *, times: int = 1) -> None:
        """Spoils the next replies to requests that have this in them."""
        self._next = [(operation, how)] * times

    def take_spoil(self, request: bytes) -> Spoil | None:
        """How to spoil the reply, if it is to be spoiled."""
        if not self._next or self._next[0][0].encode() not in request:
            return None
        return self._next.pop()[1]


class _Call(BaseHTTPRequestHandler):
    line: BadLine

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        passed = ("Content-Type", "Authorization", "Idempotency-Key")
        headers = {name: self.headers[name] for name in passed if name in self.headers}
        address = f"{self.line.server.base_url}{self.path}"
        reply = httpx2.post(address, content=request, headers=headers)
        if spoil := self.line.take_spoil(request):
            spoil(self, reply.content)
        else:
            self.answer(reply.status_code, reply.content, len(reply.content))

    def answer(self, status: int, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Prints nothing."""


def is_lost(call: _Call, _body: bytes) -> None:
    """The reply never comes, and the connection stays open."""
    call.line.is_over.wait()


def is_cut_off(call: _Call, body: bytes) -> None:
    """Half of the reply comes."""
    call.answer(200, body[: len(body) // 2], len(body))
    call.close_connection = True


def is_another_page(call: _Call, _body: bytes) -> None:
    """A captive portal answers."""
    call.answer(200, PORTAL, len(PORTAL))


def is_other_json(call: _Call, _body: bytes) -> None:
    """Something answers that is no GraphQL."""
    call.answer(200, b"null", 4)


@contextmanager
def bad_line(server: Process) -> Iterator[BadLine]:
    """Opens one."""
    line = BadLine(server)
    handler = type("Call", (_Call,), {"line": line})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        line.base_url = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield line
        finally:
            line.is_over.set()
            listening.shutdown()
