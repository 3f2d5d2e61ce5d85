"""The audit trail: each act leaves a row, in the same transaction, and no row ever changes."""

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

TRAIL = """query Trail($first: Int, $after: String, $last: Int, $before: String, $actorId: ID,
    $subjectId: ID, $action: String) {
  auditEvents(first: $first, after: $after, last: $last, before: $before, actorId: $actorId,
      subjectId: $subjectId, action: $action) {
    nodes { id at action succeeded actorId subjectId sessionId address device
      details { name value } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
OWN = "{ me { id auditEvents(first: 100) { nodes { action succeeded actorId } } } }"


async def trail(api: Api, **arguments: Any) -> list[dict[str, Any]]:
    """The trail, oldest first, as the auditor reads it; without what the auditor did for that."""
    auditor = await api.log_in(AUDITOR)
    own = (await api.data("{ me { id } }", token=auditor))["me"]["id"]
    data = await api.data(TRAIL, {"first": 100, **arguments}, token=auditor)
    nodes: list[dict[str, Any]] = data["auditEvents"]["nodes"]
    return [node for node in reversed(nodes) if node["actorId"] != own]


async def acts(api: Api) -> list[str]:
    return [
        event["action"] + ("" if event["succeeded"] else " refused") for event in await trail(api)
    ]


REGISTER = """mutation { register(input: {username: "carol", email: "carol@example.com",
    password: "of course a good one"}) { user { id } errors { code } } }"""
LOGOUT = "mutation { logout { endedSessions } }"
EVERYWHERE = "mutation { logoutEverywhere { endedSessions } }"


async def test_the_life_of_an_account_is_written_down(api: Api) -> None:
    carol = (await api.data(REGISTER))["register"]["user"]["id"]
    await api.try_login("carol", "not the one")
    login = await api.try_login("carol", "of course a good one")
    token = login["tokens"]["accessToken"]
    change = """mutation($new: String!) { changePassword(input: {
        currentPassword: "of course a good one", newPassword: $new}) { errors { code } } }"""
    await api.data(change, {"new": "another one altogether"}, token=token)
    await api.data(change, {"new": "and yet another one"}, token=token)
    await api.data(LOGOUT, token=token)
    assert await acts(api) == [
        "user.registered",
        "session.started refused",
        "session.started",
        "password.changed",
        "password.changed refused",
        "session.ended",
    ]
    assert {event["subjectId"] for event in await trail(api)} == {carol}


async def test_an_act_tells_who_did_it_to_whom_from_where_and_how(api: Api) -> None:
    admin, alice = await Device(api).log_in(ADMIN), await Device(api).log_in(ALICE)
    admin_id = (await api.data("{ me { id } }", token=admin.access_token))["me"]["id"]
    alice_id = (await api.data("{ me { id } }", token=alice.access_token))["me"]["id"]
    disable = "mutation($id: ID!) { disableUser(input: {userId: $id}) { errors { code } } }"
    await api.data(disable, {"id": alice_id}, token=admin.access_token)
    event = (await trail(api))[-1]
    assert (event["action"], event["actorId"], event["subjectId"]) == (
        "user.disabled",
        admin_id,
        alice_id,
    )
    assert event["address"] == "192.0.2.7"
    assert event["device"].startswith("python-httpx2")


async def test_operators_acts_are_written_down(api: Api) -> None:
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
    events = (await trail(api))[1:]
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


async def test_a_replay_is_written_down_with_its_session(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    await device.refresh()
    clock.tick(minutes=2)
    await device.try_refresh(device.used_tokens[0])
    event = (await trail(api))[-1]
    assert (event["action"], event["succeeded"], event["actorId"]) == (
        "session.replayed",
        False,
        None,
    )
    assert event["sessionId"]


async def test_sign_outs_are_written_down(api: Api) -> None:
    one, two = await Device(api).log_in(ALICE), await Device(api).log_in(ALICE)
    await api.http.post("/revoke", data={"token": one.refresh_token})
    await api.data(EVERYWHERE, token=two.access_token)
    assert (await acts(api))[2:] == ["session.ended", "session.all_ended"]


async def test_what_happened_already_is_not_written_again(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    for _ in range(3):
        await api.http.post("/revoke", data={"token": device.refresh_token})
    assert (await acts(api)).count("session.ended") == 1


@pytest.mark.parametrize("typed", ["nobody", "correct horse battery", "a@b.example"])
async def test_what_was_typed_as_a_name_is_not_kept(api: Api, typed: str) -> None:
    await api.try_login(typed, "my secret password")
    async with api.auth.db.read() as session:
        rows = (await session.execute(text("SELECT * FROM audit_events"))).all()
    assert len(rows) == 1
    assert typed not in str(rows)
    assert "my secret password" not in str(rows)


async def test_a_refused_sign_in_tells_why_and_how_long_one_waits_now(api: Api) -> None:
    for _ in range(12):
        await api.try_login("alice", "no")
    events = await trail(api)
    assert len(events) == 10
    assert events[0]["details"] == [{"name": "reason", "value": "wrong_credentials"}]
    assert {"name": "wait_seconds", "value": "1"} in events[-1]["details"]


async def test_refresh_and_reset_of_an_unknown_address_write_no_event(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    before = await acts(api)
    await device.refresh()
    await request_password_reset(api.auth, Client("192.0.2.1"), email="nobody@example.com")
    assert await acts(api) == before


async def test_an_act_that_is_rolled_back_leaves_no_row(
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
    assert await acts(api) == []


async def test_no_row_can_be_changed(api: Api) -> None:
    await api.log_in(ALICE)
    with pytest.raises(DBAPIError, match="not to be changed"):
        async with api.auth.db.begin() as tx:
            await tx.execute(text("UPDATE audit_events SET succeeded = NOT succeeded"))


# Reading

EDIT = """mutation($id: ID!) { updateUser(input: {userId: $id, fullName: "Alice"}) {
    errors { code } } }"""


async def test_who_may_not_read_the_trail_is_refused(api: Api, alice: str) -> None:
    result = await api.ask(TRAIL, token=alice)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "audit:read"}]


async def test_everybody_reads_what_concerns_themselves(api: Api, alice: str, admin: str) -> None:
    await api.log_in(BOB)
    alice_id = await api.id_of(ALICE, admin=admin)
    await api.data(EDIT, {"id": alice_id}, token=admin)
    nodes = (await api.data(OWN, token=alice))["me"]["auditEvents"]["nodes"]
    assert [node["action"] for node in nodes] == ["user.edited", "session.started"]


async def test_nobody_reads_what_concerns_others(api: Api, alice: str, admin: str) -> None:
    bob = await api.id_of(BOB, admin=admin)
    query = "query($id: ID!) { user(id: $id) { auditEvents { nodes { id } } } }"
    result = await api.ask(query, {"id": bob}, token=alice)
    assert result["data"]["user"] is None


async def test_the_trail_is_filtered(api: Api, alice: str, admin: str) -> None:
    alice_id, admin_id = [await api.id_of(who, admin=admin) for who in (ALICE, ADMIN)]
    await api.data(EDIT, {"id": alice_id}, token=admin)
    by_admin = [event["action"] for event in await trail(api, actorId=admin_id)]
    assert by_admin == ["session.started", "user.edited"]
    to_alice = [event["actorId"] for event in await trail(api, subjectId=alice_id)]
    assert to_alice == [alice_id, admin_id]
    edited = await trail(api, action="user.edited")
    assert [event["subjectId"] for event in edited] == [alice_id]


@pytest.mark.parametrize(
    "arguments", [{"actorId": "x"}, {"subjectId": ""}, {"action": "user.gone"}]
)
async def test_a_filter_that_makes_no_sense_is_told(
    sqlite_api: Api, arguments: dict[str, str]
) -> None:
    auditor = await sqlite_api.log_in(AUDITOR)
    result = await sqlite_api.ask(TRAIL, arguments, token=auditor)
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_the_trail_is_read_page_by_page_from_either_end(api: Api) -> None:
    for _ in range(5):
        await api.log_in(ALICE)
    auditor = await api.log_in(AUDITOR)

    async def page(**arguments: Any) -> Any:
        return (await api.data(TRAIL, arguments, token=auditor))["auditEvents"]

    everything = [node["id"] for node in (await page(first=100))["nodes"]]
    assert everything == sorted(everything, reverse=True)
    first = await page(first=2)
    second = await page(first=2, after=first["pageInfo"]["endCursor"])
    last = await page(last=2)
    assert [n["id"] for n in first["nodes"] + second["nodes"]] == everything[:4]
    assert [n["id"] for n in last["nodes"]] == everything[-2:]
    assert (last["pageInfo"]["hasNextPage"], last["pageInfo"]["hasPreviousPage"]) == (False, True)


# Retention


async def test_old_rows_are_deleted_after_a_year(api: Api, clock: ManualClock) -> None:
    await api.log_in(ALICE)
    clock.tick(days=200)
    await api.log_in(BOB)
    clock.tick(days=165)
    await clean_up(api.auth)
    assert await acts(api) == ["session.started", "session.started", "keys.rotated"]
    clock.tick(seconds=1)
    await clean_up(api.auth)
    assert await acts(api) == ["session.started", "keys.rotated"]


async def test_many_old_rows_are_deleted_some_at_a_time(
    api: Api, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth.audit_list.DELETE_BATCH", 2)
    for _ in range(5):
        await api.log_in(ALICE)
    clock.tick(days=1)
    assert api.auth.audit_retention
    await delete_old_audit_events(api.auth, api.auth.audit_retention / 1000)
    assert await acts(api) == []


async def test_the_trail_may_be_kept_for_ever(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(sqlite_url, tmp_path).model_copy(update={"audit_retention": 0})
    async with serving(settings, clock) as api:
        await api.log_in(ALICE)
        clock.tick(days=5000)
        await clean_up(api.auth)
        assert "session.started" in await acts(api)


def test_every_action_has_a_name_that_programs_can_filter_by() -> None:
    assert all(action.value.count(".") == 1 for action in Action)
