"""What loads the servers: a process of its own, on a core of its own.

It knows as much of HTTP as the replies of the contenders need. What it can send at most is told
by `busy`: near 1 it is itself what was measured.
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
# Far more than the longest run; then a server has stopped answering.
GIVES_UP_AFTER_SECONDS = 300


class WrongReply(Exception):
    """A server did not answer as it should: then its speed means nothing."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it travels, and a part of the reply that proves it was answered."""

    request: bytes
    holds: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """Connections that each ask the next thing as soon as they are answered."""

    port: int
    # Whose time on the core is counted.
    pid: int
    exchanges: Sequence[Exchange]
    connections: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """How it was answered; latencies in seconds, in ascending order."""

    latencies: list[float]
    seconds: float
    # The share of its core that the load itself took.
    busy: float
    # What the server's process had of its core; others on the machine do not change that much.
    server_seconds: float

    @property
    def per_second(self) -> float:
        """Replies in a second."""
        return len(self.latencies) / self.seconds

    @property
    def server_seconds_each(self) -> float:
        """What a request costs the server; not a number where the system does not tell."""
        return self.server_seconds / len(self.latencies)

    def percentile(self, share: float) -> float:
        """The latency that this share of the requests did not exceed."""
        return percentile(self.latencies, share)


@dataclass(frozen=True, slots=True)
class Storm:
    """Clients that log in without pause, and somebody who asks something at fixed times."""

    port: int
    logins: Sequence[Exchange]
    clients: int
    probes: Sequence[Exchange]
    probes_per_second: float
    # Before the first probe, so that the storm has begun.
    warm_up_seconds: float
    seconds: float
    # Whether clients wait as long as they are told to, or try again at once.
    obedient: bool = False


@dataclass(frozen=True, slots=True)
class Stormed:
    """Latencies of the probes count from when they were due: nobody waits for their turn to ask."""

    latencies: list[float]
    logins_per_second: float
    refused_per_second: float
    # Logins that were neither let in nor told to come back later.
    failed: int

    def percentile(self, share: float) -> float:
        """The latency that this share of the probes did not exceed."""
        return percentile(self.latencies, share)


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return ascending[max(math.ceil(len(ascending) * share) - 1, 0)]


class Generator:
    """The process that sends."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(self, load: Load) -> Served:
        """Loads a server. Raises WrongReply."""
        return self._pool.submit(_run, load).result()

    def storm(self, storm: Storm) -> Stormed:
        """Storms a server. Raises WrongReply."""
        return self._pool.submit(_storm, storm).result()


@contextmanager
def generator() -> Iterator[Generator]:
    """Starts the process that sends, and ends it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_prepare) as pool:
        yield Generator(pool)


def _prepare() -> None:
    cores.pin(cores.LOAD)
    gc.disable()


def _run(load: Load) -> Served:
    # What the last run left.
    gc.collect()
    return uvloop.run(keep_asking(load))


def _storm(storm: Storm) -> Stormed:
    gc.collect()
    return uvloop.run(log_in_and_probe(storm))


async def keep_asking(load: Load) -> Served:
    """Loads a server from this process. Raises WrongReply."""
    # Each connection begins elsewhere: no two ask for the same person at the same time.
    step = max(len(load.exchanges) // load.connections, 1)
    began, used, served = time.perf_counter(), time.process_time(), cores.seconds_of(load.pid)
    ends_at = began + load.seconds
    askers = [
        await _connect(load.port, _Asker(_rotate(load.exchanges, number * step), ends_at))
        for number in range(load.connections)
    ]
    await _drain(askers)
    taken = time.perf_counter() - began
    latencies = sorted(itertools.chain.from_iterable(asker.latencies for asker in askers))
    busy = (time.process_time() - used) / taken
    return Served(latencies, taken, busy, cores.seconds_of(load.pid) - served)


async def log_in_and_probe(storm: Storm) -> Stormed:
    """Storms a server from this process. Raises WrongReply."""
    begins_at = time.perf_counter() + storm.warm_up_seconds
    ends_at = begins_at + storm.seconds
    step = max(len(storm.logins) // storm.clients, 1)
    clients = [
        await _connect(
            storm.port,
            _LoginClient(_rotate(storm.logins, number * step), ends_at, obedient=storm.obedient),
        )
        for number in range(storm.clients)
    ]
    prober = _Prober(storm.port)
    await prober.prepare()
    count = int(storm.seconds * storm.probes_per_second)
    times = [begins_at + number / storm.probes_per_second for number in range(count)]
    probes = zip(times, _rotate(storm.probes, 0), strict=False)
    try:
        async with asyncio.timeout(GIVES_UP_AFTER_SECONDS):
            latencies = await asyncio.gather(*(prober.ask(due, ask) for due, ask in probes))
    finally:
        prober.close()
        await _drain(clients)
    succeeded = [at for client in clients for at in client.succeeded_at]
    refused = [at for client in clients for at in client.refused_at if begins_at <= at <= ends_at]
    return Stormed(
        sorted(latencies),
        _rate(succeeded, begins_at, ends_at),
        len(refused) / storm.seconds,
        sum(client.failed for client in clients),
    )


def _rate(times: Sequence[float], begin: float, end: float) -> float:
    """Events in a second: from one to another, since a few in a window are no round number."""
    within = sorted(at for at in times if begin <= at <= end)
    if len(within) < 2:
        return len(within) / (end - begin)
    return (len(within) - 1) / (within[-1] - within[0])


async def _drain(connections: Sequence["_Connection"]) -> None:
    try:
        async with asyncio.timeout(GIVES_UP_AFTER_SECONDS):
            await asyncio.gather(*(connection.done for connection in connections))
    finally:
        for connection in connections:
            connection.close()


def _rotate(exchanges: Sequence[Exchange], start: int) -> Iterator[Exchange]:
    start %= len(exchanges)
    return itertools.cycle([*exchanges[start:], *exchanges[:start]])


class _Connection(asyncio.Protocol):
    """One keep-alive connection: asks, and waits for the whole of the reply."""

    def __init__(self) -> None:
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @property
    def is_open(self) -> bool:
        """Whether it can be asked anything."""
        return not self._transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(WrongReply(f"the server hung up: {exc}"))

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        if _is_whole(data):
            self._received = b""
            self.reply_received(data)
        else:
            self._received = data

    def reply_received(self, reply: bytes) -> None:
        """A whole reply is there."""
        raise NotImplementedError

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def fail(self, reply: bytes) -> None:
        if not self.done.done():
            self.done.set_exception(WrongReply(reply[:1000].decode(errors="replace")))
        self.close()

    def close(self) -> None:
        """Hangs up; nobody waits for a reply any more."""
        self.done.cancel()
        self._transport.close()


def _is_whole(data: bytes) -> bool:
    head = data.find(b"\r\n\r\n")
    # Some write `Content-Length`, some `content-length`.
    at = data.find(b"ength: ", 0, head)
    if head < 0 or at < 0:
        # Node sends in chunks what it does not know the length of.
        return head >= 0 and data.endswith(b"\r\n0\r\n\r\n")
    return len(data) >= head + 4 + int(data[at + 7 : data.find(b"\r\n", at)])


def _is_right(reply: bytes, exchange: Exchange) -> bool:
    return reply.startswith(b"HTTP/1.1 200") and exchange.holds in reply


def _retry_after(reply: bytes) -> float:
    told = re.search(rb'"retryAfter": ?(\d+)', reply)
    return float(told[1]) if told else 0


class _Asker(_Connection):
    """Asks again and again until the time is over."""

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
    """Logs in again and again; a reply of another kind counts, and does not stop it."""

    def __init__(self, logins: Iterator[Exchange], ends_at: float, *, obedient: bool) -> None:
        super().__init__()
        self.succeeded_at: list[float] = []
        self.refused_at: list[float] = []
        self.failed = 0
        self._obedient = obedient
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
            # The server closes connections on which nothing happens for five seconds.
            wait = min(_retry_after(reply), 4.0) if self._obedient else 0
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
    """Asks one thing at a time, whenever it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.done.cancel()
        self._asked: Exchange

    def ask(self, exchange: Exchange) -> asyncio.Future[float]:
        """Sends it; the result is the instant of the reply."""
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
    """Asks at the times it is told, whether the last one was answered or not."""

    PREPARED = 8

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Probe] = []

    async def prepare(self) -> None:
        """Opens a few connections, so that a quick server is not measured by its handshakes."""
        self._idle = [await _connect(self._port, _Probe()) for _ in range(self.PREPARED)]

    async def ask(self, due: float, exchange: Exchange) -> float:
        """Seconds from when it was due to the reply."""
        await asyncio.sleep(due - time.perf_counter())
        probe = self._open_probe() or await _connect(self._port, _Probe())
        answered = await probe.ask(exchange)
        self._idle.append(probe)
        return answered - due

    def _open_probe(self) -> _Probe | None:
        while self._idle:
            probe = self._idle.pop()
            # Servers hang up on who says nothing for some seconds.
            if probe.is_open:
                return probe
        return None

    def close(self) -> None:
        """Closes what it opened."""
        for probe in self._idle:
            probe.close()


async def _connect(port: int, connection: AnyConnection) -> AnyConnection:
    await asyncio.get_running_loop().create_connection(lambda: connection, HOST, port)
    return connection
