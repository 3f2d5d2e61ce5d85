"""What loads the servers of the benchmarks: a figure is only worth what it does."""

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
    Stormed,
    WrongReply,
    keep_asking,
    log_in_and_probe,
)

ASKS = Exchange(b"GET / HTTP/1.1\r\n\r\n", b"alice")
LOGS_IN = Exchange(b"GET /login HTTP/1.1\r\n\r\n", b"accessToken")

Answer = Callable[[bytes], list[bytes]]


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    """A server that sends the pieces of an answer one by one."""

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
        served = await keep_asking(Load(port, os.getpid(), [ASKS], connections=2, seconds=0.1))
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
async def test_a_reply_counts_when_all_of_it_is_there(pieces: list[bytes]) -> None:
    seen: list[bytes] = []

    def answer(asked: bytes) -> list[bytes]:
        seen.append(asked)
        return pieces

    assert await ask(answer) == len(seen)


@pytest.mark.parametrize(
    "wrong", [reply(b"bob"), reply(b"alice", b"503 Service Unavailable")], ids=["body", "status"]
)
async def test_a_wrong_reply_ends_the_run(wrong: bytes) -> None:
    with pytest.raises(WrongReply):
        await ask(lambda _: [wrong])


async def storm(answer: Answer, *, obedient: bool = False) -> Stormed:
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
                obedient=obedient,
            )
        )


async def test_a_probe_counts_from_when_it_was_due_and_none_waits_for_another() -> None:
    stood_still = False

    def answer(asked: bytes) -> list[bytes]:
        nonlocal stood_still
        if asked == LOGS_IN.request:
            return [reply(b"accessToken")]
        if not stood_still:
            stood_still = True
            # The whole loop, and with it whoever would send the next probe.
            time.sleep(0.25)
        return [reply(b"alice")]

    stormed = await storm(answer)

    assert len(stormed.latencies) == 10
    # Due at 0, 50, 100, 150 and 200 ms: all of them waited.
    assert sum(latency > 0.04 for latency in stormed.latencies) >= 5
    assert stormed.logins_per_second > 0
    assert stormed.refused_per_second == stormed.failed == 0


@pytest.mark.parametrize("obedient", [True, False])
async def test_a_refused_client_waits_only_if_it_obeys(*, obedient: bool) -> None:
    tries = 0

    def answer(asked: bytes) -> list[bytes]:
        nonlocal tries
        if asked == LOGS_IN.request:
            tries += 1
            return [reply(b'{"code":"RATE_LIMITED","retryAfter":2}')]
        return [reply(b"alice")]

    stormed = await storm(answer, obedient=obedient)

    assert stormed.logins_per_second == 0
    assert (tries == 2) is obedient


async def test_a_login_that_fails_is_counted_and_ends_nothing() -> None:
    def answer(asked: bytes) -> list[bytes]:
        if asked == LOGS_IN.request:
            return [reply(b"no database", b"503 Service Unavailable")]
        return [reply(b"alice")]

    stormed = await storm(answer)

    assert stormed.failed > 0
    assert stormed.logins_per_second == 0
