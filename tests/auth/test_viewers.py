"""The rows decide, not the token: what changes counts from the next request on."""

from collections.abc import Callable

import jwt
import pytest
from sqlalchemy import text

from tests.api import Api, denials
from tests.clock import ManualClock
from tests.people import ADMIN, ALICE

CHANGES_BY_HAND = {
    "UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE username = 'alice'": "USER_DISABLED",
    "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP": "SESSION_REVOKED",
    "DELETE FROM sessions": "TOKEN_INVALID",
    "DELETE FROM users WHERE username = 'alice'": "TOKEN_INVALID",
}


@pytest.mark.parametrize("statement", CHANGES_BY_HAND)
async def test_a_change_typed_into_the_database_counts_at_once(
    api: Api, alice: str, statement: str
) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text(statement))
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": CHANGES_BY_HAND[statement]}]


async def test_a_role_that_was_taken_away_counts_at_once(api: Api, admin: str) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text("DELETE FROM user_roles"))
    result = await api.ask("{ users { nodes { id } } }", token=admin)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


LAPSES: dict[str, Callable[[str], str]] = {
    "idle": lambda now: f"UPDATE sessions SET idle_expires_at = '{now}'",
    "absolute": lambda now: f"UPDATE sessions SET expires_at = '{now}'",
}


@pytest.mark.parametrize("lapse", LAPSES)
async def test_a_session_past_its_time_opens_nothing(
    api: Api, alice: str, clock: ManualClock, lapse: str
) -> None:
    now = clock.now().strftime("%Y-%m-%d %H:%M:%S.%f")
    suffix = "+00" if api.auth.db.dialect == "postgresql" else ""
    async with api.auth.db.begin() as tx:
        await tx.execute(text(LAPSES[lapse](now + suffix)))
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_EXPIRED"}]


async def test_an_unreachable_database_is_neither_yes_nor_no(
    sqlite_api: Api,
) -> None:
    token = await sqlite_api.log_in(ALICE)
    broken = type(sqlite_api.auth.db).connect("postgresql://postgres@127.0.0.1:1/none")
    object.__setattr__(sqlite_api.auth, "db", broken)
    reply = await sqlite_api.post("{ me { id } }", token=token)
    assert reply.status_code == 503
    assert reply.headers["Retry-After"]
    assert denials(reply.json()) == [{"code": "SERVICE_UNAVAILABLE"}]


async def test_a_deleted_name_that_is_registered_again_inherits_nothing(api: Api) -> None:
    token = await api.log_in(ALICE)
    async with api.auth.db.begin() as tx:
        await tx.execute(text("DELETE FROM users WHERE username = 'alice'"))
    register = """mutation { register(input: {username: "alice", email: "new@example.com",
        password: "not the one before"}) { errors { code } } }"""
    assert (await api.data(register))["register"]["errors"] == []
    result = await api.ask("{ me { id } }", token=token)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}]


async def test_the_token_itself_holds_no_name_and_no_address(api: Api) -> None:
    claims = jwt.decode(await api.log_in(ADMIN), options={"verify_signature": False})
    assert set(claims) == {
        *("iss", "aud", "sub", "sid", "jti", "iat", "exp", "roles", "scope"),
    }
