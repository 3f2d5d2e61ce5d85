"""Sessions: listing and revoking them."""

from uuid import uuid4

import pytest

from tests.accounts import ALICE, BOB, SUPPORT
from tests.api import Api, codes, denials
from tests.sessions import Device

SESSIONS = """{ me { sessions { nodes {
    id device address current createdAt lastUsedAt expiresAt endedAt endReason
} } } }"""

REVOKE = """mutation R($id: ID!) {
    revokeSession(input: {sessionId: $id}) { sessionId errors { code field } }
}"""


@pytest.fixture
async def device(api: Api) -> Device:
    return await Device(api).log_in()


async def sessions_of(device: Device) -> list[dict[str, object]]:
    data = await device.api.data(SESSIONS, token=device.access_token)
    return list(data["me"]["sessions"]["nodes"])


async def revoke(device: Device, session_id: object) -> list[str]:
    data = await device.api.data(REVOKE, {"id": session_id}, token=device.access_token)
    return codes(data["revokeSession"])


async def test_session_has_address_and_start_time(device: Device) -> None:
    (session,) = await sessions_of(device)
    assert (session["address"], session["current"]) == ("192.0.2.7", True)
    assert session["createdAt"] == session["lastUsedAt"]
    assert (session["endedAt"], session["endReason"]) == (None, None)


async def test_only_the_session_of_the_request_is_current(device: Device) -> None:
    await Device(device.api).log_in()
    assert [session["current"] for session in await sessions_of(device)] == [False, True]


async def test_sessions_are_paginated(device: Device) -> None:
    for _ in range(2):
        await Device(device.api).log_in()
    query = """query P($after: String) { me { sessions(first: 2, after: $after) {
        nodes { id } pageInfo { hasNextPage endCursor } } } }"""
    seen: list[str] = []
    after = None
    while True:
        page = (await device.api.data(query, {"after": after}, token=device.access_token))["me"]
        seen += [node["id"] for node in page["sessions"]["nodes"]]
        after = page["sessions"]["pageInfo"]["endCursor"]
        if not page["sessions"]["pageInfo"]["hasNextPage"]:
            break
    assert len(set(seen)) == len(seen) == 3


async def test_revoked_session_ends_immediately(device: Device) -> None:
    other = await Device(device.api).log_in()
    newest = (await sessions_of(device))[0]["id"]
    assert await revoke(device, newest) == []
    assert not await other.is_signed_in()
    assert codes(await other.try_refresh(other.refresh_token)) == ["INVALID_REFRESH_TOKEN"]
    assert await device.is_signed_in()


async def test_revoking_ended_or_unknown_session_is_not_found(device: Device) -> None:
    await Device(device.api).log_in()
    newest = (await sessions_of(device))[0]["id"]
    await revoke(device, newest)
    for session_id in (newest, str(uuid4()), "x"):
        assert await revoke(device, session_id) == ["SESSION_NOT_FOUND"]


async def test_revoking_session_of_another_user_is_not_found(device: Device) -> None:
    (session,) = await sessions_of(device)
    bob = await Device(device.api).log_in(BOB)
    assert await revoke(bob, session["id"]) == ["SESSION_NOT_FOUND"]
    assert await device.is_signed_in()


async def test_session_revoked_by_support_has_end_reason(device: Device) -> None:
    (session,) = await sessions_of(device)
    sophie = await Device(device.api).log_in(SUPPORT)
    assert await revoke(sophie, session["id"]) == []
    again = await Device(device.api).log_in()
    query = "{ me { sessions(ended: true) { nodes { endReason } } } }"
    data = await device.api.data(query, token=again.access_token)
    assert data["me"]["sessions"]["nodes"] == [{"endReason": "REVOKED_BY_OPERATOR"}]


async def test_logout_everywhere_ends_all_sessions_of_the_user(device: Device) -> None:
    other, bob = await Device(device.api).log_in(), await Device(device.api).log_in(BOB)
    query = "mutation { logoutEverywhere { endedSessions errors { code } } }"
    data = await device.api.data(query, token=device.access_token)
    assert data["logoutEverywhere"] == {"endedSessions": 2, "errors": []}
    assert not await device.is_signed_in()
    assert not await other.is_signed_in()
    assert await bob.is_signed_in()


async def test_admin_lists_sessions_of_another_user(device: Device, admin: str) -> None:
    alice = await device.api.id_of(ALICE, admin=admin)
    query = f'{{ user(id: "{alice}") {{ sessions {{ nodes {{ current }} }} }} }}'
    data = await device.api.data(query, token=admin)
    assert data["user"]["sessions"]["nodes"] == [{"current": False}]


async def test_login_payload_does_not_show_sessions(api: Api) -> None:
    query = f"""mutation {{ login(input: {{username: "alice", password: "{ALICE.password}"}}) {{
        user {{ username sessions {{ nodes {{ id }} }} }} }} }}"""
    result = await api.ask(query)
    assert result["data"]["login"]["user"] == {"username": "alice", "sessions": None}
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}]
