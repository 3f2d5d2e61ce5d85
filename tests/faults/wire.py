"""A connection on which a client can do everything wrong."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.processes import Process

GONE = (ConnectionResetError, BrokenPipeError)
SMALL_BUFFER = 8192


class Wire:
    """What goes over one connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def no_delay(self) -> None:
        """Each write leaves in a segment of its own."""
        line = self.writer.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send(self, data: bytes) -> None:
        """Sends as much as the server still takes."""
        with suppress(*GONE):
            self.writer.write(data)
            await self.writer.drain()

    async def reply(self) -> tuple[int, bytes]:
        """The status of the next reply, and its body."""
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split()
            body = await self.reader.readexactly(int(length[0]) if length else 0)
        return int(head.split()[1]), body

    async def status(self) -> int:
        """The status of the next reply."""
        return (await self.reply())[0]

    async def ask(self, data: bytes) -> int:
        """Sends, and returns the status of the reply."""
        await self.send(data)
        return await self.status()

    async def rest(self, *, within_seconds: float = 5) -> bytes:
        """What is still to come until the server closes."""
        received = b""
        async with asyncio.timeout(within_seconds):
            with suppress(*GONE):
                while data := await self.reader.read(65_536):
                    received += data
        return received


@asynccontextmanager
async def wire(server: Process, *, buffer: int | None = None) -> AsyncIterator[Wire]:
    """A connection; with a small buffer, the server soon notices that nobody reads."""
    line = socket.socket()
    if buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(
        line, ("127.0.0.1", urlsplit(server.base_url).port)
    )
    reader, writer = await asyncio.open_connection(sock=line, limit=buffer or 65_536)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def head(method: str = "POST", path: str = "/graphql", **headers: str) -> bytes:
    """The head of a request; `content_length=` is `Content-Length:`."""
    fields = {"host": "localhost", "content_type": "application/json", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def post(body: bytes, path: str = "/graphql", **headers: str) -> bytes:
    """A whole request."""
    return head(path=path, content_length=str(len(body)), **headers) + body
