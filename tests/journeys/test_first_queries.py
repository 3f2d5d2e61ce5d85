"""The first steps of a client: sign in, query `me`, get a refusal."""

from tests.accounts import ALICE
from tests.api import Api, denials


async def test_user_can_sign_in_and_query_me(api: Api) -> None:
    token = await api.log_in(ALICE)
    data = await api.data("{ me { username email roles { name } } }", token=token)
    assert data["me"] == {
        "username": "alice",
        "email": "alice@example.com",
        "roles": [{"name": "user"}],
    }


async def test_forbidden_field_is_null_and_its_siblings_resolve(api: Api, alice: str) -> None:
    result = await api.ask("{ users { nodes { username } } me { username } }", token=alice)
    assert result["data"] == {"users": None, "me": {"username": "alice"}}
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


async def test_admin_can_list_users(api: Api, admin: str) -> None:
    data = await api.data("{ users { nodes { username } } }", token=admin)
    names = [user["username"] for user in data["users"]["nodes"]]
    assert names == ["audrey", "sophie", "admin", "bob", "alice"]


async def test_query_me_without_a_token_is_unauthenticated(api: Api) -> None:
    result = await api.ask("{ me { username } }")
    assert result["data"] == {"me": None}
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}]
