"""`finish`: a coroutine runs to its end if its task is cancelled."""

import asyncio

import pytest

from models.cancellation import finish


class Work:
    """A coroutine that waits until the test lets it end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ended = False
        self._error = error

    async def run(self) -> str:
        self.started.set()
        await self.may_end.wait()
        self.ended = True
        if self._error:
            raise self._error
        return "done"


async def test_finish_returns_the_result() -> None:
    work = Work()
    work.may_end.set()
    assert await finish(work.run()) == "done"


async def test_finish_raises_the_error_of_the_work() -> None:
    work = Work(ValueError("no"))
    work.may_end.set()
    with pytest.raises(ValueError, match="no"):
        await finish(work.run())


@pytest.mark.parametrize("error", [None, ValueError("no")])
@pytest.mark.parametrize("times", [1, 3])
async def test_cancelled_task_ends_after_its_work(times: int, error: Exception | None) -> None:
    work = Work(error)
    task = asyncio.create_task(finish(work.run()))
    await work.started.wait()
    for _ in range(times):
        task.cancel()
        # Delivers the cancellation.
        await asyncio.sleep(0)
    assert not task.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended
