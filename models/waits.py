"""Tracks what an operation waits for: the database, or the delay of a rejection."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Waits:
    """The waits of one operation."""

    # The number of uses of the database that are in progress.
    in_progress: int = 0
    # Whether a use of the database was cancelled.
    was_cancelled: bool = False
    # Set when the client no longer waits for the reply.
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)


_watched: ContextVar[Waits | None] = ContextVar("watched_waits", default=None)


@contextmanager
def watched_waits() -> Iterator[Waits]:
    """Tracks the waits of every task that is created in the block."""
    waits = Waits()
    token = _watched.set(waits)
    try:
        yield waits
    finally:
        _watched.reset(token)


@contextmanager
def waiting() -> Iterator[None]:
    """Counts a use of the database. Wraps each of them."""
    waits = _watched.get()
    if waits is None:
        yield
        return
    waits.in_progress += 1
    try:
        yield
    except asyncio.CancelledError:
        waits.was_cancelled = True
        raise
    finally:
        waits.in_progress -= 1


async def pause(seconds: float) -> None:
    """Waits for a time, or until the client no longer waits for the reply."""
    waits = _watched.get()
    abandoned = waits.abandoned if waits else asyncio.Event()
    with suppress(TimeoutError):
        await asyncio.wait_for(abandoned.wait(), seconds)
