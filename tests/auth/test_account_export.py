"""Account export: its content, its throttling, and that it does not block the event loop."""

import asyncio
import json
import time
from collections.abc import Awaitable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from auth.account_export import export_account
from auth.audit import Action
from auth.errors import (
    RateLimited,
)
from auth.records import UserRecord
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.wiring import Auth
from models.audit_event import AuditEvent
from tests.accounts import ADMIN, ALICE, BOB, Account
from tests.api import Api
from tests.mutations import viewer_for

EVENTS = 5_000


async def add_events(api: Api, user_id: UUID) -> None:
    event = {
        "at": api.auth.clock.now(),
        "action": Action.SESSION_STARTED,
        "succeeded": True,
        "actor_id": user_id,
        "subject_id": user_id,
        "details": {},
    }
    async with api.auth.db.begin() as tx:
        await tx.execute(insert(AuditEvent), [{**event, "id": uuid4()} for _ in range(EVENTS)])


async def measure_longest_step(work: Awaitable[str]) -> tuple[str, float]:
    """Returns the result, and the longest blocking step as a share of the total time."""
    task, began = asyncio.ensure_future(work), time.thread_time()
    longest, last = 0.0, began
    while not task.done():
        await asyncio.sleep(0)
        # The time of this thread does not depend on the load of the machine.
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return task.result(), longest / (last - began)


async def test_long_export_does_not_block_the_event_loop(api: Api) -> None:
    viewer = await viewer_for(api, ALICE)
    await add_events(api, viewer.user_id)
    document, share = await measure_longest_step(export_account(api.auth, viewer))
    assert len(json.loads(document)["events"]) == EVENTS + 1
    assert share < 0.25


async def test_export_has_one_row_per_line(api: Api) -> None:
    document = await export_account(api.auth, await viewer_for(api, ALICE))
    assert list(json.loads(document)) == ["exported_at", "account", "sessions", "events"]
    assert [line[:7] for line in document.splitlines()[3:6]] == ['  "sess', '    {"i', "  ],"]


async def get(auth: Auth, account: Account) -> UserRecord:
    user = await find_user_by_name(auth, account.username)
    assert user
    return user


async def test_export_contains_account_sessions_and_events(api: Api) -> None:
    document = json.loads(await export_account(api.auth, await viewer_for(api, ALICE)))
    assert document["account"]["email"] == ALICE.email
    assert len(document["sessions"]) == 1
    assert [event["action"] for event in document["events"]] == ["session.started"]


async def test_export_contains_no_hash_and_no_other_user(api: Api) -> None:
    await viewer_for(api, BOB)
    text = await export_account(api.auth, await viewer_for(api, ALICE))
    assert "$" not in text
    assert "bob" not in text


async def test_export_hides_the_address_of_an_operator(api: Api) -> None:
    alice = await get(api.auth, ALICE)
    await update_user(api.auth, await viewer_for(api, ADMIN), alice.id, UserEdit(full_name="A"))
    document = json.loads(await export_account(api.auth, await viewer_for(api, ALICE)))
    (edit,) = [e for e in document["events"] if e["action"] == "user.edited"]
    assert "client_address" not in edit


async def test_exports_are_throttled(api: Api) -> None:
    viewer = await viewer_for(api, ALICE)
    for _ in range(5):
        await export_account(api.auth, viewer)
    with pytest.raises(RateLimited):
        await export_account(api.auth, viewer)
