"""`POST /revoke`."""

import pytest

from tests.api import Api
from tests.sessions import Device


@pytest.fixture
async def device(sqlite_api: Api) -> Device:
    return await Device(sqlite_api).log_in()


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_revoke_of_either_token_ends_the_session(device: Device, kind: str) -> None:
    token = {"access_token": device.access_token, "refresh_token": device.refresh_token}[kind]
    reply = await device.api.http.post("/revoke", data={"token": token, "token_type_hint": "x"})
    assert reply.status_code == 200
    assert not await device.is_signed_in()
    assert (await device.try_refresh(device.refresh_token))["tokens"] is None


@pytest.mark.parametrize("token", ["", "x", "prt_x", "a.b.c"])
async def test_revoke_of_an_invalid_token_succeeds(sqlite_api: Api, token: str) -> None:
    assert (await sqlite_api.http.post("/revoke", data={"token": token})).status_code == 200


async def test_revoke_without_a_token_is_an_invalid_request(sqlite_api: Api) -> None:
    assert (await sqlite_api.http.post("/revoke", data={"x": "y"})).status_code == 400
    assert (await sqlite_api.http.post("/revoke", json={"token": "x"})).status_code == 400
