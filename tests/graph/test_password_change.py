"""Password change: the mutation `changePassword`."""

from tests.accounts import ALICE
from tests.api import Api, codes
from tests.graph.payloads import mutate

NEW_PASSWORD = "of course a good one"


async def test_change_password_ends_other_sessions_only(api: Api, alice: str) -> None:
    other = await api.log_in(ALICE)
    change = {"currentPassword": ALICE.password, "newPassword": NEW_PASSWORD}
    payload = await mutate(api, "changePassword", change, token=alice)
    assert payload["endedSessions"] == 1
    assert (await api.ask("{ me { id } }", token=other))["data"] == {"me": None}
    assert await api.data("{ me { id } }", token=alice)


async def test_change_password_replaces_the_password(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    change = {"currentPassword": ALICE.password, "newPassword": NEW_PASSWORD}
    await mutate(sqlite_api, "changePassword", change, token=token)
    old = {"username": ALICE.username, "password": ALICE.password}
    assert codes(await mutate(sqlite_api, "login", old)) == ["INVALID_CREDENTIALS"]
    new = {"username": ALICE.username, "password": NEW_PASSWORD}
    assert (await mutate(sqlite_api, "login", new))["tokens"]
