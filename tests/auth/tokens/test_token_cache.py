"""The cache of verified access tokens."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from auth.tokens.access_tokens import AccessToken
from auth.tokens.key_material import Algorithm
from auth.tokens.keys import KeyRing
from auth.tokens.secret_keys import SecretKeys
from auth.tokens.token_cache import TokenCache
from models.base import uuid7
from models.database import Database
from tests.clock import ManualClock


@dataclass
class Setup:
    """A cache, the key ring that it asks, and the database behind them."""

    db: Database
    keys: KeyRing
    cache: TokenCache
    clock: ManualClock

    async def token(self) -> AccessToken:
        """Returns a token that is valid for a minute."""
        now, kid = self.clock.now(), (await self.keys.signing_key()).kid
        return AccessToken(uuid7(), uuid7(), "id", kid, now, now + timedelta(minutes=1))


@pytest.fixture
async def setup(sqlite_url: str, clock: ManualClock) -> AsyncIterator[Setup]:
    db = Database.connect(sqlite_url)
    await db.change_feed.start()
    keys = KeyRing(db, SecretKeys(["a secret"]), clock, Algorithm.ES256)
    await keys.start()
    yield Setup(db, keys, TokenCache(db.change_feed, keys, max_tokens=2), clock)
    await db.close()


async def test_cached_token_is_returned_until_it_expires(setup: Setup) -> None:
    cache, clock, token = setup.cache, setup.clock, await setup.token()
    cache.put("text", token, cache.version())
    assert cache.get("text", clock.now()) is token
    clock.tick(minutes=1)
    assert cache.get("text", clock.now()) is None
    assert len(cache) == 0


async def test_token_of_unknown_key_is_not_returned(setup: Setup) -> None:
    token = AccessToken(
        uuid7(),
        uuid7(),
        "id",
        "unknown",
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    )
    setup.cache.put("text", token, setup.cache.version())
    assert setup.cache.get("text", setup.clock.now()) is None


async def test_change_of_a_key_clears_the_cache(setup: Setup) -> None:
    cache, token = setup.cache, await setup.token()
    version = cache.version()
    cache.put("text", token, version)
    cache.everything_changed()
    assert len(cache) == 0
    cache.put("text", token, version)
    assert len(cache) == 0


async def test_cache_is_not_used_without_the_change_feed(setup: Setup) -> None:
    cache, token = setup.cache, await setup.token()
    cache.put("text", token, cache.version())
    await setup.db.change_feed.stop()
    assert cache.get("text", setup.clock.now()) is None


async def test_cache_holds_at_most_max_tokens(setup: Setup) -> None:
    token = await setup.token()
    for number in range(5):
        setup.cache.put(str(number), token, setup.cache.version())
    assert len(setup.cache) == 2
