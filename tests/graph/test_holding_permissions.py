"""`holding_permissions`: the caller keeps permissions until the block ends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import strawberry

from auth.permissions import Console
from auth.role_edits import RoleForm, create_role
from auth.user_access import set_user_roles
from auth.users import find_user_by_name
from postern import HasPermission, Info, IsAuthenticated, holding_permissions
from tests.accounts import BOB, OPERATOR
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings


@dataclass
class Stage:
    """A point where a mutation waits until the test continues it."""

    api: Api
    written: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def pause(self) -> None:
        self.arrived.set()
        await self.may_go_on.wait()


stages: list[Stage] = []


@strawberry.type
class Notes:
    """A mutation that waits before it holds the permission, and one that waits while it does."""

    @strawberry.mutation(permission_classes=[HasPermission("notes:write")])
    async def late(self, info: Info) -> bool | None:
        await stages[-1].pause()
        async with holding_permissions(info, "notes:write"):
            stages[-1].written.append("late")
        return True

    @strawberry.mutation(permission_classes=[IsAuthenticated])
    async def held(self, info: Info) -> bool | None:
        async with holding_permissions(info, "notes:write"):
            await stages[-1].pause()
            stages[-1].written.append("held")
        return True


@pytest.fixture
async def stage(database_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stage]:
    settings = make_settings(database_url, tmp_path)
    permissions = {"notes:write": "Write notes."}
    async with serving(settings, clock, mutations=[Notes], permissions=permissions) as api:
        role = await create_role(
            api.auth, Console(api.auth.permissions), RoleForm("writer", "", ["notes:write"])
        )
        bob = await find_user_by_name(api.auth, BOB.username)
        assert bob
        await set_user_roles(api.auth, Console(api.auth.permissions), bob.id, [role.id])
        stages.append(Stage(api))
        yield stages[-1]


async def demote(api: Api) -> None:
    bob = await find_user_by_name(api.auth, BOB.username)
    assert bob
    await set_user_roles(api.auth, OPERATOR, bob.id, [])


async def test_permission_revoked_before_the_block_is_refused(stage: Stage) -> None:
    token = await stage.api.log_in(BOB)
    request = asyncio.create_task(stage.api.ask("mutation { late }", token=token))
    await stage.arrived.wait()
    await demote(stage.api)
    stage.may_go_on.set()
    assert denials(await request) == [{"code": "FORBIDDEN", "required": "notes:write"}]
    assert stage.written == []


async def test_permission_cannot_be_revoked_during_the_block(stage: Stage) -> None:
    token = await stage.api.log_in(BOB)
    request = asyncio.create_task(stage.api.ask("mutation { held }", token=token))
    await stage.arrived.wait()
    demotion = asyncio.create_task(demote(stage.api))
    demotion.add_done_callback(lambda _: stage.written.append("demoted"))
    stage.may_go_on.set()
    await asyncio.gather(request, demotion)
    assert (await request)["data"] == {"held": True}
    assert stage.written == ["held", "demoted"]
