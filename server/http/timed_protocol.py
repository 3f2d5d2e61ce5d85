"""uvicorn's HTTP protocol with timeouts: slow, silent or excessive clients are cut off.

A client has the same number of seconds for each step: for the head of a request, for its body, and
for each further piece of a reply that it reads. A request that comes too late is answered 408 if no
reply has begun; otherwise the connection is cut and the application receives `http.disconnect`.
A connection without a request is ended after uvicorn's keep-alive timeout. A WebSocket is ended by
its pings: one every 20 seconds, to be answered within 20.

No request pays for a timer: `Connections` looks at all connections once a second.
"""

import asyncio
import select
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.http.lingering import LEAST_READ_BYTES, MOST_DISCARDED_BYTES, Lingering, ReplyTransport
from server.http.reply_buffer import Exchange, Outbox
from server.http.strict_protocol import StrictProtocol

# How many requests may come at once on one connection; browsers send one. Each takes kilobytes.
MOST_WAITING_REQUESTS = 500
# How long a client may take to read the last reply and to close.
LINGERS_SECONDS = 10.0
# For how long connections are still listened to when the server ends. Proxies keep them open, and
# what they send meanwhile would be answered by a reset.
LAST_REQUESTS_SECONDS = 0.5
# Then the event loop may still have to read what the system has received. Bounded, since a client
# can go on sending.
_LAST_READS = 100
_READ_WITHIN_SECONDS = 0.01

# Looked up once: each request passes here.
_receive = StrictProtocol.data_received
_start = HttpToolsProtocol._start_asgi_task  # noqa: SLF001 - nothing public starts a request


class Step(StrEnum):
    """What the server waits for."""

    FIRST_BYTE = "first byte"
    HEAD = "head"
    BODY = "body"
    READING = "reading"
    UNWANTED_BODY = "unwanted body"
    NEXT_REQUEST = "next request"


# Nobody waits for a reply then.
_SILENT = {Step.FIRST_BYTE, Step.UNWANTED_BODY, Step.NEXT_REQUEST}


@dataclass(slots=True)
class _Wait:
    """What a client is awaited for: the step, of which request, since when."""

    step: Step | None = None
    request: object = None
    since: float = 0.0
    # How much of the reply it had not read then.
    unread_bytes: int = 0


@dataclass(slots=True)
class _Watch:
    """All that is remembered of a connection."""

    outbox: Outbox
    wait: _Wait = field(default_factory=_Wait)
    # Where uvicorn writes the replies.
    replies: ReplyTransport | None = None
    # Of bodies whose request was answered before they were whole.
    discarded_bytes: int = 0
    # The client sends nothing more.
    half_closed: bool = False
    # Its next reply is the last.
    ending: bool = False
    # What is being answered: uvicorn knows the newest request only, which may wait behind it.
    running: RequestResponseCycle | None = None


class TimedProtocol(StrictProtocol):
    """uvicorn's HTTP protocol, with what `Connections` needs to judge how a client behaves."""

    def __init__(self, outbox: Outbox, *arguments: Any) -> None:
        super().__init__(*arguments)
        # One attribute and no more: past thirty, Python looks up each of them more slowly.
        self._watch = _Watch(outbox)

    def shutdown(self) -> None:
        """Ends the connection: a client that asks at this moment has not heard of the end yet."""
        self._watch.ending = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(LAST_REQUESTS_SECONDS, self._end_when_idle, _LAST_READS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the application, whichever request it answers."""
        self._tell_application()
        # They would never run, and hold one another.
        self.pipeline.clear()
        super().connection_lost(exc)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._watch.replies = ReplyTransport(transport, self.linger)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks whether to stay open
        """Answers what was asked before a client stopped sending, as `nc -N` does."""
        running = self._watch.running
        is_awaited = running is not None and not (running.response_complete or running.more_body)
        if is_awaited:
            self.cycle.keep_alive = False
        self._watch.half_closed = True
        self._watch.outbox.flush()
        return is_awaited

    def data_received(self, data: bytes) -> None:
        """Reads on, and refuses too many requests at once."""
        _receive(self, data)
        if len(self.pipeline) > MOST_WAITING_REQUESTS:
            self.refuse(HTTPStatus.TOO_MANY_REQUESTS)

    def refuse_malformed(self) -> None:
        """Answers the requests before it, then ends the connection."""
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete:
            self.refuse(HTTPStatus.BAD_REQUEST)
        else:
            cycle.keep_alive = False

    def discard(self, size: int) -> None:
        """Ends the connection where more than the bound comes after a reply."""
        self._watch.discarded_bytes += size
        if self._watch.discarded_bytes > MOST_DISCARDED_BYTES:
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over to its WebSocket, which has timeouts of its own."""
        # The last reply must come before the socket's messages.
        self._watch.outbox.flush()
        if self._watch.ending:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Goes on to the next request; no more are read while others wait, and no timer is made."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self not in self.connections:
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """The client is behind: from now on it has to read."""
        super().pause_writing()
        self._watch.wait = _Wait()

    def refuse(self, status: HTTPStatus) -> None:
        """Ends the connection, with this status unless another reply has begun or comes first."""
        running = self._watch.running
        if running is None or running.response_complete:
            may_reply = not self._head_is_whole()
        else:
            may_reply = running.scope is self.scope and not running.response_started
        self._watch.outbox.flush()
        if may_reply:
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\n"
                "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
        self.linger()

    def linger(self) -> None:
        """Ends the connection, but not before its client has read what was written."""
        if self.transport.is_closing() or self not in self.connections:
            return
        self._watch.outbox.flush()
        self.connections.discard(self)
        self._tell_application()
        self.pipeline.clear()
        self.flow.resume_reading()
        # A reply that waits for its client to read is never continued.
        self.flow.resume_writing()
        if self._watch.half_closed or not self.transport.can_write_eof():
            self.transport.close()
        else:
            is_read = not self.transport.get_write_buffer_size()
            is_brief = self._watch.ending and is_read
            seconds = LAST_REQUESTS_SECONDS if is_brief else LINGERS_SECONDS
            Lingering(self.transport, self.connections).start(self.loop, seconds)

    def end_if_too_late(self, now: float, seconds: float) -> Step | None:
        """Ends the connection if its client has kept us waiting; returns for what, if it had to."""
        step, wait = self._awaited_step(), self._watch.wait
        unread_bytes = self.transport.get_write_buffer_size()
        is_another = step is not wait.step or self.scope is not wait.request
        if step is Step.NEXT_REQUEST:
            seconds = self.timeout_keep_alive
        if not is_another and (step is None or now - wait.since < seconds):
            return None
        if is_another or wait.unread_bytes - unread_bytes >= LEAST_READ_BYTES:
            self._watch.wait = _Wait(step, self.scope, now, unread_bytes)
            return None
        self._end(step)
        return None if step is Step.NEXT_REQUEST else step

    def _end_when_idle(self, reads: int) -> None:
        self._watch.outbox.flush()
        if reads and not self.transport.is_closing() and _has_unread_bytes(self.transport):
            # To close now would lose a request, and answer it by a reset.
            self.loop.call_later(_READ_WITHIN_SECONDS, self._end_when_idle, reads - 1)
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._watch.running = cycle
        self._watch.discarded_bytes = 0
        cycle.transport = self._watch.replies  # type: ignore[assignment] # all that a cycle calls
        if self._watch.ending:
            cycle.keep_alive = False
        _start(self, cycle, Exchange(app, cycle, self._watch.outbox))

    def _head_is_whole(self) -> bool:
        return self.cycle is not None and self.cycle.scope is self.scope

    def _awaited_step(self) -> Step | None:
        """What the client has to do next; None while it is the server's turn."""
        if self.flow.write_paused or self.transport.is_closing():
            return Step.READING
        if self.flow.read_paused or self.pipeline:
            return None
        head_is_whole = self._head_is_whole()
        if self.cycle is not None and not self.cycle.response_complete:
            return Step.BODY if head_is_whole and self.cycle.more_body else None
        if self.scope is None:
            return Step.FIRST_BYTE
        if not head_is_whole:
            return Step.HEAD
        # What is left of a body that nobody wanted comes before the next request.
        return Step.UNWANTED_BODY if self.cycle.more_body else Step.NEXT_REQUEST

    def _end(self, step: Step | None) -> None:
        if step is Step.READING:
            self.transport.abort()
        elif step in _SILENT:
            # A browser that connected in advance takes a 408 for the reply to its first request.
            self.transport.close()
        else:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _tell_application(self) -> None:
        running = self._watch.running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.waiting_for_100_continue = False
            running.message_event.set()


def _has_unread_bytes(transport: asyncio.Transport) -> bool:
    """Whether the system has received something that the event loop has not read."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
