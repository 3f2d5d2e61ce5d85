"""Rounds that take turns, A B C and again: a machine's own drift hits all alike."""

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
from benchmarks.crowd import BCRYPT_COST, PASSWORD
from benchmarks.load import Generator, Load, Served, Storm, Stormed, WrongReply

T = TypeVar("T")

# The compilers of Node take their time.
WARM_UP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast somebody answers: medians of the rounds, latencies in seconds."""

    per_second: float
    p50: float
    p99: float
    # What a request costs the server's process, in seconds of its core.
    cpu: float
    # The share of its core that the load took: near 1 it is itself what was measured.
    load: float

    @classmethod
    def of(cls, rounds: list[Served]) -> "Speed":
        """The medians."""
        return cls(
            statistics.median(served.per_second for served in rounds),
            statistics.median(served.percentile(0.5) for served in rounds),
            statistics.median(served.percentile(0.99) for served in rounds),
            statistics.median(served.server_seconds_each for served in rounds),
            statistics.median(served.busy for served in rounds),
        )


@dataclass(frozen=True, slots=True)
class Weathered:
    """How somebody stood a storm: medians of the rounds, and all failures; in seconds."""

    p50: float
    p99: float
    logins_per_second: float
    refused_per_second: float
    failed: int
    # Logins as a share of the passwords that the same core hashes when it does nothing else.
    share_of_hashes: float

    @classmethod
    def of(cls, rounds: list[Stormed], hashes_per_second: float) -> "Weathered":
        """The medians."""
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
    """Loads each in its turn, after a warm-up. Raises WrongReply."""
    short = {
        name: partial(generator.run, replace(load, seconds=min(WARM_UP_SECONDS, load.seconds)))
        for name, load in loads.items()
    }
    _take_turns(short, rounds=1)
    works = {name: partial(generator.run, load) for name, load in loads.items()}
    served = _take_turns(works, rounds)
    return {name: Speed.of(results) for name, results in served.items()}


def weather(
    generator: Generator, storms: Mapping[str, Storm], rounds: int, seconds: float
) -> dict[str, Weathered]:
    """Storms each in its turn; between them the core only hashes. Raises WrongReply."""
    with _hasher() as hasher:
        alone: list[float] = []

        def hash_alone() -> None:
            alone.append(hasher.submit(_hashes_per_second, seconds).result())

        works = {name: partial(generator.storm, storm) for name, storm in storms.items()}
        stormed = _take_turns(works, rounds, first=hash_alone)
    hashes = statistics.median(alone)
    return {name: Weathered.of(results, hashes) for name, results in stormed.items()}


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
    began = now = time.perf_counter()
    count = 0
    while now < began + seconds:
        bcrypt.checkpw(PASSWORD.encode(), hashed)
        count += 1
        now = time.perf_counter()
    return count / (now - began)
