"""Sign-in: the mutation `login`."""

import pytest

from tests.api import Api, codes
from tests.graph.payloads import FORM, mutate


@pytest.mark.parametrize("password", ["a" * 73, "b" * 999 + "c", "🚪" * 20, "  blanks  "])
async def test_login_compares_the_whole_password(sqlite_api: Api, password: str) -> None:
    await mutate(sqlite_api, "register", {**FORM, "password": password})
    good = await mutate(sqlite_api, "login", {"username": "carol", "password": password})
    assert good["errors"] == []
    near = await mutate(sqlite_api, "login", {"username": "carol", "password": password[:-1]})
    assert codes(near) == ["INVALID_CREDENTIALS"]


async def test_login_reply_does_not_reveal_unknown_users(sqlite_api: Api) -> None:
    wrong = await mutate(sqlite_api, "login", {"username": "alice", "password": "x"})
    unknown = await mutate(sqlite_api, "login", {"username": "nobody", "password": "x"})
    assert wrong == unknown
