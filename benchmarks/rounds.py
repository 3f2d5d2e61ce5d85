"""Interleaved rounds of load, so that drift of the machine affects all contenders equally."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import bcrypt

from benchmarks import cores
from benchmarks.load import Generator, Load, Served, Storm, StormReplies, WrongReply
from benchmarks.users import BCRYPT_COST, PASSWORD

T = TypeVar("T")

# Node compiles hot code during the warm-up.
WARM_UP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians of the rounds of a contender; latencies in seconds."""

    per_second: float
    p50: float
    p99: float
    # CPU seconds of the server process per request.
    cpu: float
    # CPU share of the load generator; near 1 the generator is the limit, not the server.
    load: float

    @classmethod
    def of(cls, rounds: list[Served]) -> "Speed":
        """Returns the medians of the rounds."""
        return cls(
            statistics.median(served.per_second for served in rounds),
            statistics.median(served.percentile(0.5) for served in rounds),
            statistics.median(served.percentile(0.99) for served in rounds),
            statistics.median(served.server_seconds_each for served in rounds),
            statistics.median(served.busy for served in rounds),
        )


@dataclass(frozen=True, slots=True)
class StormResult:
    """Medians of the login storms of a contender, and the sum of failures; times in seconds."""

    p50: float
    p99: float
    logins_per_second: float
    refused_per_second: float
    failed: int
    # Logins divided by the password hashes that the same core computes when otherwise idle.
    share_of_hashes: float

    @classmethod
    def of(cls, rounds: list[StormReplies], hashes_per_second: float) -> "StormResult":
        """Returns the medians of the rounds."""
        logins = statistics.median(stormed.logins_per_second for stormed in rounds)
        return cls(
            statistics.median(stormed.percentile(0.5) for stormed in rounds),
            statistics.median(stormed.percentile(0.99) for stormed in rounds),
            logins,
            statistics.median(stormed.refused_per_second for stormed in rounds),
            sum(stormed.failed for stormed in rounds),
            logins / hashes_per_second,
        )


def measure(generator: Generator, loads: Mapping[str, Load], rounds: int) -> dict[str, Speed]:
    """Loads each contender in turn, after a warm-up. Raises WrongReply."""
    short = {
        name: partial(generator.run, replace(load, seconds=min(WARM_UP_SECONDS, load.seconds)))
        for name, load in loads.items()
    }
    _take_turns(short, rounds=1)
    works = {name: partial(generator.run, load) for name, load in loads.items()}
    served = _take_turns(works, rounds)
    return {name: Speed.of(results) for name, results in served.items()}


def measure_storms(
    generator: Generator, storms: Mapping[str, Storm], rounds: int, seconds: float
) -> dict[str, StormResult]:
    """Runs login storms in turn, with hashing only between rounds. Raises WrongReply."""
    with _hasher() as hasher:
        alone: list[float] = []

        def hash_alone() -> None:
            alone.append(hasher.submit(_hashes_per_second, seconds).result())

        works = {name: partial(generator.storm, storm) for name, storm in storms.items()}
        stormed = _take_turns(works, rounds, first=hash_alone)
    hashes = statistics.median(alone)
    return {name: StormResult.of(results, hashes) for name, results in stormed.items()}


def _take_turns(
    works: Mapping[str, Callable[[], T]],
    rounds: int,
    *,
    first: Callable[[], None] = lambda: None,
) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {name: [] for name in works}
    for _ in range(rounds):
        first()
        for name, work in works.items():
            try:
                found[name].append(work())
            except WrongReply as wrong:
                raise WrongReply(f"{name}: {wrong}") from None
    return found


def _hasher() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        1, mp_context=context, initializer=cores.pin, initargs=(cores.SERVERS,)
    )


def _hashes_per_second(seconds: float) -> float:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(BCRYPT_COST))
    started = now = time.perf_counter()
    count = 0
    while now < started + seconds:
        bcrypt.checkpw(PASSWORD.encode(), hashed)
        count += 1
        now = time.perf_counter()
    return count / (now - started)
