"""Cancelled use cases leave no locks, no connections and no partial writes."""

import asyncio
import gc
import random
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select, text

from auth.audit import Action
from auth.clients import Client
from auth.login import log_in
from auth.password_change import change_password
from auth.refresh import refresh
from auth.registration import register
from auth.user_creation import NewUserForm
from auth.viewers import get_viewer
from models.audit_event import AuditEvent
from models.role import UserRole
from models.session import Session
from models.user import User
from tests.accounts import ALICE, ALL_ACCOUNTS
from tests.api import Api
from tests.cancelling import Moment, was_cancelled_at
from tests.clock import ManualClock
from tests.databases import wait_until

CLIENT = Client("192.0.2.7", "a test")
# How soon an uncontended write must succeed; SQLite itself would wait for 5 seconds.
AT_ONCE_SECONDS = 2.0

UseCase = Callable[[], Coroutine[Any, Any, object]]


class UseCases:
    """Use cases of a server, with prepared arguments."""

    def __init__(self, api: Api, clock: ManualClock) -> None:
        self._auth = api.auth
        self._clock = clock
        self._registered = 0
        self._password = ALICE.password

    async def login(self) -> UseCase:
        await self._find_password()
        return lambda: log_in(self._auth, CLIENT, username=ALICE.username, password=self._password)

    async def refresh(self) -> UseCase:
        token = (await self._signed_in()).refresh_token.text
        return lambda: refresh(self._auth, CLIENT, token)

    async def register(self) -> UseCase:
        self._forget_attempts()
        self._registered += 1
        name = f"user{self._registered}"
        form = NewUserForm(name, f"{name}@example.com", None, "of course a good one")
        return lambda: register(self._auth, CLIENT, form)

    async def change_password(self) -> UseCase:
        viewer = await get_viewer(self._auth, CLIENT, (await self._signed_in()).access_token.text)
        return lambda: change_password(
            self._auth, viewer, current=self._password, new=f"{self._password}!"
        )

    async def look_at_users(self) -> UseCase:
        async def look() -> None:
            async with self._auth.db.read() as session:
                await session.execute(select(User))
                await session.execute(select(Session))

        return look

    async def viewer(self) -> UseCase:
        token = (await self._signed_in()).access_token.text
        return lambda: get_viewer(self._auth, CLIENT, token)

    async def _signed_in(self) -> Any:
        await self._find_password()
        return await log_in(self._auth, CLIENT, username=ALICE.username, password=self._password)

    def _forget_attempts(self) -> None:
        # After this time, the throttle has no counts left.
        self._clock.tick(days=2)

    async def _find_password(self) -> None:
        """Sets the password. It is unknown whether a cancelled change was committed."""
        self._forget_attempts()
        async with self._auth.db.read() as session:
            stored = await session.scalar(
                select(User.password_hash).where(User.username == "alice")
            )
        while not await self._auth.passwords.verify(self._password, stored):
            self._password = f"{self._password}!"


NAMES = (
    "login",
    "look_at_users",
    *(
        pytest.param(name, marks=pytest.mark.soak)
        for name in ("refresh", "register", "change_password", "viewer")
    ),
)


@pytest.fixture
async def use_cases(api: Api, clock: ManualClock) -> UseCases:
    return UseCases(api, clock)


@pytest.fixture(autouse=True)
def no_garbage_is_collected() -> Iterator[None]:
    """Turns off garbage collection, which would close leaked statements and free their locks."""
    gc.disable()
    yield
    gc.enable()


async def check_nothing_is_held(api: Api) -> None:
    """Checks that writes of this and of another connection succeed at once."""
    pool: Any = api.auth.db.engine.pool
    await wait_until(lambda: pool.checkedout() == 0, within_seconds=AT_ONCE_SECONDS)
    async with asyncio.timeout(AT_ONCE_SECONDS), api.auth.db.begin() as tx:
        await tx.execute(text("UPDATE roles SET description = description"))
    url = api.auth.db.engine.url
    if url.get_backend_name() == "sqlite":
        await asyncio.to_thread(_write_to_file, Path(str(url.database)))
    else:
        await _lock_every_table(url.render_as_string(hide_password=False))


def _write_to_file(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=AT_ONCE_SECONDS, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")


async def _lock_every_table(url: str) -> None:
    other = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await other.execute(f"SET lock_timeout = '{AT_ONCE_SECONDS}s'")
        async with other.transaction():
            await other.execute("LOCK TABLE users, sessions, audit_events, throttles")
    finally:
        await other.close()


async def check_nothing_is_half_written(api: Api) -> None:
    """Checks that each use case has written all of its rows and its audit event, or none."""
    async with api.auth.db.read() as session:
        audited = select(AuditEvent.session_id).where(AuditEvent.session_id.is_not(None))
        # Not the reverse, because housekeeping deletes rows that are old by this clock.
        assert await session.scalar(_count(Session).where(Session.id.not_in(audited))) == 0
        made = await session.scalar(_count(User)) - len(ALL_ACCOUNTS)
        assert made == await session.scalar(_audited(Action.USER_REGISTERED))
        assert await session.scalar(_count(UserRole)) == await session.scalar(_count(User))


def _count(table: type) -> Any:
    return select(func.count()).select_from(table)


def _audited(action: Action) -> Any:
    return _count(AuditEvent).where(AuditEvent.action == action, AuditEvent.succeeded.is_(True))


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("name", NAMES)
async def test_cancellation_at_each_await_leaves_no_lock_and_no_partial_writes(
    api: Api, use_cases: UseCases, name: str, moment: Moment
) -> None:
    prepare: Callable[[], Awaitable[UseCase]] = getattr(use_cases, name)
    nth, cancelled = 0, True
    while cancelled:
        nth += 1
        work = await prepare()
        cancelled = await was_cancelled_at(nth, moment, work())
        await check_nothing_is_held(api)
    await check_nothing_is_half_written(api)


async def cancel_at_random(api: Api, use_cases: UseCases, times: int) -> None:
    """Runs several use cases at once, and cancels each of them after a random time."""
    chance = random.Random(15)

    async def once() -> None:
        work = await getattr(use_cases, chance.choice(("login", "register", "look_at_users")))()
        task = asyncio.create_task(work())
        await asyncio.wait({task}, timeout=chance.expovariate(100))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(times // 5):
        await asyncio.gather(*(once() for _ in range(5)))
    await check_nothing_is_held(api)
    await check_nothing_is_half_written(api)


async def test_cancellation_at_random_times_leaves_no_lock(api: Api, use_cases: UseCases) -> None:
    await cancel_at_random(api, use_cases, 100)


@pytest.mark.soak
async def test_thousand_random_cancellations_leave_no_lock(api: Api, use_cases: UseCases) -> None:
    await cancel_at_random(api, use_cases, 1_000)
