"""Pending registrations: accounts that are created when their email address is verified."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.clients import Client
from auth.errors import LinkInvalid, as_field
from auth.link_passwords import LinkedAccount, TypedPassword, verify_or_choose_password
from auth.mail.outbox import EmailKind, queue_email
from auth.permissions import DEFAULT_ROLE
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.tokens.link_tokens import LIFETIMES, LinkToken, Purpose
from auth.user_creation import NewUser, insert_user, refusing_taken_names
from auth.wiring import Auth
from models.pending_registration import PendingRegistration


async def create_pending_registration(auth: Auth, new: NewUser) -> None:
    """Stores a registration until its address is verified, and sends a link to the address.

    Whether an account already has the address is checked when the email is sent.
    """
    async with auth.db.begin() as tx:
        email_id = queue_email(tx, auth, EmailKind.REGISTRATION)
        assert email_id
        assert new.email
        assert new.password_hash
        tx.add(
            PendingRegistration(
                id=email_id,
                username=new.username,
                email=new.email,
                full_name=new.full_name,
                password_hash=new.password_hash,
                created_at=auth.clock.now(),
            )
        )


def issue_registration_token(auth: Auth, pending: PendingRegistration) -> str:
    """Returns the token for the email. Its lifetime starts now."""
    expires_at = auth.clock.now() + LIFETIMES[Purpose.REGISTRATION]
    return auth.links.issue(Purpose.REGISTRATION, pending.id, expires_at, *_state(pending))


async def finish_registration(
    auth: Auth,
    client: Client,
    token: LinkToken,
    pending: PendingRegistration,
    typed: TypedPassword,
) -> UserRecord:
    """Creates the account, with the password of the registration or a new one.

    Raises LinkInvalid, PasswordRequired, WrongPassword, RateLimited, Refusals.
    """
    auth.links.check(Purpose.REGISTRATION, token, auth.clock.now(), *_state(pending))
    username, email, full_name = pending.username, pending.email, pending.full_name
    account = LinkedAccount(pending.id, username, email, pending.password_hash)
    hashed = await verify_or_choose_password(auth, account, typed)
    new = NewUser(username, email, full_name, hashed, email_verified=True)
    roles = await find_roles_by_name(auth, [DEFAULT_ROLE])
    with as_field("token"):
        async with refusing_taken_names(auth, username, email), auth.db.begin() as tx:
            await _delete_pending(tx, auth, token)
            row = await insert_user(tx, auth, new, [role.id for role in roles])
            entry = AuditEntry(Action.USER_REGISTERED, row.created_at, client, row.id, row.id)
            record(tx, entry)
            return UserRecord.of(row, auth.permissions)


async def _delete_pending(tx: AsyncSession, auth: Auth, token: LinkToken) -> None:
    query = select(PendingRegistration).where(PendingRegistration.id == token.row_id)
    pending = await tx.scalar(query.with_for_update())
    if pending is None:
        raise LinkInvalid
    auth.links.check(Purpose.REGISTRATION, token, auth.clock.now(), *_state(pending))
    await tx.delete(pending)


def _state(pending: PendingRegistration) -> tuple[str | None, ...]:
    return (pending.username, pending.email, pending.password_hash)
