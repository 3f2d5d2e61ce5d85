"""Work that runs to its end when the task that waits for it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Runs the coroutine to its end; a cancellation of the caller takes effect only then.

    A commit, a rollback or the return of a connection that is cut short would leave a lock behind.
    The coroutine must be bounded in time: the caller cannot be cancelled sooner.
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
        # Retrieved, so that asyncio does not log it: the cancellation is what counts.
        task.exception()
    raise asyncio.CancelledError
