"""Refresh: the mutation `refreshTokens`."""

from tests.accounts import ALICE
from tests.api import Api, codes
from tests.graph.payloads import mutate
from tests.sessions import Device


async def test_refresh_returns_new_tokens_and_the_user(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    payload = await mutate(api, "refreshTokens", {"refreshToken": device.refresh_token})
    assert payload["tokens"]["refreshToken"] not in {None, device.refresh_token}
    assert payload["user"] == {"username": ALICE.username}


async def test_refresh_without_token_and_cookie_is_refused(sqlite_api: Api) -> None:
    assert codes(await mutate(sqlite_api, "refreshTokens", {})) == ["INVALID_REFRESH_TOKEN"]
