"""Viewers: changes in the database apply from the next request on."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from sqlalchemy import text

from auth.clients import Client
from auth.tokens.access_tokens import Grant, TokenPolicy, issue
from auth.viewers import get_viewer
from tests.accounts import ADMIN, ALICE, OPERATOR
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

CHANGES_BY_HAND = {
    "UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE username = 'alice'": "USER_DISABLED",
    "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP": "SESSION_REVOKED",
    "DELETE FROM sessions": "TOKEN_INVALID",
    "DELETE FROM users WHERE username = 'alice'": "TOKEN_INVALID",
}


@pytest.mark.parametrize("statement", CHANGES_BY_HAND)
async def test_manual_change_in_the_database_applies_at_once(
    api: Api, alice: str, statement: str
) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text(statement))
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": CHANGES_BY_HAND[statement]}]


DISABLE = "mutation($id: ID!) { disableUser(input: {userId: $id}) { errors { code } } }"
ENABLE = "mutation($id: ID!) { enableUser(input: {userId: $id}) { errors { code } } }"
SET_ROLES = """mutation($id: ID!, $roles: [ID!]!) {
  setUserRoles(input: {userId: $id, roleIds: $roles}) { errors { code } }
}"""


async def denial_of(api: Api, token: str) -> str:
    (denial,) = denials(await api.ask("{ me { id } }", token=token))
    return f"{denial['code']} {denial['reason']}"


async def test_disabled_user_is_refused_at_the_next_request(
    api: Api, alice: str, admin: str
) -> None:
    await api.data(DISABLE, {"id": await api.id_of(ALICE, admin=admin)}, token=admin)
    assert await denial_of(api, alice) == "UNAUTHENTICATED USER_DISABLED"


async def test_old_token_is_refused_after_user_is_enabled_again(
    api: Api, alice: str, admin: str
) -> None:
    user = {"id": await api.id_of(ALICE, admin=admin)}
    await api.data(DISABLE, user, token=admin)
    await api.data(ENABLE, user, token=admin)
    assert await denial_of(api, alice) == "UNAUTHENTICATED SESSION_REVOKED"
    assert await api.data("{ me { id } }", token=await api.log_in(ALICE))


async def test_logout_ends_only_its_session(api: Api, alice: str) -> None:
    elsewhere = await api.log_in(ALICE)
    await api.data("mutation { logout { errors { code } } }", token=alice)
    assert await denial_of(api, alice) == "UNAUTHENTICATED SESSION_REVOKED"
    assert await api.data("{ me { id } }", token=elsewhere)


@pytest.mark.parametrize("statement", CHANGES_BY_HAND)
async def test_login_ignores_an_invalid_bearer_token(sqlite_api: Api, statement: str) -> None:
    token = await sqlite_api.log_in(ALICE)
    async with sqlite_api.auth.db.begin() as tx:
        await tx.execute(text(statement))
    payload = await sqlite_api.try_login(ADMIN.username, ADMIN.password, token=token)
    assert payload["errors"] == []


async def test_role_assignment_applies_at_once_to_older_tokens(
    api: Api, alice: str, admin: str
) -> None:
    roles = (await api.data("{ roles { id name } }", token=admin))["roles"]
    auditor = next(role["id"] for role in roles if role["name"] == "auditor")
    user = {"id": await api.id_of(ALICE, admin=admin)}
    await api.data(SET_ROLES, {**user, "roles": [auditor]}, token=admin)
    assert await api.data("{ users { nodes { id } } }", token=alice)
    await api.data(SET_ROLES, {**user, "roles": []}, token=admin)
    result = await api.ask("{ users { nodes { id } } }", token=alice)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


async def test_removed_role_applies_at_once(api: Api, admin: str) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text("DELETE FROM user_roles"))
    result = await api.ask("{ users { nodes { id } } }", token=admin)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


EXPIRIES: dict[str, Callable[[str], str]] = {
    "idle": lambda now: f"UPDATE sessions SET idle_expires_at = '{now}'",
    "absolute": lambda now: f"UPDATE sessions SET expires_at = '{now}'",
}


@pytest.mark.parametrize("expiry", EXPIRIES)
async def test_expired_session_is_refused(
    api: Api, alice: str, clock: ManualClock, expiry: str
) -> None:
    now = clock.now().strftime("%Y-%m-%d %H:%M:%S.%f")
    suffix = "+00" if api.auth.db.dialect == "postgresql" else ""
    async with api.auth.db.begin() as tx:
        await tx.execute(text(EXPIRIES[expiry](now + suffix)))
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_EXPIRED"}]


async def test_access_token_expires_no_later_than_its_session(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(sqlite_url, tmp_path).model_copy(update={"session_max_age": 60})
    async with serving(settings, clock) as api:
        payload = await api.try_login(ALICE.username, ALICE.password)
        assert payload["tokens"]["expiresIn"] == 60
        clock.tick(seconds=60)
        token = payload["tokens"]["accessToken"]
        assert await denial_of(api, token) == "UNAUTHENTICATED TOKEN_EXPIRED"


async def test_viewer_has_the_user_and_session_of_the_token(api: Api, alice: str) -> None:
    claims = jwt.decode(alice, options={"verify_signature": False})
    viewer = await get_viewer(api.auth, Client(), alice)
    assert (str(viewer.user_id), str(viewer.session_id)) == (claims["sub"], claims["sid"])
    assert viewer.user.username == "alice"


async def test_database_outage_returns_service_unavailable(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    with sqlite_api.without_database():
        reply = await sqlite_api.post("{ me { id } }", token=token)
    assert reply.status_code == 503
    assert reply.headers["Retry-After"]
    assert denials(reply.json()) == [{"code": "SERVICE_UNAVAILABLE"}]


async def test_token_of_deleted_user_is_invalid_after_name_is_registered_again(api: Api) -> None:
    token = await api.log_in(ALICE)
    async with api.auth.db.begin() as tx:
        await tx.execute(text("DELETE FROM users WHERE username = 'alice'"))
    register = """mutation { register(input: {username: "alice", email: "new@example.com",
        password: "not the one before"}) { errors { code } } }"""
    assert (await api.data(register))["register"]["errors"] == []
    result = await api.ask("{ me { id } }", token=token)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}]


async def test_access_token_has_no_username_or_email(api: Api) -> None:
    claims = jwt.decode(await api.log_in(ADMIN), options={"verify_signature": False})
    assert set(claims) == {
        *("iss", "aud", "sub", "sid", "jti", "iat", "exp", "roles", "scope"),
    }


async def test_token_of_a_revoked_key_is_never_cached(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(database_url, tmp_path)
    async with serving(settings, clock) as here, serving(settings, clock) as there:
        tokens = [await here.log_in(ALICE) for _ in range(6)]
        await there.auth.keys.replace_compromised(OPERATOR)
        await here.catch_up_with_changes()
        for _ in range(2):
            # The first request loads the keys while the others run.
            results = await asyncio.gather(
                *(here.ask("{ me { id } }", token=token) for token in tokens)
            )
            reasons = [denials(result)[0]["reason"] for result in results]
            assert reasons == ["TOKEN_INVALID"] * 6


async def test_cached_token_of_a_retired_key_is_refused(
    sqlite_api: Api, clock: ManualClock
) -> None:
    auth = sqlite_api.auth
    client = Client(address=None, user_agent=None)
    viewer = await get_viewer(auth, client, await sqlite_api.log_in(ALICE))
    days = timedelta(days=20)
    # A token as an attacker with a stolen key could sign it.
    stolen = TokenPolicy(auth.token_policy.issuer, auth.token_policy.audience, lifetime=days)
    grant = Grant(viewer.user_id, viewer.session_id, (), (), ends_at=clock.now() + days)
    forged = (await issue(auth.keys, stolen, grant, clock.now())).text
    assert "errors" not in await sqlite_api.ask("{ me { id } }", token=forged)
    await auth.keys.rotate(OPERATOR)
    assert "errors" not in await sqlite_api.ask("{ me { id } }", token=forged)
    clock.tick(hours=2)
    assert await denial_of(sqlite_api, forged) == "UNAUTHENTICATED TOKEN_INVALID"


async def test_token_verified_before_a_change_is_not_cached_after_it(
    sqlite_api: Api, clock: ManualClock
) -> None:
    cache, text_ = sqlite_api.auth.token_cache, await sqlite_api.log_in(ALICE)
    await sqlite_api.ask("{ me { id } }", token=text_)
    token = cache.get(text_, clock.now())
    assert token is not None
    version = cache.version()
    cache.everything_changed()
    cache.put(text_, token, version)
    assert len(cache) == 0
