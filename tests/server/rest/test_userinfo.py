"""`GET /users/me`."""

import pytest

from tests.accounts import ADMIN
from tests.api import Api


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ([], "Bearer"),
        ([("Authorization", "Bearer x")], "TOKEN_INVALID"),
        ([("Authorization", "Bearer x"), ("Authorization", "Bearer y")], "TOKEN_INVALID"),
    ],
)
async def test_users_me_without_a_valid_token_returns_a_challenge(
    sqlite_api: Api, headers: list[tuple[str, str]], challenge: str
) -> None:
    reply = await sqlite_api.http.get("/users/me", headers=headers)
    assert reply.status_code == 401
    assert challenge in reply.headers["www-authenticate"]


async def test_users_me_lists_the_permissions(sqlite_api: Api) -> None:
    headers = {"Authorization": f"Bearer {await sqlite_api.log_in(ADMIN)}"}
    me = (await sqlite_api.http.get("/users/me", headers=headers)).json()
    assert "users:write" in me["permissions"]
    assert "password" not in str(me)
