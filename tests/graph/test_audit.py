"""Audit log: the query `auditEvents` and the audit events of a user."""

from typing import Any

import pytest

from tests.accounts import ADMIN, ALICE
from tests.api import Api, denials

EVENTS = """query($actorId: ID, $subjectId: ID, $action: String) {
  auditEvents(actorId: $actorId, subjectId: $subjectId, action: $action) {
    nodes { action succeeded actorId subjectId }
  }
}"""


async def list_events(api: Api, token: str, **filters: Any) -> list[dict[str, Any]]:
    data = await api.data(EVENTS, filters, token=token)
    return list(data["auditEvents"]["nodes"])


async def test_audit_events_are_filtered_by_actor_and_action(api: Api, admin: str) -> None:
    await api.log_in(ALICE)
    alice = await api.id_of(ALICE, admin=admin)
    events = await list_events(api, admin, actorId=alice, action="session.started")
    assert [(event["succeeded"], event["actorId"]) for event in events] == [(True, alice)]
    assert await list_events(api, admin, actorId=alice, action="user.deleted") == []


async def test_audit_events_are_filtered_by_subject(api: Api, admin: str) -> None:
    alice = await api.id_of(ALICE, admin=admin)
    query = f'mutation {{ disableUser(input: {{userId: "{alice}"}}) {{ user {{ id }} }} }}'
    await api.data(query, token=admin)
    events = await list_events(api, admin, subjectId=alice)
    assert "user.disabled" in [event["action"] for event in events]


@pytest.mark.parametrize(
    "filters", [{"action": "user.deletd"}, {"actorId": "alice"}, {"subjectId": ""}]
)
async def test_invalid_filter_is_bad_input(sqlite_api: Api, filters: dict[str, str]) -> None:
    result = await sqlite_api.ask(EVENTS, filters, token=await sqlite_api.log_in(ADMIN))
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_user_reads_own_audit_events(api: Api, alice: str) -> None:
    query = "{ me { auditEvents(first: 1) { nodes { action device } } } }"
    (event,) = (await api.data(query, token=alice))["me"]["auditEvents"]["nodes"]
    assert event["action"] == "session.started"
