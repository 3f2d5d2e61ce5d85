"""Work that goes on after the reply."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.auth")

AT_ONCE = 10


class Background:
    """Runs work that no caller waits for, a few pieces at once."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins the work. While too much is going on the caller waits for a place."""
        try:
            await self._places.acquire()
        except asyncio.CancelledError:
            work.close()
            raise
        task = asyncio.create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Returns when all that was begun is done."""
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
            self._places.release()
