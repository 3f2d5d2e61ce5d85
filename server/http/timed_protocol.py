"""uvicorn's HTTP protocol with timeouts: disconnects clients that are too slow or send too much.

A client has the same number of seconds for each step: the head of a request, its body, and each
16 KiB of the reply. A request that arrives too late is answered 408 if no reply has started.
Otherwise the connection is closed and the application receives `http.disconnect`. A connection
without a request is closed after uvicorn's keep-alive timeout. WebSockets have a ping every 20
seconds, which the client must answer within 20 seconds.

There are no timers per request: `ConnectionWatchdog` checks all connections once a second.
"""

import asyncio
import select
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.http.lingering import (
    LEAST_READ_BYTES,
    MOST_DISCARDED_BYTES,
    LingeringProtocol,
    ReplyTransport,
)
from server.http.reply_buffer import BufferedCycle, ReplyBuffer
from server.http.strict_protocol import StrictProtocol

# The limit of pipelined requests per connection. Browsers send one; each takes kilobytes.
MOST_WAITING_REQUESTS = 500
# How long a client may take to read the last reply and close the connection.
LINGER_SECONDS = 10.0
# How long open connections are still read from when the server stops. A request that a proxy sends
# in this time would otherwise be answered by a reset.
LAST_REQUESTS_SECONDS = 0.5
# After that, the event loop may still have to read what the system has received. This is limited,
# because a client can continue to send.
_LAST_READS = 100
_READ_WITHIN_SECONDS = 0.01

# Looked up once, because they are called for each request.
_receive = StrictProtocol.data_received
_start = HttpToolsProtocol._start_asgi_task  # noqa: SLF001 - nothing public starts a request


class Step(StrEnum):
    """The step of the client that the server waits for."""

    FIRST_BYTE = "first byte"
    HEAD = "head"
    BODY = "body"
    READING = "reading"
    UNWANTED_BODY = "unwanted body"
    NEXT_REQUEST = "next request"


# In these steps the client does not expect a reply.
_SILENT = {Step.FIRST_BYTE, Step.UNWANTED_BODY, Step.NEXT_REQUEST}


@dataclass(slots=True)
class _AwaitedStep:
    """The step of the client that the server waits for, with its start."""

    step: Step | None = None
    request: object = None
    since: float = 0.0
    # How much of the reply was unread at the start.
    unread_bytes: int = 0


@dataclass(slots=True)
class _ConnectionState:
    """The state of a connection, beside uvicorn's."""

    buffer: ReplyBuffer
    awaited: _AwaitedStep = field(default_factory=_AwaitedStep)
    reply_transport: ReplyTransport | None = None
    # The bytes of a body that arrived after the reply to its request.
    discarded_bytes: int = 0
    # The client has stopped sending.
    half_closed: bool = False
    # The next reply is the last one.
    ending: bool = False
    # The request that is being answered. `cycle` of uvicorn is the latest request, which may be
    # queued behind it.
    running: RequestResponseCycle | None = None


class TimedProtocol(StrictProtocol):
    """uvicorn's HTTP protocol with the timeouts that `ConnectionWatchdog` checks."""

    def __init__(self, buffer: ReplyBuffer, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Only one attribute: with more than thirty, Python looks up each of them more slowly.
        self._state = _ConnectionState(buffer)

    def shutdown(self) -> None:
        """Closes the connection soon; a request that is on its way is still answered."""
        self._state.ending = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(LAST_REQUESTS_SECONDS, self._close_when_idle, _LAST_READS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Sends `http.disconnect` to the running request and drops the queued ones."""
        self._disconnect_application()
        # They would never run, and their references form a cycle.
        self.pipeline.clear()
        super().connection_lost(exc)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Prepares a new connection."""
        super().connection_made(transport)
        self._state.reply_transport = ReplyTransport(transport, self.linger)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks whether to stay open
        """Answers the running request of a client that has stopped sending, such as `nc -N`."""
        running = self._state.running
        is_awaited = running is not None and not (running.response_complete or running.more_body)
        if is_awaited:
            self.cycle.keep_alive = False
        self._state.half_closed = True
        self._state.buffer.flush()
        return is_awaited

    def data_received(self, data: bytes) -> None:
        """Parses data. Refuses too many pipelined requests."""
        _receive(self, data)
        if len(self.pipeline) > MOST_WAITING_REQUESTS:
            self.refuse(HTTPStatus.TOO_MANY_REQUESTS)

    def refuse_malformed(self) -> None:
        """Answers the requests before the malformed one, then closes the connection."""
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete:
            self.refuse(HTTPStatus.BAD_REQUEST)
        else:
            cycle.keep_alive = False

    def discard(self, size: int) -> None:
        """Counts bytes of a body after its reply, and aborts the connection past the limit."""
        self._state.discarded_bytes += size
        if self._state.discarded_bytes > MOST_DISCARDED_BYTES:
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        """Changes the protocol to WebSocket, which has other timeouts."""
        # The last reply must be sent before the messages of the socket.
        self._state.buffer.flush()
        if self._state.ending:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Starts the next queued request, or reads on if there is none."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self not in self.connections:
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Starts the timeout for reading the reply."""
        super().pause_writing()
        self._state.awaited = _AwaitedStep()

    def refuse(self, status: HTTPStatus) -> None:
        """Closes the connection. Sends the status, unless another reply has started or is due."""
        running = self._state.running
        if running is None or running.response_complete:
            may_reply = not self._head_is_complete()
        else:
            may_reply = running.scope is self.scope and not running.response_started
        self._state.buffer.flush()
        if may_reply:
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\n"
                "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
        self.linger()

    def linger(self) -> None:
        """Closes the connection after the client has read what was written."""
        if self.transport.is_closing() or self not in self.connections:
            return
        self._state.buffer.flush()
        self.connections.discard(self)
        self._disconnect_application()
        self.pipeline.clear()
        self.flow.resume_reading()
        # Ends the wait of a reply whose client does not read it.
        self.flow.resume_writing()
        if self._state.half_closed or not self.transport.can_write_eof():
            self.transport.close()
        else:
            is_read = not self.transport.get_write_buffer_size()
            is_brief = self._state.ending and is_read
            seconds = LAST_REQUESTS_SECONDS if is_brief else LINGER_SECONDS
            LingeringProtocol(self.transport, self.connections).start(self.loop, seconds)

    def close_if_timed_out(self, now: float, seconds: float) -> Step | None:
        """Closes the connection if the client took too long, and returns the awaited step.

        Returns None for a connection that stays open, or that was idle.
        """
        step, awaited = self._awaited_step(), self._state.awaited
        unread_bytes = self.transport.get_write_buffer_size()
        is_new = step is not awaited.step or self.scope is not awaited.request
        if step is Step.NEXT_REQUEST:
            seconds = self.timeout_keep_alive
        if not is_new and (step is None or now - awaited.since < seconds):
            return None
        if is_new or awaited.unread_bytes - unread_bytes >= LEAST_READ_BYTES:
            self._state.awaited = _AwaitedStep(step, self.scope, now, unread_bytes)
            return None
        self._close(step)
        return None if step is Step.NEXT_REQUEST else step

    def _close_when_idle(self, reads: int) -> None:
        self._state.buffer.flush()
        if reads and not self.transport.is_closing() and _has_unread_bytes(self.transport):
            # Closing now would answer a request that has arrived by a reset.
            self.loop.call_later(_READ_WITHIN_SECONDS, self._close_when_idle, reads - 1)
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._state.running = cycle
        self._state.discarded_bytes = 0
        cycle.transport = self._state.reply_transport  # type: ignore[assignment] # all that a cycle calls
        if self._state.ending:
            cycle.keep_alive = False
        _start(self, cycle, BufferedCycle(app, cycle, self._state.buffer))

    def _head_is_complete(self) -> bool:
        return self.cycle is not None and self.cycle.scope is self.scope

    def _awaited_step(self) -> Step | None:
        """Returns the next step of the client; None while the server works on a reply."""
        if self.flow.write_paused or self.transport.is_closing():
            return Step.READING
        if self.flow.read_paused or self.pipeline:
            return None
        head_is_complete = self._head_is_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            return Step.BODY if head_is_complete and self.cycle.more_body else None
        if self.scope is None:
            return Step.FIRST_BYTE
        if not head_is_complete:
            return Step.HEAD
        # The rest of a body that was not read comes before the next request.
        return Step.UNWANTED_BODY if self.cycle.more_body else Step.NEXT_REQUEST

    def _close(self, step: Step | None) -> None:
        if step is Step.READING:
            self.transport.abort()
        elif step in _SILENT:
            # A browser that connects in advance would take a 408 as the reply to its first request.
            self.transport.close()
        else:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _disconnect_application(self) -> None:
        running = self._state.running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.waiting_for_100_continue = False
            running.message_event.set()


def _has_unread_bytes(transport: asyncio.Transport) -> bool:
    """Returns whether the system has received data that the event loop has not read."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
