"""The audit log: each action writes an event in its transaction, and events never change."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from auth import user_access, users
from auth.audit import Action
from auth.audit_list import delete_old_audit_events
from auth.clients import Client
from auth.housekeeping import clean_up
from auth.logout import end_all_sessions
from auth.password_reset import request_password_reset
from auth.records import UserRecord
from tests.accounts import ADMIN, ALICE, AUDITOR, BOB, OPERATOR
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.sessions import Device

EVENTS = """query Events($first: Int, $after: String, $last: Int, $before: String, $actorId: ID,
    $subjectId: ID, $action: String) {
  auditEvents(first: $first, after: $after, last: $last, before: $before, actorId: $actorId,
      subjectId: $subjectId, action: $action) {
    nodes { id at action succeeded actorId subjectId sessionId address device
      details { name value } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
OWN = "{ me { id auditEvents(first: 100) { nodes { action succeeded actorId } } } }"


async def read_events(api: Api, **arguments: Any) -> list[dict[str, Any]]:
    """Returns the events as an auditor reads them, oldest first, without the auditor's own."""
    auditor = await api.log_in(AUDITOR)
    own = (await api.data("{ me { id } }", token=auditor))["me"]["id"]
    data = await api.data(EVENTS, {"first": 100, **arguments}, token=auditor)
    nodes: list[dict[str, Any]] = data["auditEvents"]["nodes"]
    return [node for node in reversed(nodes) if node["actorId"] != own]


async def actions(api: Api) -> list[str]:
    return [
        event["action"] + ("" if event["succeeded"] else " refused")
        for event in await read_events(api)
    ]


REGISTER = """mutation { register(input: {username: "carol", email: "carol@example.com",
    password: "of course a good one"}) { user { id } errors { code } } }"""
LOGOUT = "mutation { logout { endedSessions } }"
EVERYWHERE = "mutation { logoutEverywhere { endedSessions } }"


async def test_user_actions_write_events(api: Api) -> None:
    carol = (await api.data(REGISTER))["register"]["user"]["id"]
    await api.try_login("carol", "not the one")
    login = await api.try_login("carol", "of course a good one")
    token = login["tokens"]["accessToken"]
    change = """mutation($new: String!) { changePassword(input: {
        currentPassword: "of course a good one", newPassword: $new}) { errors { code } } }"""
    await api.data(change, {"new": "another one altogether"}, token=token)
    await api.data(change, {"new": "and yet another one"}, token=token)
    await api.data(LOGOUT, token=token)
    assert await actions(api) == [
        "user.registered",
        "session.started refused",
        "session.started",
        "password.changed",
        "password.changed refused",
        "session.ended",
    ]
    assert {event["subjectId"] for event in await read_events(api)} == {carol}


async def test_event_has_actor_subject_address_and_device(api: Api) -> None:
    admin, alice = await Device(api).log_in(ADMIN), await Device(api).log_in(ALICE)
    admin_id = (await api.data("{ me { id } }", token=admin.access_token))["me"]["id"]
    alice_id = (await api.data("{ me { id } }", token=alice.access_token))["me"]["id"]
    disable = "mutation($id: ID!) { disableUser(input: {userId: $id}) { errors { code } } }"
    await api.data(disable, {"id": alice_id}, token=admin.access_token)
    event = (await read_events(api))[-1]
    assert (event["action"], event["actorId"], event["subjectId"]) == (
        "user.disabled",
        admin_id,
        alice_id,
    )
    assert event["address"] == "192.0.2.7"
    assert event["device"].startswith("python-httpx2")


async def test_admin_actions_write_events(api: Api) -> None:
    admin = (await Device(api).log_in(ADMIN)).access_token
    alice = await api.id_of(ALICE, admin=admin)
    roles = {r["name"]: r["id"] for r in (await api.data("{roles{id name}}", token=admin))["roles"]}
    create = (
        """mutation { createUser(input: {username: "dora"}) { user { id } errors { code } } }"""
    )
    await api.data(create, token=admin)
    await api.data(
        "mutation($u: ID!, $r: [ID!]!) { setUserRoles(input: {userId: $u, roleIds: $r})"
        " { errors { code } } }",
        {"u": alice, "r": [roles["support"], roles["auditor"]]},
        token=admin,
    )
    for verb in ("disable", "enable"):
        query = (
            f"mutation($id: ID!) {{ {verb}User(input: {{userId: $id}}) {{ errors {{ code }} }} }}"
        )
        await api.data(query, {"id": alice}, token=admin)
    await api.auth.keys.rotate(OPERATOR)
    await end_all_sessions(api.auth, OPERATOR)
    events = (await read_events(api))[1:]
    assert [event["action"] for event in events] == [
        "user.created",
        "user.roles_set",
        "user.disabled",
        "user.enabled",
        "keys.rotated",
        "keys.replaced",
        "session.everybody_ended",
    ]
    assert events[1]["details"] == [
        {"name": "added", "value": "auditor,support"},
        {"name": "removed", "value": "user"},
        {"name": "roles", "value": "auditor,support"},
    ]
    assert events[-1]["device"] == "console"


async def test_replay_writes_an_event_with_its_session(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    await device.refresh()
    clock.tick(minutes=2)
    await device.try_refresh(device.used_tokens[0])
    event = (await read_events(api))[-1]
    assert (event["action"], event["succeeded"], event["actorId"]) == (
        "session.replayed",
        False,
        None,
    )
    assert event["sessionId"]


async def test_sign_outs_write_events(api: Api) -> None:
    one, two = await Device(api).log_in(ALICE), await Device(api).log_in(ALICE)
    await api.http.post("/revoke", data={"token": one.refresh_token})
    await api.data(EVERYWHERE, token=two.access_token)
    assert (await actions(api))[2:] == ["session.ended", "session.all_ended"]


async def test_repeated_revocation_writes_one_event(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    for _ in range(3):
        await api.http.post("/revoke", data={"token": device.refresh_token})
    assert (await actions(api)).count("session.ended") == 1


@pytest.mark.parametrize("typed", ["nobody", "correct horse battery", "a@b.example"])
async def test_failed_sign_in_does_not_store_the_typed_values(api: Api, typed: str) -> None:
    await api.try_login(typed, "my secret password")
    async with api.auth.db.read() as session:
        rows = (await session.execute(text("SELECT * FROM audit_events"))).all()
    assert len(rows) == 1
    assert typed not in str(rows)
    assert "my secret password" not in str(rows)


async def test_failed_sign_in_has_reason_and_throttle_delay(api: Api) -> None:
    for _ in range(12):
        await api.try_login("alice", "no")
    events = await read_events(api)
    assert len(events) == 10
    assert events[0]["details"] == [{"name": "reason", "value": "wrong_credentials"}]
    assert {"name": "wait_seconds", "value": "1"} in events[-1]["details"]


async def test_refresh_and_reset_of_an_unknown_address_write_no_event(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    before = await actions(api)
    await device.refresh()
    await request_password_reset(api.auth, Client("192.0.2.1"), email="nobody@example.com")
    assert await actions(api) == before


async def test_rolled_back_action_writes_no_event(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await users.find_user_by_name(api.auth, "alice")
    assert alice

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(UserRecord, "of", fail)
        with pytest.raises(ZeroDivisionError):
            await user_access.disable_user(api.auth, OPERATOR, alice.id)
    assert await actions(api) == []


async def test_database_refuses_changes_of_events(api: Api) -> None:
    await api.log_in(ALICE)
    with pytest.raises(DBAPIError, match="not to be changed"):
        async with api.auth.db.begin() as tx:
            await tx.execute(text("UPDATE audit_events SET succeeded = NOT succeeded"))


# Reading

EDIT = """mutation($id: ID!) { updateUser(input: {userId: $id, fullName: "Alice"}) {
    errors { code } } }"""


async def test_audit_log_needs_permission(api: Api, alice: str) -> None:
    result = await api.ask(EVENTS, token=alice)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "audit:read"}]


async def test_user_reads_own_events(api: Api, alice: str, admin: str) -> None:
    await api.log_in(BOB)
    alice_id = await api.id_of(ALICE, admin=admin)
    await api.data(EDIT, {"id": alice_id}, token=admin)
    nodes = (await api.data(OWN, token=alice))["me"]["auditEvents"]["nodes"]
    assert [node["action"] for node in nodes] == ["user.edited", "session.started"]


async def test_user_cannot_read_events_of_others(api: Api, alice: str, admin: str) -> None:
    bob = await api.id_of(BOB, admin=admin)
    query = "query($id: ID!) { user(id: $id) { auditEvents { nodes { id } } } }"
    result = await api.ask(query, {"id": bob}, token=alice)
    assert result["data"]["user"] is None


async def test_events_are_filtered_by_actor_subject_and_action(
    api: Api, alice: str, admin: str
) -> None:
    alice_id, admin_id = [await api.id_of(who, admin=admin) for who in (ALICE, ADMIN)]
    await api.data(EDIT, {"id": alice_id}, token=admin)
    by_admin = [event["action"] for event in await read_events(api, actorId=admin_id)]
    assert by_admin == ["session.started", "user.edited"]
    to_alice = [event["actorId"] for event in await read_events(api, subjectId=alice_id)]
    assert to_alice == [alice_id, admin_id]
    edited = await read_events(api, action="user.edited")
    assert [event["subjectId"] for event in edited] == [alice_id]


@pytest.mark.parametrize(
    "arguments", [{"actorId": "x"}, {"subjectId": ""}, {"action": "user.gone"}]
)
async def test_invalid_filters_are_bad_user_input(
    sqlite_api: Api, arguments: dict[str, str]
) -> None:
    auditor = await sqlite_api.log_in(AUDITOR)
    result = await sqlite_api.ask(EVENTS, arguments, token=auditor)
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_events_are_paginated_from_both_ends(api: Api) -> None:
    for _ in range(5):
        await api.log_in(ALICE)
    auditor = await api.log_in(AUDITOR)

    async def page(**arguments: Any) -> Any:
        return (await api.data(EVENTS, arguments, token=auditor))["auditEvents"]

    everything = [node["id"] for node in (await page(first=100))["nodes"]]
    assert everything == sorted(everything, reverse=True)
    first = await page(first=2)
    second = await page(first=2, after=first["pageInfo"]["endCursor"])
    last = await page(last=2)
    assert [n["id"] for n in first["nodes"] + second["nodes"]] == everything[:4]
    assert [n["id"] for n in last["nodes"]] == everything[-2:]
    assert (last["pageInfo"]["hasNextPage"], last["pageInfo"]["hasPreviousPage"]) == (False, True)


# Retention


async def test_events_are_deleted_after_a_year(api: Api, clock: ManualClock) -> None:
    await api.log_in(ALICE)
    clock.tick(days=200)
    await api.log_in(BOB)
    clock.tick(days=165)
    await clean_up(api.auth)
    assert await actions(api) == ["session.started", "session.started", "keys.rotated"]
    clock.tick(seconds=1)
    await clean_up(api.auth)
    assert await actions(api) == ["session.started", "keys.rotated"]


async def test_old_events_are_deleted_in_batches(api: Api, clock: ManualClock) -> None:
    for _ in range(5):
        await api.log_in(ALICE)
    clock.tick(days=1)
    assert api.auth.audit_retention
    await delete_old_audit_events(api.auth, api.auth.audit_retention / 1000, batch=2)
    assert await actions(api) == []


async def test_audit_retention_can_be_turned_off(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(sqlite_url, tmp_path).model_copy(update={"audit_retention": 0})
    async with serving(settings, clock) as api:
        await api.log_in(ALICE)
        clock.tick(days=5000)
        await clean_up(api.auth)
        assert "session.started" in await actions(api)


def test_action_names_have_one_dot() -> None:
    assert all(action.value.count(".") == 1 for action in Action)
