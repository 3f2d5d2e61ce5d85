"""Whether a piece of work waits for the database at this moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Waits:
    """The uses of the database that one piece of work has begun and not ended."""

    in_progress: int = 0


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
    finally:
        waits.in_progress -= 1
