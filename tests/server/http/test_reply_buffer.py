"""Replies are written in one piece at the end of a turn of the event loop."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from server.http.reply_buffer import BufferedCycle, ReplyBuffer

DATE = (b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")


class Connection:
    """A transport that records what is written."""

    def __init__(self, *, closed: bool = False) -> None:
        self.written: list[bytes] = []
        self._closed = closed

    def write(self, data: bytes) -> None:
        if self._closed:
            raise RuntimeError("unable to perform operation on a closed transport")
        self.written.append(data)

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self.written.append(b"<closed>")

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def cycle_on(
    connection: Any, *, method: str = "GET", keep_alive: bool = True
) -> RequestResponseCycle:
    scope: Any = {"method": method}
    logger: Any = SimpleNamespace()
    return RequestResponseCycle(
        scope,
        connection,
        FlowControl(connection),
        logger,
        logger,
        access_log=False,
        default_headers=[DATE],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )


async def no_application(_scope: object, _receive: object, _send: object) -> None:
    pass


def buffered_cycle_on(connection: Any, buffer: ReplyBuffer) -> BufferedCycle:
    return BufferedCycle(no_application, cycle_on(connection), buffer)


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(data: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % len(data))


async def new_buffer() -> ReplyBuffer:
    return ReplyBuffer(asyncio.get_running_loop())


async def written_by_uvicorn(*messages: Message, **options: Any) -> bytes:
    connection = Connection()
    cycle: Any = cycle_on(connection, **options)
    for message in messages:
        await cycle.send(message)
    return b"".join(connection.written)


async def written_whole(*messages: Message, **options: Any) -> bytes:
    connection = Connection()
    buffered = BufferedCycle(no_application, cycle_on(connection, **options), await new_buffer())
    for message in messages:
        await buffered.send(message)
    await asyncio.sleep(0)
    return b"".join(connection.written)


async def test_head_and_body_are_written_together_at_the_end_of_the_turn() -> None:
    connection = Connection()
    buffered = buffered_cycle_on(connection, await new_buffer())
    await buffered.send(start(length(b"body")))
    await buffered.send(body(b"body"))
    assert connection.written == []
    await asyncio.sleep(0)
    assert len(connection.written) == 1
    assert connection.written[0].endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(
    "messages",
    [
        (start(length(b"body")), body(b"body")),
        (start(length(b""), status=204), body(b"")),
        (start((b"set-cookie", b"a=b"), (b"set-cookie", b"c=d"), length(b"x")), body(b"x")),
        (start(length(b"body"), (b"Content-Type", b"text/plain")), body(b"body")),
        (start(length(b"body"), (b"connection", b"close")), body(b"body")),
        (start(length(b"onetwo")), body(b"one", more=True), body(b"two")),
        (start(), body(b"of unknown length")),
        (start(), body(b"one", more=True), body(b"two", more=True), body(b"")),
    ],
    ids=[
        "whole",
        "empty",
        "two cookies",
        "capitals",
        "closing",
        "pieces",
        "no length",
        "pieces without a length",
    ],
)
@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_written_bytes_equal_those_of_uvicorn(
    messages: tuple[Message, ...], keep_alive: bool, method: str
) -> None:
    options: Any = {"keep_alive": keep_alive, "method": method}
    expected = await written_by_uvicorn(*messages, **options)
    assert await written_whole(*messages, **options) == expected


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\0", b"a\x7f"])
async def test_header_value_with_control_characters_is_refused(value: bytes) -> None:
    with pytest.raises(RuntimeError, match="Invalid HTTP header value"):
        await written_whole(start((b"x-name", value), length(b"x")), body(b"x"))


@pytest.mark.parametrize("name", [b"x: y", b"x y", b"x\r\ny"])
async def test_invalid_header_name_is_refused(name: bytes) -> None:
    with pytest.raises(RuntimeError, match="Invalid HTTP header name"):
        await written_whole(start((name, b"z"), length(b"x")), body(b"x"))


async def test_reply_without_a_headers_key_is_sent() -> None:
    bare: Message = {"type": "http.response.start", "status": 200}
    assert await written_whole(bare, body(b"x")) == await written_by_uvicorn(bare, body(b"x"))


async def test_reply_without_any_headers_is_sent() -> None:
    connection = Connection()
    cycle = cycle_on(connection)
    cycle.default_headers = []
    buffered = BufferedCycle(no_application, cycle, await new_buffer())
    await buffered.send(start())
    await buffered.send(body(b"x"))
    assert b"".join(connection.written).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_headers_may_be_a_generator() -> None:
    pairs = (pair for pair in [(b"set-cookie", b"a=b")])
    once: Message = {"type": "http.response.start", "status": 200, "headers": pairs}
    assert b"set-cookie: a=b\r\n" in await written_whole(once, body(b"x"))


async def test_100_continue_is_not_sent_after_a_final_reply() -> None:
    connection = Connection()
    cycle = cycle_on(connection)
    cycle.waiting_for_100_continue = True
    buffered = BufferedCycle(no_application, cycle, await new_buffer())
    await buffered.send(start(length(b"x")))
    await buffered.send(body(b"x"))
    await cycle.receive()
    await asyncio.sleep(0)
    assert not any(b"100 Continue" in data for data in connection.written)


async def test_body_longer_than_content_length_is_refused() -> None:
    with pytest.raises(RuntimeError, match="longer than Content-Length"):
        await written_whole(start(length(b"x")), body(b"xyz"))


async def test_closed_connection_does_not_delay_other_replies() -> None:
    buffer = await new_buffer()
    closed, other, later = Connection(closed=True), Connection(), Connection()
    for connection in (closed, other):
        buffered = buffered_cycle_on(connection, buffer)
        await buffered.send(start(length(b"body")))
        await buffered.send(body(b"body"))
    await asyncio.sleep(0)
    buffered = buffered_cycle_on(later, buffer)
    await buffered.send(start(length(b"body")))
    await buffered.send(body(b"body"))
    await asyncio.sleep(0)
    assert [len(other.written), len(later.written)] == [1, 1]


async def test_send_waits_for_a_client_that_reads_slowly() -> None:
    connection = Connection()
    cycle = cycle_on(connection)
    buffered = BufferedCycle(no_application, cycle, await new_buffer())
    await buffered.send(start(length(b"body")))
    cycle.flow.pause_writing()
    sending = asyncio.create_task(buffered.send(body(b"body")))
    await asyncio.sleep(0)
    assert not sending.done()
    cycle.flow.resume_writing()
    await sending
    assert cycle.response_complete


async def test_nothing_is_sent_to_a_disconnected_client() -> None:
    connection = Connection()
    cycle = cycle_on(connection)
    buffered = BufferedCycle(no_application, cycle, await new_buffer())
    await buffered.send(start(length(b"body")))
    cycle.disconnected = True
    await buffered.send(body(b"body"))
    await asyncio.sleep(0)
    assert connection.written == []


async def test_reply_in_parts_is_written_after_the_reply_before_it() -> None:
    connection, buffer = Connection(), await new_buffer()
    first, second = buffered_cycle_on(connection, buffer), buffered_cycle_on(connection, buffer)
    await first.send(start(length(b"first")))
    await first.send(body(b"first"))
    await second.send(start())
    await second.send(body(b"second", more=True))
    assert connection.written[0].endswith(b"first")
