"""User access: disable, enable, set roles."""

import pytest

from tests.accounts import ADMIN, ALICE, BOB, SUPPORT, Account
from tests.api import Api, codes, denials
from tests.graph.payloads import mutate, role_ids


async def test_disabled_user_is_denied_from_the_next_request(
    api: Api, alice: str, admin: str
) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    payload = await mutate(api, "disableUser", {"userId": user_id}, token=admin)
    assert payload["user"] == {"disabled": True}
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "USER_DISABLED"}]
    login = {"username": "alice", "password": ALICE.password}
    assert codes(await mutate(api, "login", login)) == ["ACCOUNT_DISABLED"]


async def test_enabled_user_can_sign_in_but_old_token_stays_revoked(
    api: Api, alice: str, admin: str
) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    await mutate(api, "disableUser", {"userId": user_id}, token=admin)
    await mutate(api, "enableUser", {"userId": user_id}, token=admin)
    assert await api.log_in(ALICE)
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "SESSION_REVOKED"}]


async def test_role_change_applies_from_the_next_request(api: Api, alice: str, admin: str) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    ids = await role_ids(api, "auditor", token=admin)
    await mutate(api, "setUserRoles", {"userId": user_id, "roleIds": ids}, token=admin)
    assert await api.data("{ users { nodes { id } } }", token=alice)
    await mutate(api, "setUserRoles", {"userId": user_id, "roleIds": []}, token=admin)
    result = await api.ask("{ users { nodes { id } } }", token=alice)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


async def test_last_admin_cannot_be_disabled_or_demoted(api: Api, admin: str) -> None:
    user_id = await api.id_of(ADMIN, admin=admin)
    disabled = await mutate(api, "disableUser", {"userId": user_id}, token=admin)
    demoted = await mutate(api, "setUserRoles", {"userId": user_id, "roleIds": []}, token=admin)
    assert codes(disabled) == codes(demoted) == ["LAST_ADMIN"]


@pytest.mark.parametrize("account", [ALICE, SUPPORT, None])
async def test_user_mutations_are_denied_without_permission(
    sqlite_api: Api, account: Account | None
) -> None:
    admin = await sqlite_api.log_in(ADMIN)
    bob = await sqlite_api.id_of(BOB, admin=admin)
    token = await sqlite_api.log_in(account) if account else None
    query = f"""mutation {{
        createUser(input: {{username: "carol"}}) {{ user {{ id }} }}
        disableUser(input: {{userId: "{bob}"}}) {{ user {{ id }} }}
        enableUser(input: {{userId: "{bob}"}}) {{ user {{ id }} }}
        setUserRoles(input: {{userId: "{bob}", roleIds: []}}) {{ user {{ id }} }}
    }}"""
    result = await sqlite_api.ask(query, token=token)
    assert not any(result["data"].values())
    assert {d["code"] for d in denials(result)} == {"FORBIDDEN" if account else "UNAUTHENTICATED"}
    assert await sqlite_api.log_in(BOB)
