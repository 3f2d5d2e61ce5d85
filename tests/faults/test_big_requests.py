"""Too large requests are refused at once and do not increase memory."""

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from server.http.lingering import MOST_DISCARDED_BYTES
from tests.databases import SqliteTemplates
from tests.faults.cluster import one_of_cluster
from tests.faults.wire import GONE, head, post, wire
from tests.processes import Process

ASK = b'{"query": "{ __typename }"}'
FORM = {"path": "/token", "content_type": "application/x-www-form-urlencoded"}
MEGABYTE = 1_000_000
TIMES = 200
# Half of the request timeout, because the test machines are busy.
REFUSED_WITHIN_SECONDS = 5.0
MAY_GROW = 20 * MEGABYTE

CHUNK = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("big")
    with one_of_cluster(folder, sqlite_templates.new(folder)) as process:
        yield process
        assert "Traceback" not in process.output


def many_headers(count: int) -> bytes:
    return head(**{f"x{i}": "y" for i in range(count)})


REQUESTS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "announced body": (413, lambda: head(content_length=str(10**12))),
    "announced form": (413, lambda: head(**FORM, content_length=str(10**12))),
    "body": (413, lambda: post(b" " * MEGABYTE)),
    "endless body": (413, lambda: head(transfer_encoding="chunked") + CHUNK * 10),
    "endless form": (413, lambda: head(**FORM, transfer_encoding="chunked") + CHUNK * 10),
    "deep json": (400, lambda: post(b"[" * 50_000 + b"]" * 50_000)),
    "deep variables": (400, lambda: post(ASK[:-1] + b', "variables": ' + b'{"a":' * 15_000)),
    "gzip bomb": (415, lambda: post(gzip.compress(b" " * 10**7), content_encoding="gzip")),
    "10 000 headers": (431, lambda: many_headers(10_000)),
    "endless header": (431, lambda: head()[:-2] + b"x: " + b"y" * MEGABYTE),
    "endless line": (431, lambda: b"GET /" + b"y" * MEGABYTE),
    "endless trailers": (
        431,
        lambda: head(transfer_encoding="chunked") + b"1\r\n{\r\n0\r\n" + b"x: y\r\n" * 50_000,
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_too_large_request_is_refused_and_others_are_served(
    server: Process, name: str
) -> None:
    status, make = REQUESTS[name]
    request = make()
    async with wire(server) as attacker, wire(server) as other:
        started = time.monotonic()
        attacker.writer.write(request)
        assert await attacker.status() == status
        assert time.monotonic() - started < REFUSED_WITHIN_SECONDS
        assert await other.ask(post(ASK)) == 200


EARLY = {
    "unknown path": (404, {"path": "/none"}),
    "wrong type": (406, {"accept": "text/plain"}),
    "too large": (413, {}),
    "too large form": (413, FORM),
    "wrong method": (405, {"method": "PUT"}),
    "not JSON": (413, {"content_type": "text/plain"}),
}


@pytest.mark.parametrize("name", EARLY)
def test_body_sent_after_the_reply_does_not_discard_the_reply(server: Process, name: str) -> None:
    status, fields = EARLY[name]
    port = urlsplit(server.base_url).port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(head(**fields, content_length=str(MEGABYTE)))
        # The reply has arrived but is not read yet.
        line.recv(1, socket.MSG_PEEK)
        for _ in range(10):
            line.sendall(b" " * (MEGABYTE // 10))
        assert line.recv(65_536).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("name", EARLY)
async def test_client_that_is_answered_while_sending_gets_the_reply(
    server: Process, name: str, framing: str
) -> None:
    status, fields = EARLY[name]
    for _ in range(20):
        async with wire(server) as client:
            # The client reads only after it has sent everything. A reset would make it fail.
            if framing == "length":
                client.writer.write(head(**fields, content_length=str(MEGABYTE)))
                client.writer.write(b" " * MEGABYTE)
            else:
                client.writer.write(head(**fields, transfer_encoding="chunked"))
                client.writer.write(CHUNK * (MEGABYTE // len(CHUNK)) + b"0\r\n\r\n")
            await client.writer.drain()
            assert await client.status() == status


async def test_connection_stays_open_after_an_early_reply(server: Process) -> None:
    async with wire(server) as client:
        for _ in range(5):
            request = post(b" " * MEGABYTE, "/none")
            assert await client.ask(request) == 404
        assert await client.ask(post(ASK)) == 200


@pytest.mark.parametrize("path", ["/none", "/graphql"], ids=["kept open", "closing"])
async def test_body_after_an_early_reply_is_discarded_up_to_a_limit(
    server: Process, path: str
) -> None:
    async with wire(server) as client:
        client.writer.write(head(path=path, content_length=str(10**12)))
        assert await client.status() in {404, 413}
        sent = 0
        with suppress(*GONE):
            while sent < 10 * MOST_DISCARDED_BYTES:
                client.writer.write(b" " * MEGABYTE)
                await client.writer.drain()
                sent += MEGABYTE
        assert sent < 10 * MOST_DISCARDED_BYTES


async def test_many_large_requests_do_not_increase_memory(server: Process) -> None:
    requests = [(status, request()) for status, request in REQUESTS.values()]
    before = server.resident_bytes
    for status, request in requests * (TIMES // len(requests) + 1):
        async with wire(server) as attacker:
            attacker.writer.write(request)
            assert await attacker.status() == status
    assert server.resident_bytes - before < MAY_GROW


async def test_endless_pipelined_requests_do_not_increase_memory(server: Process) -> None:
    before = server.resident_bytes
    flood = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n" * 100_000
    async with wire(server) as attacker:
        attacker.writer.write(flood)
        await attacker.rest(within_seconds=30)
    assert server.resident_bytes - before < MAY_GROW


async def test_headers_of_common_lengths_are_accepted(server: Process) -> None:
    async with wire(server) as client:
        assert await client.ask(post(ASK, cookie="x" * 15_000)) == 200
        # The pipeline is longer than each of its requests.
        for _ in range(10):
            client.writer.write(post(ASK) * 300)
            assert [await client.status() for _ in range(300)] == [200] * 300


async def test_body_in_small_pieces_is_limited_by_its_total_length(server: Process) -> None:
    async with wire(server) as client:
        await client.send(head(transfer_encoding="chunked"))
        for byte in ASK + b" " * 10_000:
            client.writer.write(b"1\r\n%c\r\n" % byte)
        assert await client.ask(b"0\r\n\r\n") == 200


async def test_garbage_after_a_request_does_not_affect_other_clients(server: Process) -> None:
    async with wire(server) as one, wire(server) as another:
        for attacker in (one, another):
            await attacker.send(post(ASK) + b"GARBAGE\r\n\r\n")
        assert (await one.rest()).startswith(b"HTTP/1.1 200 OK")
    async with wire(server) as other:
        assert await other.ask(post(ASK)) == 200
