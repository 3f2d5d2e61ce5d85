"""Caches do not keep a value that changed while it was read."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from auth.wiring import Auth
from tests.accounts import ALICE, OPERATOR
from tests.api import Api

ME = "{ me { username email roles { name } } }"


class SlowLookUps:
    """Runs the look-ups, but delays the rows of one of them until `may_return` is set."""

    def __init__(self, look_up: Callable[..., Any], slow: int) -> None:
        self._look_up = look_up
        self._left = slow
        self.has_read = asyncio.Event()
        self.may_return = asyncio.Event()

    async def __call__(self, *arguments: Any) -> Any:
        rows = await self._look_up(*arguments)
        self._left -= 1
        if self._left == 0:
            self.has_read.set()
            await self.may_return.wait()
        return rows


def clear_caches(auth: Auth) -> None:
    for cache in (auth.viewer_cache, auth.user_rows, auth.token_cache):
        cache.everything_changed()


# The first look-up reads the session with its user, the second the roles.
@pytest.mark.parametrize("slow", [1, 2])
@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP", "SESSION_REVOKED"),
        ("UPDATE users SET disabled_at = CURRENT_TIMESTAMP", "USER_DISABLED"),
        ("UPDATE users SET email = 'new@example.com' WHERE username = 'alice'", "new@example.com"),
        ("UPDATE roles SET name = 'renamed' WHERE name = 'user'", "renamed"),
        ("DELETE FROM user_roles", "no roles"),
    ],
)
async def test_viewer_read_before_a_change_is_not_cached_after_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, slow: int, change: str, seen: str
) -> None:
    token = await api.log_in(ALICE)
    clear_caches(api.auth)
    look_ups = SlowLookUps(api.auth.db.look_up, slow)
    with monkeypatch.context() as patched:
        patched.setattr(api.auth.db, "look_up", look_ups)
        asking = asyncio.create_task(api.ask(ME, token=token))
        await look_ups.has_read.wait()
        async with api.auth.db.begin() as tx:
            await tx.execute(text(change))
        look_ups.may_return.set()
        await asking
    for _ in range(2):
        assert seen_in(await api.ask(ME, token=token)) == seen


def seen_in(result: Any) -> str:
    """Returns the part of a response that one of the changes above changes."""
    if result["data"]["me"] is None:
        return str(result["errors"][0]["extensions"]["reason"])
    me = result["data"]["me"]
    if me["email"] != ALICE.email:
        return str(me["email"])
    return ", ".join(role["name"] for role in me["roles"]) or "no roles"


async def test_token_verified_before_its_key_is_revoked_is_not_cached_after_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await api.log_in(ALICE)
    clear_caches(api.auth)
    look_ups = SlowLookUps(api.auth.db.look_up, 1)
    with monkeypatch.context() as patched:
        patched.setattr(api.auth.db, "look_up", look_ups)
        asking = asyncio.create_task(api.ask(ME, token=token))
        await look_ups.has_read.wait()
        await api.auth.keys.replace_compromised(OPERATOR)
        look_ups.may_return.set()
        await asking
    for _ in range(2):
        assert seen_in(await api.ask(ME, token=token)) == "TOKEN_INVALID"
