"""SIGTERM: the first lets finish what runs, a later one ends the process where it stands."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Process managers signal a whole group, and a parent passes the same signal on to its workers.
_SAME_SIGNAL_SECONDS = 1.0


@contextmanager
def sigterm_by_steps(
    loop: asyncio.AbstractEventLoop, tell: Callable[[], None], delay: float
) -> Iterator[None]:
    """While the block runs, the first tells, and goes `delay` seconds later to who had it so far.

    Whoever sends requests here asks now and then whether to: they have so long to hear of it.
    """
    before = signal.getsignal(signal.SIGTERM)
    first_at: float | None = None

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first_at
        now = time.monotonic()
        if first_at is None:
            first_at = now
            tell()
            if callable(before):
                loop.call_soon_threadsafe(loop.call_later, delay, before, number, None)
        elif now - first_at > _SAME_SIGNAL_SECONDS:
            # Nothing is lost by it: what was acknowledged is in the database.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
