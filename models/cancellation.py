"""Runs coroutines that must not be interrupted by a cancellation."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end. A cancellation of the caller takes effect after that.

    An interrupted commit, rollback or release of a connection would leave a lock behind. The
    coroutine must end within a bounded time, since the caller cannot be cancelled before.
    """
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            cancelled = True
    if not cancelled:
        return task.result()
    if not task.cancelled():
        # Retrieved, so that asyncio does not log it.
        task.exception()
    raise asyncio.CancelledError
