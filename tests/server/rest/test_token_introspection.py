"""`POST /introspect`."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.accounts import ADMIN, ALICE
from tests.api import Api
from tests.clock import ManualClock
from tests.sessions import Device

INACTIVE = {"active": False}


@pytest.fixture
async def device(sqlite_api: Api) -> Device:
    return await Device(sqlite_api).log_in()


async def introspect(device: Device, token: str, *, as_admin: bool = True) -> Any:
    asking = await Device(device.api).log_in(ADMIN if as_admin else ALICE)
    headers = {"Authorization": f"Bearer {asking.access_token}"}
    return await device.api.http.post("/introspect", data={"token": token}, headers=headers)


async def test_introspection_describes_an_active_token(device: Device) -> None:
    for token, kind in (
        (device.access_token, "Bearer"),
        (device.refresh_token, "refresh_token"),
    ):
        body = (await introspect(device, token)).json()
        assert (body["active"], body["token_type"]) == (True, kind)
        assert (body["username"], body["iss"]) == ("alice", "http://localhost:8000")


async def test_introspection_of_an_inactive_token_returns_only_active_false(
    device: Device, clock: ManualClock
) -> None:
    await device.refresh()
    for token in (device.used_tokens[0], "prt_x", "x", ""):
        assert (await introspect(device, token)).json() == INACTIVE
    old = device.access_token
    clock.tick(minutes=31)
    assert (await introspect(device, old)).json() == INACTIVE
    clock.tick(days=31)
    assert (await introspect(device, device.refresh_token)).json() == INACTIVE


async def test_introspection_reports_tokens_of_a_revoked_session_as_inactive(
    sqlite_api: Api, device: Device
) -> None:
    async with sqlite_api.auth.db.begin() as tx:
        await tx.execute(text("UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP"))
    for token in (device.access_token, device.refresh_token):
        assert (await introspect(device, token)).json() == INACTIVE


async def test_introspection_requires_the_permission(device: Device) -> None:
    reply = await introspect(device, device.access_token, as_admin=False)
    assert reply.status_code == 403
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
    stranger = await device.api.http.post("/introspect", data={"token": "x"})
    assert stranger.status_code == 401


async def test_introspection_without_a_form_is_an_invalid_request(device: Device) -> None:
    asking = await Device(device.api).log_in(ADMIN)
    headers = {"Authorization": f"Bearer {asking.access_token}"}
    reply = await device.api.http.post("/introspect", json={}, headers=headers)
    assert reply.status_code == 400
