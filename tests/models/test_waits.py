"""Tracking of what an operation waits for."""

import asyncio
import time

import pytest

from models.waits import pause, waiting, watched_waits


async def test_uses_of_the_database_are_counted_in_tasks_of_the_block() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def use_database() -> None:
        with waiting():
            started.set()
            await release.wait()

    with watched_waits() as waits:
        task = asyncio.create_task(use_database())
    await started.wait()
    assert waits.in_progress == 1
    release.set()
    await task
    assert (waits.in_progress, waits.was_cancelled) == (0, False)


async def test_cancelled_use_of_the_database_is_recorded() -> None:
    async def use_database() -> None:
        with waiting():
            await asyncio.Event().wait()

    with watched_waits() as waits:
        task = asyncio.create_task(use_database())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (waits.in_progress, waits.was_cancelled) == (0, True)


async def test_pause_ends_if_the_client_no_longer_waits() -> None:
    with watched_waits() as waits:
        pausing = asyncio.create_task(pause(3600))
    await asyncio.sleep(0)
    waits.abandoned.set()
    async with asyncio.timeout(60):
        await pausing


async def test_pause_ends_after_its_time() -> None:
    started_at = time.monotonic()
    await pause(0.05)
    assert time.monotonic() - started_at >= 0.04
