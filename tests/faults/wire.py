"""A raw connection to a server, for tests of malformed and slow requests."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.processes import Process

GONE = (ConnectionResetError, BrokenPipeError)
SMALL_BUFFER = 8192


class Wire:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def no_delay(self) -> None:
        """Sends each write in a separate segment."""
        line = self.writer.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send(self, data: bytes) -> None:
        """Sends as much as the server accepts."""
        with suppress(*GONE):
            self.writer.write(data)
            await self.writer.drain()

    async def reply(self) -> tuple[int, bytes]:
        """Reads the next reply. Returns its status and body."""
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split()
            body = await self.reader.readexactly(int(length[0]) if length else 0)
        return int(head.split()[1]), body

    async def status(self) -> int:
        """Reads the next reply. Returns its status."""
        return (await self.reply())[0]

    async def ask(self, data: bytes) -> int:
        """Sends a request. Returns the status of the reply."""
        await self.send(data)
        return await self.status()

    async def rest(self, *, within_seconds: float = 5) -> bytes:
        """Reads until the server closes the connection."""
        received = b""
        async with asyncio.timeout(within_seconds):
            with suppress(*GONE):
                while data := await self.reader.read(65_536):
                    received += data
        return received


@asynccontextmanager
async def wire(server: Process, *, buffer: int | None = None) -> AsyncIterator[Wire]:
    """Opens a connection. With a small buffer, the server soon notices an unread reply."""
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
    """Returns the head of a request; `content_length=` becomes `Content-Length:`."""
    fields = {"host": "localhost", "content_type": "application/json", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def post(body: bytes, path: str = "/graphql", **headers: str) -> bytes:
    """Returns a complete request."""
    return head(path=path, content_length=str(len(body)), **headers) + body
