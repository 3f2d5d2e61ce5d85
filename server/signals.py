"""SIGTERM: the first signal starts a graceful shutdown, a second one ends the process at once."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Process managers signal a whole group, and a parent passes the signal on to its workers, so the
# same signal can arrive twice.
_SAME_SIGNAL_SECONDS = 1.0


@contextmanager
def graceful_sigterm(
    loop: asyncio.AbstractEventLoop, on_first: Callable[[], None], delay: float
) -> Iterator[None]:
    """Handles SIGTERM while the block runs.

    The first signal calls `on_first`, and `delay` seconds later the previous handler, so that load
    balancers have time to notice. A second signal ends the process at once.
    """
    before = signal.getsignal(signal.SIGTERM)
    first_at: float | None = None

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first_at
        now = time.monotonic()
        if first_at is None:
            first_at = now
            on_first()
            if callable(before):
                loop.call_soon_threadsafe(loop.call_later, delay, before, number, None)
        elif now - first_at > _SAME_SIGNAL_SECONDS:
            # No data is lost: everything that was acknowledged is in the database.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
