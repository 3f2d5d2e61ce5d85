"""Background tasks that continue after the response."""

import asyncio

from structlog.testing import capture_logs

from auth.background import MAX_TASKS, Background
from models.database import DatabaseUnavailable


async def test_background_task_failure_is_logged_and_other_tasks_run() -> None:
    background, done = Background(), asyncio.Event()

    async def fail(error: Exception) -> None:
        raise error

    async def succeed() -> None:
        done.set()

    with capture_logs() as logs:
        for _ in range(MAX_TASKS + 1):
            await background.start(fail(DatabaseUnavailable("gone")))
        await background.start(fail(ValueError()))
        await background.start(succeed())
        await background.finish()
    assert done.is_set()
    assert {entry["event"] for entry in logs} == {"background_task.failed"}
    assert [entry["log_level"] for entry in logs] == ["warning"] * (MAX_TASKS + 1) + ["error"]


async def test_background_tasks_are_limited() -> None:
    background, release = Background(), asyncio.Event()

    async def work() -> None:
        await release.wait()

    for _ in range(MAX_TASKS):
        await background.start(work())
    waiting = asyncio.create_task(background.start(work()))
    cancelled = asyncio.create_task(background.start(work()))
    await asyncio.sleep(0)
    assert not waiting.done()
    cancelled.cancel()
    release.set()
    await waiting
    await background.finish()
    assert cancelled.cancelled()
