"""The viewer cache: no query while nothing changes, and no stale values."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from auth.records import UserRecord
from auth.tokens.token_cache import MAX_TOKENS
from auth.viewer_cache import MAX_AGE_SECONDS, MAX_VIEWERS, SignedInUser, ViewerCache
from models.change_feed import ChangeFeed, DisconnectedChangeFeed
from models.database import Database
from tests.accounts import ALICE, BOB
from tests.api import Api, denials
from tests.clock import ManualClock
from tests.databases import recorded_statements
from tests.sessions import Device

ME = "{ me { username roles { name } permissions } }"


async def test_me_of_cached_viewer_needs_no_query(api: Api, alice: str) -> None:
    first = await api.data(ME, token=alice)
    with recorded_statements() as statements:
        assert await api.data(ME, token=alice) == first
    assert statements == []


async def test_sign_in_does_not_remove_other_viewers(api: Api, alice: str, admin: str) -> None:
    await api.data(ME, token=alice)
    await Device(api).log_in(ALICE)
    await api.data(ME, token=alice)
    await api.data(ME, token=admin)
    with recorded_statements() as statements:
        await api.data(ME, token=alice)
        await api.data(ME, token=admin)
    assert statements == []


async def test_cached_viewer_is_updated_after_a_change(api: Api, alice: str) -> None:
    await api.data(ME, token=alice)
    other = Database.connect(api.auth.db.engine.url.render_as_string(hide_password=False))
    async with other.begin() as tx:
        await tx.execute(text("UPDATE users SET username = 'alison' WHERE username = 'alice'"))
    await api.auth.db.change_feed.catch_up()
    assert (await api.data(ME, token=alice))["me"]["username"] == "alison"
    await other.close()


async def test_cached_session_expires(api: Api, alice: str, clock: ManualClock) -> None:
    async with api.auth.db.begin() as tx:
        later = (clock.now() + timedelta(minutes=5)).replace(tzinfo=None)
        await tx.execute(text(f"UPDATE sessions SET expires_at = '{later}'"))
    await api.data(ME, token=alice)
    clock.tick(minutes=5)
    with recorded_statements() as statements:
        result = await api.ask(ME, token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_EXPIRED"}]
    assert statements == []


async def test_cached_token_expires(api: Api, alice: str, clock: ManualClock) -> None:
    await api.data(ME, token=alice)
    clock.tick(minutes=30)
    result = await api.ask(ME, token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_EXPIRED"}]


async def test_cache_is_not_used_without_the_change_feed(api: Api, alice: str) -> None:
    await api.data(ME, token=alice)
    await api.auth.db.change_feed.stop()
    with recorded_statements() as statements:
        await api.data(ME, token=alice)
    assert statements != []


async def test_viewer_that_changes_while_it_is_read_is_not_cached(
    api: Api, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = api.auth.user_rows.read

    async def read_too_slowly(rows: Sequence[Any]) -> list[UserRecord]:
        users = await read(rows)
        api.auth.viewer_cache.user_changed(uuid4())
        return users

    monkeypatch.setattr(api.auth.user_rows, "read", read_too_slowly)
    await api.data(ME, token=alice)
    assert len(api.auth.viewer_cache) == 0


async def test_full_cache_evicts_and_returns_no_stale_viewer(api: Api) -> None:
    small = ViewerCache(api.auth.db.change_feed, max_viewers=5)
    object.__setattr__(api.auth, "viewer_cache", small)
    devices = [await Device(api).log_in(ALICE if n % 2 else BOB) for n in range(20)]
    signed_out: set[int] = set()
    choice = random.Random(1)
    for _ in range(20):
        for number in choice.sample(range(20), 10):
            assert await devices[number].is_signed_in() is (number not in signed_out)
            assert len(api.auth.viewer_cache) <= 5
        number = choice.randrange(20)
        if number not in signed_out:
            token = devices[number].access_token
            await api.data("mutation { logout { endedSessions } }", token=token)
            signed_out.add(number)


# The cache without a server.


class AlwaysCurrent(DisconnectedChangeFeed):
    current = True

    def is_current(self) -> bool:
        return self.current


NOW = datetime.now(UTC)
ROBIN = UserRecord(
    id=uuid4(),
    username="robin",
    email=None,
    email_verified=False,
    full_name=None,
    disabled=False,
    roles=(),
    permissions=frozenset(),
    created_at=NOW,
    last_login_at=None,
    version=1,
)


def signed_in(user_id: UUID | None = None) -> SignedInUser:
    user = replace(ROBIN, id=user_id or uuid4())
    return SignedInUser(uuid4(), user, revoked_at=None, idle_expires_at=NOW, expires_at=NOW)


def put(cache: ViewerCache, *viewers: SignedInUser) -> None:
    for viewer in viewers:
        cache.put(viewer, cache.version())


@pytest.fixture
def feed() -> AlwaysCurrent:
    return AlwaysCurrent()


@pytest.fixture
def cache(feed: ChangeFeed) -> ViewerCache:
    return ViewerCache(feed, max_viewers=3)


def test_token_cache_has_room_for_the_token_of_each_viewer() -> None:
    assert MAX_TOKENS >= MAX_VIEWERS


def test_cache_size_is_bounded(cache: ViewerCache) -> None:
    viewers = [signed_in() for _ in range(100)]
    put(cache, *viewers)
    assert len(cache) == 3
    assert cache.get(viewers[-1].session_id) == viewers[-1]
    assert len(cache._sessions_of) == 3


async def test_hit_rate_falls_gradually_when_the_cache_is_too_small(api: Api) -> None:
    small = ViewerCache(api.auth.db.change_feed, max_viewers=20)
    object.__setattr__(api.auth, "viewer_cache", small)
    tokens = [(await Device(api).log_in(ALICE)).access_token for _ in range(24)]
    for token in tokens:
        await api.data(ME, token=token)
    with recorded_statements() as statements:
        for _ in range(20):
            for token in tokens:
                await api.data(ME, token=token)
    # A least-recently-used cache would ask the database 480 times.
    assert len(statements) < 240


def test_change_of_a_user_removes_only_their_sessions(cache: ViewerCache) -> None:
    here, other = signed_in(), signed_in()
    there = signed_in(here.user.id)
    put(cache, here, there, other)
    cache.user_changed(here.user.id)
    assert cache.get(here.session_id) is None
    assert cache.get(there.session_id) is None
    assert cache.get(other.session_id) == other


def test_change_of_everything_clears_the_cache(cache: ViewerCache) -> None:
    put(cache, signed_in(), signed_in())
    cache.everything_changed()
    assert len(cache) == 0


def test_viewer_read_before_a_change_is_not_cached(cache: ViewerCache) -> None:
    viewer = signed_in()
    version = cache.version()
    cache.user_changed(viewer.user.id)
    cache.put(viewer, version)
    assert cache.get(viewer.session_id) is None


def test_cache_is_empty_while_the_change_feed_is_disconnected(
    cache: ViewerCache, feed: AlwaysCurrent
) -> None:
    viewer = signed_in()
    put(cache, viewer)
    feed.current = False
    assert cache.get(viewer.session_id) is None
    put(cache, other := signed_in())
    feed.current = True
    assert cache.get(other.session_id) is None


def test_entries_expire_after_a_minute(feed: AlwaysCurrent) -> None:
    now = 1000.0
    cache = ViewerCache(feed, monotonic=lambda: now)
    viewer = signed_in()
    put(cache, viewer)
    now += MAX_AGE_SECONDS
    assert cache.get(viewer.session_id) is None
    assert len(cache) == 0
