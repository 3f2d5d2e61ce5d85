"""Replies leave whole at the end of a turn, and nobody waits for somebody else who has gone."""

import asyncio
from types import SimpleNamespace
from typing import Any

from server.whole_replies import Outbox, WholeReply


class Connection:
    """A transport, as far as replies need one."""

    def __init__(self, *, gone: bool = False) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self._gone = gone

    def write(self, data: bytes) -> None:
        if self._gone:
            raise RuntimeError("unable to perform operation on a closed transport")
        self.written.append(data)

    def is_closing(self) -> bool:
        return self._gone

    def close(self) -> None:
        self.closed = True


def reply_on(connection: Any, outbox: Outbox, *, started: bool = True) -> WholeReply:
    cycle: Any = SimpleNamespace(transport=connection, response_started=started)
    return WholeReply(cycle, outbox)


async def test_head_and_body_leave_together_when_the_turn_ends() -> None:
    connection = Connection()
    reply = reply_on(connection, Outbox(asyncio.get_running_loop()))
    reply.write(b"head")
    reply.write(b"body")
    assert connection.written == []
    await asyncio.sleep(0)
    assert connection.written == [b"headbody"]


async def test_what_follows_the_first_of_a_body_keeps_its_order() -> None:
    connection = Connection()
    reply = reply_on(connection, Outbox(asyncio.get_running_loop()))
    for part in (b"head", b"one", b"two", b"three"):
        reply.write(part)
    assert connection.written == [b"headone", b"two", b"three"]


async def test_who_has_gone_keeps_nobody_else_waiting() -> None:
    outbox = Outbox(asyncio.get_running_loop())
    gone, other, later = Connection(gone=True), Connection(), Connection()
    for connection in (gone, other):
        reply = reply_on(connection, outbox)
        reply.write(b"head")
        reply.write(b"body")
    await asyncio.sleep(0)
    reply = reply_on(later, outbox)
    reply.write(b"head")
    reply.write(b"body")
    await asyncio.sleep(0)
    assert (other.written, later.written) == ([b"headbody"], [b"headbody"])


async def test_a_continue_is_written_at_once() -> None:
    connection = Connection()
    reply = reply_on(connection, Outbox(asyncio.get_running_loop()), started=False)
    reply.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert connection.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]


async def test_a_connection_is_closed_after_its_reply() -> None:
    connection = Connection()
    reply = reply_on(connection, Outbox(asyncio.get_running_loop()))
    reply.write(b"head")
    reply.write(b"body")
    reply.close()
    assert (connection.written, connection.closed) == ([b"headbody"], True)
