"""Events of the viewer's sessions: sign-in, refresh and end, from all processes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from sqlalchemy import text

from auth import session_events as module
from auth import user_changes as watching
from auth.clients import Client
from auth.session_events import SessionEvent, session_events
from auth.viewers import get_viewer
from models.database import DatabaseUnavailable
from tests.accounts import ALICE, BOB
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.sessions import Device


class Listening:
    """A subscriber. `next` returns the kind of the next event."""

    def __init__(self, events: AsyncGenerator[SessionEvent, None]) -> None:
        self._events = events
        self._next: asyncio.Task[SessionEvent] = asyncio.ensure_future(anext(events))

    async def next(self) -> str:
        async with asyncio.timeout(60):
            event = await self._next
        self._next = asyncio.ensure_future(anext(self._events))
        return event.kind.name

    async def has_ended(self) -> bool:
        async with asyncio.timeout(60):
            return isinstance(
                (await asyncio.wait([self._next]))[0].pop().exception(), StopAsyncIteration
            )

    async def receives_nothing(self) -> bool:
        await asyncio.sleep(0.3)
        return not self._next.done()

    async def stop(self) -> None:
        self._next.cancel()
        await asyncio.gather(self._next, return_exceptions=True)


@pytest.fixture
async def here(api: Api) -> Device:
    return await Device(api).log_in(ALICE)


@pytest.fixture
async def listening(
    api: Api, here: Device, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Listening, None]:
    # Without a notification, no event arrives before the timeout of the test.
    monkeypatch.setattr(watching, "MAX_WAIT_SECONDS", 60)
    viewer = await get_viewer(api.auth, Client(), here.access_token)
    async with aclosing(session_events(api.auth, viewer)) as events:
        listening = Listening(events)
        await asyncio.sleep(0.1)
        yield listening
        await listening.stop()


async def test_sign_in_on_another_device_is_reported(api: Api, listening: Listening) -> None:
    await Device(api).log_in(ALICE)
    assert await listening.next() == "SIGNED_IN"


async def test_refresh_is_reported(listening: Listening, here: Device) -> None:
    await here.refresh()
    assert await listening.next() == "REFRESHED"
    await here.refresh()
    assert await listening.next() == "REFRESHED"


async def test_end_of_another_session_is_reported(api: Api, listening: Listening) -> None:
    there = await Device(api).log_in(ALICE)
    assert await listening.next() == "SIGNED_IN"
    await api.data("mutation { logout { endedSessions } }", token=there.access_token)
    assert await listening.next() == "REVOKED"


async def test_events_end_with_the_session_of_the_viewer(
    api: Api, listening: Listening, here: Device
) -> None:
    await api.data("mutation { logout { endedSessions } }", token=here.access_token)
    assert await listening.next() == "REVOKED"
    assert await listening.has_ended()


async def test_sessions_of_other_users_are_not_reported(api: Api, listening: Listening) -> None:
    await Device(api).log_in(BOB)
    assert await listening.receives_nothing()


async def test_other_changes_of_the_user_are_not_reported(api: Api, listening: Listening) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text("UPDATE users SET full_name = 'Alice' WHERE username = 'alice'"))
    assert await listening.receives_nothing()


async def test_refresh_of_an_older_session_is_reported(
    api: Api, listening: Listening, clock: ManualClock
) -> None:
    there = await Device(api).log_in(ALICE)
    assert await listening.next() == "SIGNED_IN"
    clock.tick(hours=3)
    await there.refresh()
    assert await listening.next() == "REFRESHED"


async def test_events_of_another_process_are_reported(
    api: Api, listening: Listening, tmp_path: Path, clock: ManualClock
) -> None:
    url = api.auth.db.engine.url.render_as_string(hide_password=False)
    async with serving(make_settings(url, tmp_path), clock) as elsewhere:
        await Device(elsewhere).log_in(ALICE)
        assert await listening.next() == "SIGNED_IN"


async def test_events_are_reported_without_the_change_feed(
    api: Api, here: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MAX_WAIT_SECONDS", 0.05)
    await api.auth.db.change_feed.stop()
    viewer = await get_viewer(api.auth, Client(), here.access_token)
    async with aclosing(session_events(api.auth, viewer)) as events:
        listening = Listening(events)
        await asyncio.sleep(0.1)
        await Device(api).log_in(ALICE)
        assert await listening.next() == "SIGNED_IN"
        await listening.stop()


async def test_events_continue_after_a_database_outage(
    api: Api, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    with api.without_database():
        api.auth.watchers.everything_changed()
        with pytest.raises(DatabaseUnavailable):
            async with api.auth.db.read() as session:
                await session.execute(text("SELECT 1"))
        await asyncio.sleep(0.1)
    await Device(api).log_in(ALICE)
    assert await listening.next() == "SIGNED_IN"
