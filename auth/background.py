"""Background tasks that continue after the response."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.auth")

MAX_TASKS = 10


class Background:
    """Runs coroutines as background tasks, a limited number at a time."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_TASKS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts a task. Waits while the maximum number of tasks is running."""
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            work.close()
            raise
        task = asyncio.create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Waits until all tasks are done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except DatabaseUnavailable as error:
            log.warning("background_task.failed", cause=str(error))
        except Exception:
            log.exception("background_task.failed")
        finally:
            self._slots.release()
