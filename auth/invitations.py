"""Invitations: an operator asks somebody in, and says which roles they will have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from auth.audit import Act, Action, record
from auth.clients import Client
from auth.errors import EmailTaken
from auth.links import LIFETIMES, LinkToken, Purpose, read_token
from auth.mail_errors import (
    InvitationInvalid,
    InvitationNotFound,
    LinkInvalid,
    MailUnavailable,
)
from auth.names import canonical, parse_email
from auth.new_users import (
    NewUserForm,
    find_owner_of_email,
    insert_user,
    prepare_user,
    telling_taken_names,
)
from auth.outbox import Kind, queue
from auth.pages import Page
from auth.policies import Actor, check_may
from auth.records import RoleRecord, UserRecord
from auth.roles import DEFAULT_ROLE, check_may_grant, find_roles_by_name, get_roles
from auth.wiring import Auth
from models.invitation import Invitation, InvitationRole
from models.role import Role

_WITH_ROLES = selectinload(Invitation.roles).selectinload(Role.permissions)


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An open invitation, as the other floors see it."""

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
    """The invitations of a page, newest first."""

    invitations: list[InvitationRecord]
    has_next: bool
    has_previous: bool


async def create_invitation(
    auth: Auth, actor: Actor, *, email: str, role_ids: Sequence[UUID]
) -> InvitationRecord:
    """Invites somebody by mail, in place of every earlier invitation of this address.

    Raises Forbidden, MailUnavailable, EmailInvalid, EmailTaken, RoleNotFound.
    """
    check_may(actor, "users:write")
    if role_ids:
        check_may(actor, "roles:write")
    if not auth.sends_mail:
        raise MailUnavailable
    address = parse_email(email)
    if await find_owner_of_email(auth, address):
        raise EmailTaken
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        roles = await get_roles(tx, auth.permissions, role_ids)
        check_may_grant(actor, roles)
        # Two operators may invite one person at once: the later invitation holds.
        await auth.db.lock(tx, "invitations")
        await tx.execute(delete(Invitation).where(Invitation.email_key == canonical(address)))
        row = _row(address, now)
        tx.add(row)
        await tx.flush()
        await _add_roles(tx, row.id, [role.id for role in roles])
        queue(tx, auth, Kind.INVITATION, invitation_id=str(row.id))
        details = {"invitation_id": str(row.id)}
        record(tx, Act.by(actor, Action.INVITATION_CREATED, now, details=details))
    return InvitationRecord(row.id, address, tuple(roles), now, row.expires_at)


async def delete_invitation(auth: Auth, actor: Actor, invitation_id: UUID) -> UUID:
    """Withdraws an invitation. Raises Forbidden, InvitationNotFound."""
    check_may(actor, "users:write")
    async with auth.db.begin() as tx:
        row = await tx.get(Invitation, invitation_id, with_for_update=True)
        if row is None:
            raise InvitationNotFound
        await tx.delete(row)
        details = {"invitation_id": str(invitation_id)}
        record(tx, Act.by(actor, Action.INVITATION_DELETED, auth.clock.now(), details=details))
    return invitation_id


async def list_invitations(auth: Auth, actor: Actor, page: Page) -> InvitationSlice:
    """One page of the open invitations, newest first. Raises Forbidden."""
    check_may(actor, "users:read")
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
    """Creates the account of who was invited; the mail has proved their address.

    Raises InvitationInvalid, RateLimited, and Refusals.
    """
    token = _read(invitation)
    async with auth.db.read() as session:
        row = await session.get(Invitation, token.about)
        found = _check(auth, token, row, form)
    # The invitation proves the address that it was sent to, not another one with the same key.
    form = replace(form, email=found.email)
    new = replace(await prepare_user(auth, form), email_verified=True)
    default = await find_roles_by_name(auth, [DEFAULT_ROLE])
    async with telling_taken_names(auth, new.username, new.email), auth.db.begin() as tx:
        row = await tx.get(Invitation, token.about, with_for_update=True, options=[_WITH_ROLES])
        opened = _check(auth, token, row, form)
        role_ids = [role.id for role in opened.roles] or [role.id for role in default]
        await tx.delete(opened)
        user = await insert_user(tx, auth, new, role_ids)
        details = {"invitation_id": str(token.about)}
        record(
            tx,
            Act(Action.USER_REGISTERED, user.created_at, client, user.id, user.id, details=details),
        )
        return UserRecord.of(user, auth.permissions)


def token_for_invitation(auth: Auth, row: Invitation) -> str:
    """The token for the mail."""
    return auth.links.make(Purpose.INVITATION, row.id, row.expires_at, row.email_key)


def _row(email: str, now: datetime) -> Invitation:
    expires_at = now + LIFETIMES[Purpose.INVITATION]
    return Invitation(
        email=email, email_key=canonical(email), created_at=now, expires_at=expires_at
    )


async def _add_roles(tx: AsyncSession, invitation_id: UUID, role_ids: Sequence[UUID]) -> None:
    if role_ids:
        rows = [{"invitation_id": invitation_id, "role_id": role_id} for role_id in role_ids]
        await tx.execute(insert(InvitationRole), rows)


def _read(text: str) -> LinkToken:
    try:
        return read_token(text)
    except LinkInvalid:
        raise InvitationInvalid from None


def _check(auth: Auth, token: LinkToken, row: Invitation | None, form: NewUserForm) -> Invitation:
    if row is None or canonical(form.email or "") != row.email_key:
        raise InvitationInvalid
    try:
        auth.links.check(Purpose.INVITATION, token, auth.clock.now(), row.email_key)
    except LinkInvalid:
        raise InvitationInvalid from None
    return row
