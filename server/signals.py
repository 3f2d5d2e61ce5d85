"""SIGTERM: the first lets finish what runs, a later one ends the process where it stands."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Process managers signal a whole group, and a parent passes the same signal on to its workers.
_SAME_SIGNAL_SECONDS = 1.0


@contextmanager
def later_sigterm_ends_at_once() -> Iterator[None]:
    """While the block runs; the first goes to whoever has handled it so far."""
    before = signal.getsignal(signal.SIGTERM)
    first_at: float | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first_at
        now = time.monotonic()
        if first_at is None:
            first_at = now
            if callable(before):
                before(number, frame)
        elif now - first_at > _SAME_SIGNAL_SECONDS:
            # Nothing is lost by it: what was acknowledged is in the database.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
