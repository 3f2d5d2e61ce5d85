"""An invitation is valid while its inviter has the permissions to send it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.account_deletion import delete_user
from auth.clients import Client
from auth.errors import InvitationInvalid
from auth.invitations import InvitationRecord, create_invitation, issue_invitation_token
from auth.mail.outbox import EmailKind
from auth.mail_delivery.composer import MessageComposer, QueuedEmail
from auth.records import RoleRecord
from auth.registration import register
from auth.role_edits import RoleForm, create_role, update_role
from auth.roles import find_roles_by_name
from auth.user_access import disable_user, set_user_roles
from auth.user_creation import NewUserForm
from auth.users import find_user_by_name
from auth.viewers import Viewer, get_viewer
from auth.wiring import Auth
from models.invitation import Invitation, InvitationRole
from models.role import Role, RolePermission
from tests.accounts import BOB, OPERATOR
from tests.api import Api
from tests.databases import wait_for_lock

ADDRESS = "carol@example.com"
INVITING = ["users:write", "roles:write", "users:read"]


@dataclass(frozen=True)
class Inviter:
    """Bob, who may invite because of a custom role, and grants another role."""

    viewer: Viewer
    own_role: RoleRecord
    given_role: RoleRecord


@pytest.fixture
async def inviter(api: Api) -> Inviter:
    own = await create_role(api.auth, OPERATOR, RoleForm("inviter", "", INVITING))
    given = await create_role(api.auth, OPERATOR, RoleForm("reader", "", ["users:read"]))
    bob = await find_user_by_name(api.auth, BOB.username)
    assert bob
    await set_user_roles(api.auth, OPERATOR, bob.id, [own.id])
    return Inviter(await get_viewer(api.auth, Client(), await api.log_in(BOB)), own, given)


async def invite(auth: Auth, inviter: Inviter, *role_ids: UUID) -> InvitationRecord:
    return await create_invitation(auth, inviter.viewer, email=ADDRESS, role_ids=role_ids)


async def accept(auth: Auth, invitation: InvitationRecord) -> list[str]:
    """Registers by the link of the invitation. Returns the names of the roles."""
    async with auth.db.read() as session:
        token = issue_invitation_token(auth, await session.get_one(Invitation, invitation.id))
    form = NewUserForm("carol", ADDRESS, None, "a password of my own")
    user = await register(auth, Client(), form, token)
    assert user
    return [role.name for role in user.roles]


Change = Callable[[Auth, Inviter], Awaitable[object]]


async def demote(auth: Auth, inviter: Inviter) -> None:
    await set_user_roles(auth, OPERATOR, inviter.viewer.user_id, [])


async def disable(auth: Auth, inviter: Inviter) -> None:
    await disable_user(auth, OPERATOR, inviter.viewer.user_id)


async def delete_inviter(auth: Auth, inviter: Inviter) -> None:
    await delete_user(auth, OPERATOR, inviter.viewer.user_id)


async def remove_roles_write(auth: Auth, inviter: Inviter) -> None:
    form = RoleForm(permissions=["users:write", "users:read"])
    await update_role(auth, OPERATOR, inviter.own_role.id, form)


async def remove_granted_permission(auth: Auth, inviter: Inviter) -> None:
    form = RoleForm(permissions=["users:write", "roles:write"])
    await update_role(auth, OPERATOR, inviter.own_role.id, form)


async def extend_granted_role(auth: Auth, inviter: Inviter) -> None:
    form = RoleForm(permissions=["users:read", "audit:read"])
    await update_role(auth, OPERATOR, inviter.given_role.id, form)


CHANGES = [
    demote,
    disable,
    delete_inviter,
    remove_roles_write,
    remove_granted_permission,
    extend_granted_role,
]


@pytest.mark.parametrize("change", CHANGES)
async def test_invitation_is_refused_if_the_inviter_may_not_grant_its_roles(
    api: Api, inviter: Inviter, change: Change
) -> None:
    invitation = await invite(api.auth, inviter, inviter.given_role.id)
    await change(api.auth, inviter)
    with pytest.raises(InvitationInvalid):
        await accept(api.auth, invitation)
    assert await find_user_by_name(api.auth, "carol") is None


@pytest.mark.parametrize("change", [demote, disable, delete_inviter])
async def test_invitation_without_roles_is_refused_if_the_inviter_may_not_invite(
    api: Api, inviter: Inviter, change: Change
) -> None:
    invitation = await invite(api.auth, inviter)
    await change(api.auth, inviter)
    with pytest.raises(InvitationInvalid):
        await accept(api.auth, invitation)


async def test_invitation_grants_its_roles(api: Api, inviter: Inviter) -> None:
    invitation = await invite(api.auth, inviter, inviter.given_role.id)
    assert await accept(api.auth, invitation) == ["reader"]


async def test_invitation_that_is_not_valid_is_not_sent(api: Api, inviter: Inviter) -> None:
    invitation = await invite(api.auth, inviter)
    letters = MessageComposer(api.auth, "https://example.com")
    draft = QueuedEmail(invitation.id, EmailKind.INVITATION, {"invitation_id": str(invitation.id)})
    assert await letters.compose(draft)
    await demote(api.auth, inviter)
    assert await letters.compose(draft) is None


async def extend(tx: AsyncSession, role: RoleRecord) -> None:
    await tx.execute(insert(RolePermission), [{"role_id": role.id, "permission": "audit:read"}])


async def remove(tx: AsyncSession, role: RoleRecord) -> None:
    await tx.execute(delete(RolePermission).where(RolePermission.role_id == role.id))
    await tx.execute(delete(InvitationRole).where(InvitationRole.role_id == role.id))
    await tx.execute(delete(Role).where(Role.id == role.id))


@pytest.mark.parametrize("change", [extend, remove])
async def test_role_changed_during_the_registration_is_not_granted(
    api: Api, inviter: Inviter, change: Callable[[AsyncSession, RoleRecord], Awaitable[None]]
) -> None:
    invitation = await invite(api.auth, inviter, inviter.given_role.id)
    async with api.auth.db.begin() as tx:
        role = select(Role.id).where(Role.id == inviter.given_role.id)
        await tx.execute(role.with_for_update())
        accepting = asyncio.create_task(accept(api.auth, invitation))
        await wait_for_lock(api.auth.db, accepting)
        await change(tx, inviter.given_role)
    # On SQLite the registration runs after the deletion, and grants the default role.
    with suppress(InvitationInvalid):
        assert "reader" not in await accepting


async def test_invitation_from_the_console_works(api: Api) -> None:
    (admin,) = await find_roles_by_name(api.auth, ["admin"])
    invitation = await create_invitation(api.auth, OPERATOR, email=ADDRESS, role_ids=[admin.id])
    assert await accept(api.auth, invitation) == ["admin"]


async def test_invitation_of_an_unknown_inviter_is_refused(api: Api, inviter: Inviter) -> None:
    """A process of an older version stores such rows during a rolling upgrade."""
    invitation = await invite(api.auth, inviter)
    async with api.auth.db.begin() as tx:
        await tx.execute(update(Invitation).values(invited_by=None))
    with pytest.raises(InvitationInvalid):
        await accept(api.auth, invitation)
