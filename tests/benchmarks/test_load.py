"""The load generator of the benchmarks."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from benchmarks.load import (
    Exchange,
    Load,
    Storm,
    StormReplies,
    WrongReply,
    log_in_and_probe,
    send_requests,
)

ASKS = Exchange(b"GET / HTTP/1.1\r\n\r\n", b"alice")
LOGS_IN = Exchange(b"GET /login HTTP/1.1\r\n\r\n", b"accessToken")

Answer = Callable[[bytes], list[bytes]]


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    """Starts a server that sends the pieces of a reply one by one."""

    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                for piece in answer(asked):
                    writer.write(piece)
                    await asyncio.sleep(0.001)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.create_task(serve(reader, writer)))

    listening = await asyncio.start_server(start, "127.0.0.1", 0)
    async with listening:
        try:
            yield int(listening.sockets[0].getsockname()[1])
        finally:
            await asyncio.gather(*ended)


async def ask(answer: Answer) -> int:
    async with server(answer) as port:
        served = await send_requests(Load(port, os.getpid(), [ASKS], connections=2, seconds=0.1))
        assert served.per_second > 0
        return len(served.latencies)


@pytest.mark.parametrize(
    "pieces",
    [
        [reply(b"alice")],
        [reply(b"alice")[:20], reply(b"alice")[20:]],
        [reply(b"alice")[:-2], b"ce"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nalice\r\n", b"0\r\n\r\n"],
    ],
    ids=["whole", "head in two", "body in two", "chunks"],
)
async def test_reply_counts_once_it_is_complete(pieces: list[bytes]) -> None:
    seen: list[bytes] = []

    def answer(asked: bytes) -> list[bytes]:
        seen.append(asked)
        return pieces

    assert await ask(answer) == len(seen)


@pytest.mark.parametrize(
    "wrong", [reply(b"bob"), reply(b"alice", b"503 Service Unavailable")], ids=["body", "status"]
)
async def test_wrong_reply_ends_the_run(wrong: bytes) -> None:
    with pytest.raises(WrongReply):
        await ask(lambda _: [wrong])


async def storm(answer: Answer, *, honours_retry_after: bool = False) -> StormReplies:
    async with server(answer) as port:
        return await log_in_and_probe(
            Storm(
                port,
                [LOGS_IN],
                clients=2,
                probes=[ASKS],
                probes_per_second=20,
                warm_up_seconds=0.1,
                seconds=0.5,
                honours_retry_after=honours_retry_after,
            )
        )


async def test_probe_latency_counts_from_the_due_time() -> None:
    blocked = False

    def answer(asked: bytes) -> list[bytes]:
        nonlocal blocked
        if asked == LOGS_IN.request:
            return [reply(b"accessToken")]
        if not blocked:
            blocked = True
            # Blocks the event loop, and so also the sender of the next probes.
            time.sleep(0.25)
        return [reply(b"alice")]

    result = await storm(answer)

    assert len(result.latencies) == 10
    # Due at 0, 50, 100, 150 and 200 ms: all of them waited.
    assert sum(latency > 0.04 for latency in result.latencies) >= 5
    assert result.logins_per_second > 0
    assert result.refused_per_second == result.failed == 0


@pytest.mark.parametrize("honours_retry_after", [True, False])
async def test_throttled_client_waits_if_it_honours_retry_after(
    *, honours_retry_after: bool
) -> None:
    tries = 0

    def answer(asked: bytes) -> list[bytes]:
        nonlocal tries
        if asked == LOGS_IN.request:
            tries += 1
            return [reply(b'{"code":"RATE_LIMITED","retryAfter":2}')]
        return [reply(b"alice")]

    result = await storm(answer, honours_retry_after=honours_retry_after)

    assert result.logins_per_second == 0
    assert (tries == 2) is honours_retry_after


async def test_failed_login_is_counted_and_does_not_end_the_run() -> None:
    def answer(asked: bytes) -> list[bytes]:
        if asked == LOGS_IN.request:
            return [reply(b"no database", b"503 Service Unavailable")]
        return [reply(b"alice")]

    result = await storm(answer)

    assert result.failed > 0
    assert result.logins_per_second == 0
