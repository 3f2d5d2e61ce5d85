"""Work that goes on after the reply."""

import asyncio

from structlog.testing import capture_logs

from auth.background import AT_ONCE, Background
from models.database import DatabaseUnavailable


async def test_background_work_that_fails_is_logged_and_harms_no_other() -> None:
    background, done = Background(), asyncio.Event()

    async def fail(error: Exception) -> None:
        raise error

    async def succeed() -> None:
        done.set()

    with capture_logs() as logs:
        for _ in range(AT_ONCE + 1):
            await background.start(fail(DatabaseUnavailable("gone")))
        await background.start(fail(ValueError()))
        await background.start(succeed())
        await background.finish()
    assert done.is_set()
    assert {entry["event"] for entry in logs} == {"background_task.failed"}
    assert [entry["log_level"] for entry in logs] == ["warning"] * (AT_ONCE + 1) + ["error"]


async def test_background_work_is_bounded() -> None:
    background, release = Background(), asyncio.Event()

    async def work() -> None:
        await release.wait()

    for _ in range(AT_ONCE):
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
