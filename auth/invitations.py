"""Invitations: an admin invites an email address and chooses the roles of the new user."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from auth.audit import Action, AuditEntry, record
from auth.authorization import (
    authorized,
    check_may_all,
    check_may_grant,
    lock_users,
    read_authority,
)
from auth.clients import CONSOLE, Client
from auth.errors import (
    Denial,
    EmailTaken,
    InvitationInvalid,
    InvitationNotFound,
    LinkInvalid,
    MailUnavailable,
    RoleNotFound,
)
from auth.list_pages import Page
from auth.mail.admin_budget import count_admin_email
from auth.mail.outbox import EmailKind, queue_email
from auth.names import canonical, parse_email
from auth.permissions import DEFAULT_ROLE, Actor, Console, Permission, check_may
from auth.records import RoleRecord, UserRecord
from auth.roles import find_roles_by_name, get_roles
from auth.tokens.link_tokens import LIFETIMES, LinkToken, Purpose, parse_link_token
from auth.unverified_emails import can_be_verified, find_unverified_holder, release_email
from auth.user_creation import (
    NewUserForm,
    insert_user,
    permissions_to_add_user,
    prepare_user,
    refusing_taken_names,
)
from auth.wiring import Auth
from models.invitation import Invitation, InvitationRole
from models.role import Role

_WITH_ROLES = selectinload(Invitation.roles).selectinload(Role.permissions)


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An open invitation."""

    id: UUID
    email: str
    roles: tuple[RoleRecord, ...]
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: Invitation, auth: Auth) -> "InvitationRecord":
        """Reads a row that was loaded with its roles."""
        roles = tuple(RoleRecord.of(role, auth.permissions) for role in row.roles)
        return cls(row.id, row.email, roles, row.created_at, row.expires_at)


@dataclass(frozen=True, slots=True)
class InvitationSlice:
    """A page of invitations, newest first."""

    invitations: list[InvitationRecord]
    has_next: bool
    has_previous: bool


async def create_invitation(
    auth: Auth, actor: Actor, *, email: str, role_ids: Sequence[UUID]
) -> InvitationRecord:
    """Sends an invitation, which replaces earlier invitations of this address.

    Raises Forbidden, MailUnavailable, EmailInvalid, EmailTaken, RoleNotFound, RateLimited.
    """
    needed = permissions_to_add_user(role_ids)
    check_may_all(actor, needed)
    if not auth.sends_email:
        raise MailUnavailable
    address = parse_email(email)
    if not await can_be_verified(auth, address):
        raise EmailTaken
    async with authorized(auth, actor, Action.INVITATION_CREATED, *needed) as operation:
        tx, now = operation.tx, operation.at
        roles = await get_roles(tx, auth.permissions, role_ids)
        check_may_grant(operation.actor, roles)
        # Two admins may invite an address at the same time: the later invitation counts.
        await auth.db.lock(tx, "invitations")
        await count_admin_email(auth, operation, address)
        await tx.execute(delete(Invitation).where(Invitation.email_key == canonical(address)))
        row = _new_row(address, now, operation.actor)
        tx.add(row)
        await tx.flush()
        await _add_roles(tx, row.id, [role.id for role in roles])
        queue_email(tx, auth, EmailKind.INVITATION, invitation_id=str(row.id))
        operation.details["invitation_id"] = str(row.id)
    return InvitationRecord(row.id, address, tuple(roles), now, row.expires_at)


async def delete_invitation(auth: Auth, actor: Actor, invitation_id: UUID) -> UUID:
    """Deletes an invitation. Raises Forbidden, InvitationNotFound."""
    async with authorized(
        auth, actor, Action.INVITATION_DELETED, Permission.USERS_WRITE
    ) as operation:
        row = await operation.tx.get(Invitation, invitation_id, with_for_update=True)
        if row is None:
            raise InvitationNotFound
        await operation.tx.delete(row)
        operation.details["invitation_id"] = str(invitation_id)
    return invitation_id


async def list_invitations(auth: Auth, actor: Actor, page: Page) -> InvitationSlice:
    """Returns a page of the open invitations, newest first. Raises Forbidden."""
    check_may(actor, Permission.USERS_READ)
    query = select(Invitation).where(Invitation.expires_at > auth.clock.now())
    if page.after is not None:
        query = query.where(Invitation.id < page.after)
    query = query.order_by(Invitation.id.desc()).limit(page.limit + 1).options(_WITH_ROLES)
    async with auth.db.read() as session:
        rows = list(await session.scalars(query))
    found = [InvitationRecord.of(row, auth) for row in rows[: page.limit]]
    return InvitationSlice(found, len(rows) > page.limit, page.after is not None)


async def register_invited(
    auth: Auth, client: Client, form: NewUserForm, invitation: str
) -> UserRecord:
    """Creates an account with the roles of the invitation. The email has verified the address.

    An account that has the address but did not verify it loses the address. Raises
    InvitationInvalid, RateLimited, Refusals.
    """
    token = _parse_token(invitation)
    async with auth.db.read() as session:
        row = await session.get(Invitation, token.row_id)
        found = _check_invitation(auth, token, row, form)
    inviter = _inviter(auth, found)
    # The invitation verifies the address that it was sent to, not another one with the same key.
    form = replace(form, email=found.email)
    prepared = await prepare_user(auth, form, reports_taken_email=False)
    new = replace(prepared, email_verified=True)
    default = await find_roles_by_name(auth, [DEFAULT_ROLE])
    async with refusing_taken_names(auth, new.username, new.email), auth.db.begin() as tx:
        holder_id = await find_unverified_holder(tx, found.email)
        await lock_users(tx, inviter, holder_id)
        row = await tx.get(Invitation, token.row_id, with_for_update=True, options=[_WITH_ROLES])
        invited = _check_invitation(auth, token, row, form)
        if not await _inviter_may(tx, auth, invited, await _lock_roles(tx, auth, invited)):
            raise InvitationInvalid
        role_ids = [role.id for role in invited.roles] or [role.id for role in default]
        await tx.delete(invited)
        details = {"invitation_id": str(token.row_id)} | await release_email(tx, holder_id)
        user = await insert_user(tx, auth, new, role_ids)
        record(
            tx,
            AuditEntry(
                Action.USER_REGISTERED, user.created_at, client, user.id, user.id, details=details
            ),
        )
        return UserRecord.of(user, auth.permissions)


async def find_valid_invitation(
    session: AsyncSession, auth: Auth, invitation_id: UUID
) -> Invitation | None:
    """Returns the invitation; None if it expired or the inviter may no longer send it."""
    row = await session.get(Invitation, invitation_id, options=[_WITH_ROLES])
    if row is None or row.expires_at <= auth.clock.now():
        return None
    roles = [RoleRecord.of(role, auth.permissions) for role in row.roles]
    return row if await _inviter_may(session, auth, row, roles) else None


async def _inviter_may(
    session: AsyncSession, auth: Auth, row: Invitation, roles: Sequence[RoleRecord]
) -> bool:
    """Returns whether the inviter may still invite and grant these roles."""
    try:
        inviter = await read_authority(session, auth, _inviter(auth, row))
        check_may_all(inviter, permissions_to_add_user(roles))
        check_may_grant(inviter, roles)
    except (Denial, InvitationInvalid):
        return False
    return True


async def _lock_roles(tx: AsyncSession, auth: Auth, row: Invitation) -> list[RoleRecord]:
    """Locks the roles of the invitation and returns them. Raises InvitationInvalid."""
    try:
        return await get_roles(tx, auth.permissions, [role.id for role in row.roles])
    except RoleNotFound:
        # A role was deleted since the row was read.
        raise InvitationInvalid from None


def issue_invitation_token(auth: Auth, row: Invitation) -> str:
    """Returns the token for the email."""
    return auth.links.issue(Purpose.INVITATION, row.id, row.expires_at, row.email_key)


@dataclass(frozen=True, slots=True)
class _Inviter:
    """The admin who sent the invitation, without the session of that time."""

    user_id: UUID
    session_id: None = None
    client: Client = CONSOLE
    permissions: frozenset[str] = frozenset()


def _inviter(auth: Auth, row: Invitation) -> Actor:
    if row.from_console:
        return Console(auth.permissions)
    if row.invited_by is None:
        # A process of an older version stored the row.
        raise InvitationInvalid
    return _Inviter(row.invited_by)


def _new_row(email: str, now: datetime, inviter: Actor) -> Invitation:
    return Invitation(
        email=email,
        email_key=canonical(email),
        created_at=now,
        expires_at=now + LIFETIMES[Purpose.INVITATION],
        invited_by=inviter.user_id,
        from_console=inviter.user_id is None,
    )


async def _add_roles(tx: AsyncSession, invitation_id: UUID, role_ids: Sequence[UUID]) -> None:
    if role_ids:
        rows = [{"invitation_id": invitation_id, "role_id": role_id} for role_id in role_ids]
        await tx.execute(insert(InvitationRole), rows)


def _parse_token(text: str) -> LinkToken:
    try:
        return parse_link_token(text)
    except LinkInvalid:
        raise InvitationInvalid from None


def _check_invitation(
    auth: Auth, token: LinkToken, row: Invitation | None, form: NewUserForm
) -> Invitation:
    if row is None or canonical(form.email or "") != row.email_key:
        raise InvitationInvalid
    try:
        auth.links.check(Purpose.INVITATION, token, auth.clock.now(), row.email_key)
    except LinkInvalid:
        raise InvitationInvalid from None
    return row
