"""Permissions are checked inside the transaction: those removed while it waits do not count."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Select, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.errors import Denial, Forbidden, SessionRevoked, TokenExpired, Unauthenticated
from auth.logout import end_all_sessions
from auth.role_edits import RoleForm, update_role
from auth.roles import find_roles_by_name
from auth.user_access import enable_user, revoke_user_sessions, set_user_roles
from auth.users import find_user_by_name
from auth.viewers import Viewer
from auth.wiring import Auth
from models.role import Role, RolePermission, UserRole
from models.session import Session
from models.user import User
from tests.accounts import ADMIN, BOB, OPERATOR
from tests.api import Api
from tests.clock import ManualClock
from tests.databases import wait_for_lock
from tests.mutations import (
    EVERY_PERMISSION,
    INPUTS,
    Scene,
    document_of,
    make_scene,
    mutations,
    run_mutation,
    viewer_for,
)
from tests.sessions import Device

TABLES = (
    "users",
    "user_roles",
    "roles",
    "role_permissions",
    "retired_role_names",
    "sessions",
    "links",
    "invitations",
    "invitation_roles",
    "outgoing_mails",
    "audit_events",
)


async def rows(auth: Auth) -> dict[str, list[str]]:
    """Returns the rows of all tables that a mutation may change."""
    async with auth.db.read() as session:
        return {
            table: sorted(map(str, await session.execute(text(f"SELECT * FROM {table}"))))
            for table in TABLES
        }


@pytest.fixture
async def scene(api: Api) -> Scene:
    """An admin with all permissions by a custom role, and the objects of the mutations."""
    scene = await make_scene(api)
    # The background job must not send the invitation while rows are compared.
    async with asyncio.timeout(20):
        while (await rows(api.auth))["outgoing_mails"]:
            await api.send_emails()
    return scene


Change = Callable[[AsyncSession, Viewer, Auth], Awaitable[None]]


async def take_role(tx: AsyncSession, boss: Viewer, _: Auth) -> None:
    await tx.execute(delete(UserRole).where(UserRole.user_id == boss.user_id))


async def give_role(tx: AsyncSession, boss: Viewer, _: Auth) -> None:
    (role,) = boss.user.roles
    await tx.execute(insert(UserRole), [{"user_id": boss.user_id, "role_id": role.id}])


async def empty_role(tx: AsyncSession, boss: Viewer, _: Auth) -> None:
    (role,) = boss.user.roles
    await tx.execute(delete(RolePermission).where(RolePermission.role_id == role.id))


async def fill_role(tx: AsyncSession, boss: Viewer, _: Auth) -> None:
    (role,) = boss.user.roles
    permitted = [{"role_id": role.id, "permission": name} for name in EVERY_PERMISSION]
    await tx.execute(insert(RolePermission), permitted)


async def disable(tx: AsyncSession, boss: Viewer, auth: Auth) -> None:
    now = auth.clock.now()
    await tx.execute(update(User).where(User.id == boss.user_id).values(disabled_at=now))


async def enable(tx: AsyncSession, boss: Viewer, _: Auth) -> None:
    await tx.execute(update(User).where(User.id == boss.user_id).values(disabled_at=None))


async def revoke(tx: AsyncSession, boss: Viewer, auth: Auth) -> None:
    now = auth.clock.now()
    await tx.execute(update(Session).where(Session.id == boss.session_id).values(revoked_at=now))


async def unrevoke(tx: AsyncSession, boss: Viewer, _: Auth) -> None:
    await tx.execute(update(Session).where(Session.id == boss.session_id).values(revoked_at=None))


REMOVED_PERMISSIONS = [
    pytest.param(take_role, give_role, Forbidden, id="role-removed"),
    pytest.param(empty_role, fill_role, Forbidden, id="role-emptied"),
    pytest.param(disable, enable, Unauthenticated, id="disabled"),
    pytest.param(revoke, unrevoke, Unauthenticated, id="session-revoked"),
]
SIGNED_OUT = REMOVED_PERMISSIONS[2:]


async def lock(tx: AsyncSession, boss: Viewer, take_away: Change) -> None:
    """Locks the row that is changed, as the mutation for this change does."""
    rows_of: dict[Change, Select[Any]] = {
        empty_role: select(Role.id).where(Role.id == boss.user.roles[0].id),
        revoke: select(Session.id).where(Session.id == boss.session_id),
    }
    query = rows_of.get(take_away, select(User.id).where(User.id == boss.user_id))
    await tx.execute(query.with_for_update())


@asynccontextmanager
async def waiting(auth: Auth, boss: Viewer, change: Change) -> AsyncIterator[Callable[..., Any]]:
    """Starts requests that wait for locked rows. Commits the change at the end of the block."""
    async with auth.db.begin() as tx:
        await lock(tx, boss, change)

        async def start(request: Awaitable[Any]) -> asyncio.Task[Any]:
            task = asyncio.ensure_future(request)
            await wait_for_lock(auth.db, task)
            return task

        yield start
        await change(tx, boss, auth)


async def refused_while_waiting(
    auth: Auth, scene: Scene, mutation: str, take_away: Change, give_back: Change
) -> list[Any]:
    """Returns the errors of a mutation whose caller loses permissions. It must have no effect."""
    before = await rows(auth)
    async with waiting(auth, scene.viewer, take_away) as start:
        request = await start(run_mutation(auth, scene, mutation))
    result = await request
    async with auth.db.begin() as tx:
        await give_back(tx, scene.viewer, auth)
    assert await rows(auth) == before, mutation
    return [error.original_error for error in result.errors or []]


def test_all_mutations_that_need_permissions_are_covered() -> None:
    needing = {*mutations("requires"), *mutations("authenticated")}
    # `logout` ends its own session, which needs no permission.
    assert needing - {"logout"} == INPUTS.keys()


@pytest.mark.parametrize(("take_away", "give_back", "denial"), REMOVED_PERMISSIONS)
async def test_admin_mutation_is_refused_when_permissions_are_removed_while_it_waits(
    auth: Auth, scene: Scene, take_away: Change, give_back: Change, denial: type[Denial]
) -> None:
    for mutation in mutations("requires"):
        errors = await refused_while_waiting(auth, scene, mutation, take_away, give_back)
        assert [isinstance(error, denial) for error in errors] == [True], mutation


@pytest.mark.parametrize(("take_away", "give_back", "denial"), SIGNED_OUT)
async def test_own_account_mutation_is_refused_when_session_ends_while_it_waits(
    auth: Auth, scene: Scene, take_away: Change, give_back: Change, denial: type[Denial]
) -> None:
    for mutation in set(mutations("authenticated")) - {"logout"}:
        errors = await refused_while_waiting(auth, scene, mutation, take_away, give_back)
        assert [isinstance(error, denial) for error in errors] == [True], mutation


@pytest.mark.parametrize(("take_away", "give_back", "denial"), REMOVED_PERMISSIONS)
async def test_mutation_waits_for_a_manual_change_of_permissions(
    auth: Auth, scene: Scene, take_away: Change, give_back: Change, denial: type[Denial]
) -> None:
    async with auth.db.begin() as tx:
        await take_away(tx, scene.viewer, auth)
        request = asyncio.create_task(run_mutation(auth, scene, "disableUser"))
        await wait_for_lock(auth.db, request)
    errors = (await request).errors
    assert errors
    assert isinstance(errors[0].original_error, denial)


async def test_demoted_admin_cannot_restore_role_with_requests_in_flight(api: Api) -> None:
    auth = api.auth
    boss = await find_user_by_name(auth, BOB.username)
    assert boss
    roles = {role.name: role for role in await find_roles_by_name(auth, ["admin", "user"])}
    for _ in range(5):
        await set_user_roles(auth, OPERATOR, boss.id, [roles["admin"].id])
        device = await Device(api).log_in(BOB)
        restore = {"input": {"userId": str(boss.id), "roleIds": [str(roles["admin"].id)]}}
        await asyncio.gather(
            *(
                api.ask(document_of("setUserRoles"), restore, token=device.access_token)
                for _ in "ab"
            ),
            set_user_roles(auth, OPERATOR, boss.id, [roles["user"].id]),
            *(
                api.ask(document_of("setUserRoles"), restore, token=device.access_token)
                for _ in "ab"
            ),
        )
        demoted = await find_user_by_name(auth, BOB.username)
        assert demoted
        assert [role.name for role in demoted.roles] == ["user"]


async def test_mutation_is_refused_when_its_admin_is_deleted_while_it_waits(
    auth: Auth, scene: Scene
) -> None:
    async with waiting(auth, scene.viewer, delete_account) as start:
        request = await start(run_mutation(auth, scene, "disableUser"))
    errors = (await request).errors
    assert isinstance(errors[0].original_error, Unauthenticated)
    bob = await find_user_by_name(auth, BOB.username)
    assert bob
    assert not bob.disabled


async def delete_account(tx: AsyncSession, boss: Viewer, _: Auth) -> None:
    await tx.execute(delete(UserRole).where(UserRole.user_id == boss.user_id))
    await tx.execute(delete(User).where(User.id == boss.user_id))


async def test_expired_session_is_refused_inside_the_transaction(
    auth: Auth, scene: Scene, clock: ManualClock
) -> None:
    clock.tick(days=400)
    errors = (await run_mutation(auth, scene, "updateProfile")).errors
    assert errors
    assert isinstance(errors[0].original_error, TokenExpired)


async def test_end_all_sessions_does_not_deadlock_with_mutations(api: Api, scene: Scene) -> None:
    auth = api.auth
    admin = await viewer_for(api, ADMIN)
    for _ in range(10):
        await viewer_for(api, BOB)
    acts = [revoke_user_sessions(auth, admin, scene.user_id) for _ in range(5)]
    acts.append(end_all_sessions(auth, OPERATOR))
    acts += [revoke_user_sessions(auth, scene.viewer, admin.user_id) for _ in range(5)]
    outcomes = await asyncio.gather(*acts, return_exceptions=True)
    assert all(isinstance(outcome, int | SessionRevoked) for outcome in outcomes), outcomes


async def test_admins_who_change_each_other_do_not_deadlock(api: Api, scene: Scene) -> None:
    auth, boss = api.auth, scene.viewer
    admin = await viewer_for(api, ADMIN)
    acts = [
        act
        for _ in range(5)
        for act in (
            enable_user(auth, boss, admin.user_id),
            enable_user(auth, admin, boss.user_id),
            update_role(auth, boss, scene.role_id, RoleForm(description="a")),
            update_role(auth, admin, scene.role_id, RoleForm(description="b")),
            update_role(auth, admin, boss.user.roles[0].id, RoleForm(description="c")),
            update_role(auth, boss, boss.user.roles[0].id, RoleForm(description="d")),
            revoke_user_sessions(auth, admin, scene.user_id),
        )
    ]
    outcomes = await asyncio.gather(*acts, return_exceptions=True)
    failed = [o for o in outcomes if isinstance(o, Exception) and not isinstance(o, Forbidden)]
    assert failed == []
