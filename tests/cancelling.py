"""Runs a coroutine and cancels it at its nth wait."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from enum import Enum, auto
from typing import Any


class Moment(Enum):
    """The time at which a wait is cancelled."""

    # Before the awaited future is done.
    WHILE_WAITING = auto()
    # After the future is done and before the task resumes.
    AFTER_COMPLETION = auto()
    # At this wait and at every later one, as a cancel scope of AnyIO does.
    REPEATEDLY = auto()


async def was_cancelled_at(nth: int, moment: Moment, work: Coroutine[Any, Any, object]) -> bool:
    """Cancels the coroutine at its nth wait. Returns False if it ended before that."""
    steps = _Steps(nth, moment)
    task = asyncio.create_task(steps.run(work))
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return steps.taken >= nth


class _Steps:
    def __init__(self, nth: int, moment: Moment) -> None:
        self._nth = nth
        self._moment = moment
        self.taken = 0

    async def run(self, work: Coroutine[Any, Any, object]) -> object:
        return await self._walk(work)

    @types.coroutine
    def _walk(self, work: Coroutine[Any, Any, object]) -> Generator[Any, Any, object]:
        error: BaseException | None = None
        while True:
            try:
                waited_for = work.send(None) if error is None else work.throw(error)
            except StopIteration as end:
                return end.value
            error = None
            self.taken += 1
            self._cancel_if_due(waited_for)
            try:
                yield waited_for
            except BaseException as raised:  # noqa: BLE001 - it is thrown into the work
                error = raised

    def _cancel_if_due(self, waited_for: asyncio.Future[Any] | None) -> None:
        again = self._moment is Moment.REPEATEDLY
        if self.taken != self._nth and not (again and self.taken > self._nth):
            return
        task = asyncio.current_task()
        assert task is not None
        if waited_for is not None and self._moment is Moment.AFTER_COMPLETION:
            waited_for.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()
