"""The export of an account: that the server answers others while it writes one."""

import asyncio
import json
import time
from collections.abc import Awaitable
from uuid import UUID, uuid4

from sqlalchemy import insert

from auth.account_export import export_account
from auth.audit import Action
from models.audit_event import AuditEvent
from tests.accounts import ALICE
from tests.api import Api
from tests.auth.test_user_edits import view

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


async def longest_turn(work: Awaitable[str]) -> tuple[str, float]:
    """The result, and the longest time on the event loop as a share of all."""
    task, began = asyncio.ensure_future(work), time.thread_time()
    longest, last = 0.0, began
    while not task.done():
        await asyncio.sleep(0)
        # Time of this thread: what else the machine does makes no difference.
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return task.result(), longest / (last - began)


async def test_export_of_a_long_history_leaves_the_event_loop_to_others(api: Api) -> None:
    viewer = await view(api, ALICE)
    await add_events(api, viewer.user_id)
    document, share = await longest_turn(export_account(api.auth, viewer))
    assert len(json.loads(document)["events"]) == EVENTS + 1
    assert share < 0.25


async def test_export_is_a_document_with_each_row_on_a_line(api: Api) -> None:
    document = await export_account(api.auth, await view(api, ALICE))
    assert list(json.loads(document)) == ["exported_at", "account", "sessions", "events"]
    assert [line[:7] for line in document.splitlines()[3:6]] == ['  "sess', '    {"i', "  ],"]
