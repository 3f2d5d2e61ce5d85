"""Work that runs to its end although the task that waits for it is cancelled."""

import asyncio

import pytest

from models.uncancelled import finish


class Work:
    """Waits until it may end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ended = False
        self._error = error

    async def run(self) -> str:
        self.begun.set()
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
    await work.begun.wait()
    for _ in range(times):
        task.cancel()
        # Lets the task see the cancellation.
        await asyncio.sleep(0)
    assert not task.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended
