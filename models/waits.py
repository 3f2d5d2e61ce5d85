"""What a piece of work waits for at this moment: the database, or a pause before a refusal."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Waits:
    """The waits of one piece of work."""

    # The uses of the database that have begun and not ended.
    in_progress: int = 0
    # Whether a use of the database was cancelled.
    cut_short: bool = False
    # Set when the client does not wait for the reply any more.
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)


_watched: ContextVar[Waits | None] = ContextVar("watched_waits", default=None)


@contextmanager
def watched_waits() -> Iterator[Waits]:
    """Counts the waits of every task that is created in the block."""
    waits = Waits()
    token = _watched.set(waits)
    try:
        yield waits
    finally:
        _watched.reset(token)


@contextmanager
def waiting() -> Iterator[None]:
    """Around each use of the database."""
    waits = _watched.get()
    if waits is None:
        yield
        return
    waits.in_progress += 1
    try:
        yield
    except asyncio.CancelledError:
        waits.cut_short = True
        raise
    finally:
        waits.in_progress -= 1


async def pause(seconds: float) -> None:
    """Waits for so long, or until the work is abandoned."""
    waits = _watched.get()
    abandoned = waits.abandoned if waits else asyncio.Event()
    with suppress(TimeoutError):
        await asyncio.wait_for(abandoned.wait(), seconds)
