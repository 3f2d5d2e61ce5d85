"""The load generator: a separate process on its own core.

It parses only as much HTTP as the replies of the contenders need. If `busy` is near 1, the
generator is the limit and not the server.
"""

import asyncio
import gc
import itertools
import math
import multiprocessing
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import uvloop

from benchmarks import cores

AnyConnection = TypeVar("AnyConnection", bound=asyncio.Protocol)

HOST = "127.0.0.1"
# Much longer than the longest run, so the server no longer responds.
TIMEOUT_SECONDS = 300


class WrongReply(Exception):
    """A server sent a wrong reply, so its speed is meaningless."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """The bytes of a request, and a text that a correct reply contains."""

    request: bytes
    holds: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """Connections that each send the next request as soon as they have the reply."""

    port: int
    # The process whose CPU time is measured.
    pid: int
    exchanges: Sequence[Exchange]
    connections: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """The replies to a load; latencies in seconds, in ascending order."""

    latencies: list[float]
    seconds: float
    # CPU share of the load generator.
    busy: float
    # CPU seconds of the server process; other processes hardly change this figure.
    server_seconds: float

    @property
    def per_second(self) -> float:
        """Replies per second."""
        return len(self.latencies) / self.seconds

    @property
    def server_seconds_each(self) -> float:
        """CPU seconds of the server per request; NaN if the system does not report them."""
        return self.server_seconds / len(self.latencies)

    def percentile(self, share: float) -> float:
        """Returns the latency that this share of the requests did not exceed."""
        return percentile(self.latencies, share)


@dataclass(frozen=True, slots=True)
class Storm:
    """Clients that log in without pause, and probes at fixed times."""

    port: int
    logins: Sequence[Exchange]
    clients: int
    probes: Sequence[Exchange]
    probes_per_second: float
    # Before the first probe, so that the storm has started.
    warm_up_seconds: float
    seconds: float
    # Whether throttled clients wait for `retryAfter` or retry at once.
    honours_retry_after: bool = False


@dataclass(frozen=True, slots=True)
class StormReplies:
    """The results of a storm. Latencies of probes count from the time when they were due."""

    latencies: list[float]
    logins_per_second: float
    refused_per_second: float
    # Logins that neither succeeded nor were throttled.
    failed: int

    def percentile(self, share: float) -> float:
        """Returns the latency that this share of the probes did not exceed."""
        return percentile(self.latencies, share)


def percentile(ascending: Sequence[float], share: float) -> float:
    """Returns the value that this share of the values does not exceed."""
    return ascending[max(math.ceil(len(ascending) * share) - 1, 0)]


class Generator:
    """The process that sends the requests."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(self, load: Load) -> Served:
        """Loads a server. Raises WrongReply."""
        return self._pool.submit(_run, load).result()

    def storm(self, storm: Storm) -> StormReplies:
        """Runs a login storm. Raises WrongReply."""
        return self._pool.submit(_storm, storm).result()


@contextmanager
def generator() -> Iterator[Generator]:
    """Starts the load generator and stops it at the end."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_prepare) as pool:
        yield Generator(pool)


def _prepare() -> None:
    cores.pin(cores.LOAD)
    gc.disable()


def _run(load: Load) -> Served:
    # Frees what the last run left, because automatic collection is off.
    gc.collect()
    return uvloop.run(send_requests(load))


def _storm(storm: Storm) -> StormReplies:
    gc.collect()
    return uvloop.run(log_in_and_probe(storm))


async def send_requests(load: Load) -> Served:
    """Loads a server from this process. Raises WrongReply."""
    # Each connection starts at another exchange, so requests for one user do not coincide.
    step = max(len(load.exchanges) // load.connections, 1)
    started, used, served = time.perf_counter(), time.process_time(), cores.seconds_of(load.pid)
    ends_at = started + load.seconds
    requesters = [
        await _connect(load.port, _Requester(_rotate(load.exchanges, number * step), ends_at))
        for number in range(load.connections)
    ]
    await _drain(requesters)
    taken = time.perf_counter() - started
    latencies = sorted(
        itertools.chain.from_iterable(requester.latencies for requester in requesters)
    )
    busy = (time.process_time() - used) / taken
    return Served(latencies, taken, busy, cores.seconds_of(load.pid) - served)


async def log_in_and_probe(storm: Storm) -> StormReplies:
    """Runs a login storm from this process. Raises WrongReply."""
    starts_at = time.perf_counter() + storm.warm_up_seconds
    ends_at = starts_at + storm.seconds
    step = max(len(storm.logins) // storm.clients, 1)
    clients = [
        await _connect(
            storm.port,
            _LoginClient(
                _rotate(storm.logins, number * step),
                ends_at,
                honours_retry_after=storm.honours_retry_after,
            ),
        )
        for number in range(storm.clients)
    ]
    prober = _Prober(storm.port)
    await prober.prepare()
    count = int(storm.seconds * storm.probes_per_second)
    times = [starts_at + number / storm.probes_per_second for number in range(count)]
    probes = zip(times, _rotate(storm.probes, 0), strict=False)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            latencies = await asyncio.gather(*(prober.ask(due, ask) for due, ask in probes))
    finally:
        prober.close()
        await _drain(clients)
    succeeded = [at for client in clients for at in client.succeeded_at]
    refused = [at for client in clients for at in client.refused_at if starts_at <= at <= ends_at]
    return StormReplies(
        sorted(latencies),
        _rate(succeeded, starts_at, ends_at),
        len(refused) / storm.seconds,
        sum(client.failed for client in clients),
    )


def _rate(times: Sequence[float], start: float, end: float) -> float:
    """Returns events per second, measured from the first to the last event within the window."""
    within = sorted(at for at in times if start <= at <= end)
    if len(within) < 2:
        return len(within) / (end - start)
    return (len(within) - 1) / (within[-1] - within[0])


async def _drain(connections: Sequence["_Connection"]) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await asyncio.gather(*(connection.done for connection in connections))
    finally:
        for connection in connections:
            connection.close()


def _rotate(exchanges: Sequence[Exchange], start: int) -> Iterator[Exchange]:
    start %= len(exchanges)
    return itertools.cycle([*exchanges[start:], *exchanges[:start]])


class _Connection(asyncio.Protocol):
    """A keep-alive connection that sends a request and waits for the complete reply."""

    def __init__(self) -> None:
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @property
    def is_open(self) -> bool:
        """Whether the connection can be used."""
        return not self._transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(WrongReply(f"The server closed the connection: {exc}"))

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        if _is_complete(data):
            self._received = b""
            self.reply_received(data)
        else:
            self._received = data

    def reply_received(self, reply: bytes) -> None:
        """Handles a complete reply."""
        raise NotImplementedError

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def fail(self, reply: bytes) -> None:
        if not self.done.done():
            self.done.set_exception(WrongReply(reply[:1000].decode(errors="replace")))
        self.close()

    def close(self) -> None:
        """Closes the connection and cancels the wait for a reply."""
        self.done.cancel()
        self._transport.close()


def _is_complete(data: bytes) -> bool:
    head = data.find(b"\r\n\r\n")
    # Servers send `Content-Length` or `content-length`.
    at = data.find(b"ength: ", 0, head)
    if head < 0 or at < 0:
        # Node sends replies of unknown length in chunks.
        return head >= 0 and data.endswith(b"\r\n0\r\n\r\n")
    return len(data) >= head + 4 + int(data[at + 7 : data.find(b"\r\n", at)])


def _is_right(reply: bytes, exchange: Exchange) -> bool:
    return reply.startswith(b"HTTP/1.1 200") and exchange.holds in reply


def _retry_after(reply: bytes) -> float:
    found = re.search(rb'"retryAfter": ?(\d+)', reply)
    return float(found[1]) if found else 0


class _Requester(_Connection):
    """Sends requests until the end time."""

    def __init__(self, exchanges: Iterator[Exchange], ends_at: float) -> None:
        super().__init__()
        self.latencies: list[float] = []
        self._exchanges = exchanges
        self._ends_at = ends_at
        self._asked: Exchange
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._ask()

    def reply_received(self, reply: bytes) -> None:
        now = time.perf_counter()
        if not _is_right(reply, self._asked):
            self.fail(reply)
            return
        self.latencies.append(now - self._asked_at)
        if now < self._ends_at:
            self._ask()
        else:
            self.done.set_result(now)
            self.close()

    def _ask(self) -> None:
        self._asked = next(self._exchanges)
        self._asked_at = time.perf_counter()
        self.send(self._asked.request)


class _LoginClient(_Connection):
    """Logs in repeatedly; counts wrong replies and continues."""

    def __init__(
        self, logins: Iterator[Exchange], ends_at: float, *, honours_retry_after: bool
    ) -> None:
        super().__init__()
        self.succeeded_at: list[float] = []
        self.refused_at: list[float] = []
        self.failed = 0
        self._honours_retry_after = honours_retry_after
        self._logins = logins
        self._ends_at = ends_at
        self._tried: Exchange

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._try()

    def reply_received(self, reply: bytes) -> None:
        now = time.perf_counter()
        wait = 0.0
        if _is_right(reply, self._tried):
            self.succeeded_at.append(now)
        elif b"RATE_LIMITED" in reply:
            self.refused_at.append(now)
            # The server closes connections that are idle for five seconds.
            wait = min(_retry_after(reply), 4.0) if self._honours_retry_after else 0
        else:
            self.failed += 1
        if now + wait < self._ends_at:
            asyncio.get_running_loop().call_later(wait, self._try)
        else:
            self.done.set_result(now)
            self.close()

    def _try(self) -> None:
        self._tried = next(self._logins)
        self.send(self._tried.request)


class _Probe(_Connection):
    """Sends one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.done.cancel()
        self._asked: Exchange

    def ask(self, exchange: Exchange) -> asyncio.Future[float]:
        """Sends a request; the future returns the time of the reply."""
        self.done = asyncio.get_running_loop().create_future()
        self._asked = exchange
        self.send(exchange.request)
        return self.done

    def reply_received(self, reply: bytes) -> None:
        if _is_right(reply, self._asked):
            self.done.set_result(time.perf_counter())
        else:
            self.fail(reply)


class _Prober:
    """Sends probes when they are due, whether earlier ones were answered or not."""

    PREPARED = 8

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Probe] = []

    async def prepare(self) -> None:
        """Opens a few connections, so that the latencies do not include TCP handshakes."""
        self._idle = [await _connect(self._port, _Probe()) for _ in range(self.PREPARED)]

    async def ask(self, due: float, exchange: Exchange) -> float:
        """Sends a request when it is due; returns the seconds from then to the reply."""
        await asyncio.sleep(due - time.perf_counter())
        probe = self._open_probe() or await _connect(self._port, _Probe())
        answered = await probe.ask(exchange)
        self._idle.append(probe)
        return answered - due

    def _open_probe(self) -> _Probe | None:
        while self._idle:
            probe = self._idle.pop()
            # Servers close idle connections after some seconds.
            if probe.is_open:
                return probe
        return None

    def close(self) -> None:
        """Closes the idle connections."""
        for probe in self._idle:
            probe.close()


async def _connect(port: int, connection: AnyConnection) -> AnyConnection:
    await asyncio.get_running_loop().create_connection(lambda: connection, HOST, port)
    return connection
