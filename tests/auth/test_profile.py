"""Profile edits: what they change, what they record, and their throttling."""

import pytest
from sqlalchemy import func, select

from auth.audit import Action
from auth.clients import Client
from auth.errors import (
    EditConflict,
    FullNameInvalid,
    RateLimited,
)
from auth.profile import update_profile
from auth.viewers import Viewer, get_viewer
from models.audit_event import AuditEvent
from tests.accounts import ALICE
from tests.api import Api, codes
from tests.clock import ManualClock
from tests.mutations import viewer_for


@pytest.fixture
async def viewer(api: Api, alice: str) -> Viewer:
    return await get_viewer(api.auth, Client("192.0.2.7"), alice)


async def count_edits(api: Api) -> int:
    async with api.auth.db.read() as session:
        query = select(func.count()).where(AuditEvent.action == Action.PROFILE_EDITED.value)
        return int(await session.scalar(query) or 0)


async def test_profile_edit_without_a_change_is_not_recorded(api: Api, viewer: Viewer) -> None:
    """T7: each call wrote an audit event."""
    first = await update_profile(api.auth, viewer, full_name="Alice Liddell")
    for _ in range(5):
        again = await update_profile(api.auth, viewer, full_name=" Alice Liddell ")
        assert again.version == first.version
    assert await count_edits(api) == 1


async def test_profile_edits_are_throttled(api: Api, viewer: Viewer, clock: ManualClock) -> None:
    for number in range(30):
        await update_profile(api.auth, viewer, full_name=f"Alice {number}")
    with pytest.raises(RateLimited) as refused:
        await update_profile(api.auth, viewer, full_name="Alice again")
    assert refused.value.retry_after.total_seconds() == 1
    assert await count_edits(api) == 30
    clock.tick(seconds=1)
    await update_profile(api.auth, viewer, full_name="Alice again")


async def test_throttled_profile_edit_is_an_error_of_the_payload(
    sqlite_api: Api,
) -> None:
    token = await sqlite_api.log_in(ALICE)
    edit = """mutation($name: String) { updateProfile(input: {fullName: $name}) {
        user { fullName } errors { code } } }"""
    outcomes = []
    for number in range(31):
        data = await sqlite_api.data(edit, {"name": f"Alice {number}"}, token=token)
        outcomes.append(codes(data["updateProfile"]))
    assert outcomes == [[]] * 30 + [["RATE_LIMITED"]]


async def test_full_name_changes(api: Api) -> None:
    viewer = await viewer_for(api, ALICE)
    assert (await update_profile(api.auth, viewer, full_name=" Al ")).full_name == "Al"
    assert (await update_profile(api.auth, viewer, full_name=None)).full_name is None


async def test_old_version_is_a_conflict(api: Api) -> None:
    viewer = await viewer_for(api, ALICE)
    await update_profile(api.auth, viewer, full_name="Al")
    with pytest.raises(EditConflict):
        await update_profile(api.auth, viewer, full_name="x", version=viewer.user.version)


async def test_invalid_full_name_is_refused(api: Api) -> None:
    with pytest.raises(FullNameInvalid):
        await update_profile(api.auth, await viewer_for(api, ALICE), full_name="\u202e")
