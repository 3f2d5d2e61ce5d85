"""A newcomer logs in, asks who they are, and is kept out of what is not theirs."""

from tests.accounts import ALICE
from tests.api import Api, denials


async def test_alice_logs_in_and_asks_for_me(api: Api) -> None:
    token = await api.log_in(ALICE)
    data = await api.data("{ me { username email roles { name } } }", token=token)
    assert data["me"] == {
        "username": "alice",
        "email": "alice@example.com",
        "roles": [{"name": "user"}],
    }


async def test_alice_asking_for_the_users_is_refused_and_the_siblings_are_answered(
    api: Api, alice: str
) -> None:
    result = await api.ask("{ users { nodes { username } } me { username } }", token=alice)
    assert result["data"] == {"users": None, "me": {"username": "alice"}}
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


async def test_an_administrator_lists_the_users(api: Api, admin: str) -> None:
    data = await api.data("{ users { nodes { username } } }", token=admin)
    names = [user["username"] for user in data["users"]["nodes"]]
    assert names == ["audrey", "sophie", "admin", "bob", "alice"]


async def test_a_stranger_is_not_authenticated(api: Api) -> None:
    result = await api.ask("{ me { username } }")
    assert result["data"] == {"me": None}
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}]
