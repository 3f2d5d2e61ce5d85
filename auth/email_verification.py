"""Proving that mail at an address is received: of an account, or of one that is to be."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.authorization import own_account
from auth.clients import Client
from auth.errors import (
    EmailAlreadyVerified,
    EmailMissing,
    LinkInvalid,
    MailUnavailable,
    PasswordChangeRequired,
    WrongPassword,
    as_field,
)
from auth.link_passwords import LinkedAccount, TypedPassword, prove_or_choose_password
from auth.mail.outbox import EmailKind, queue_email
from auth.names import canonical
from auth.password_marks import have_same_password
from auth.password_reset import take_over
from auth.permissions import DEFAULT_ROLE
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.throttling.budgets import VERIFICATION, Budget
from auth.tokens.link_tokens import LIFETIMES, LinkToken, Purpose, read_token
from auth.user_creation import NewUser, insert_user, telling_taken_names
from auth.user_links import end_requests, look_at_link, send_link, use_link
from auth.users import get_row
from auth.viewers import Viewer
from auth.wiring import Auth
from models.pending_registration import PendingRegistration
from models.user import User


async def request_email_verification(auth: Auth, viewer: Viewer) -> None:
    """Has a link sent to one's own address.

    Raises MailUnavailable, EmailMissing, EmailAlreadyVerified, RateLimited.
    """
    user = viewer.user
    if not auth.sends_email:
        raise MailUnavailable
    if user.email is None:
        raise EmailMissing
    if user.email_verified:
        raise EmailAlreadyVerified
    # Only the owner of the account can spend this: strangers cannot use it up.
    await auth.throttle.consume(Budget(VERIFICATION, f"{user.id} {canonical(user.email)}"))
    async with own_account(auth, viewer, Action.EMAIL_VERIFICATION_REQUESTED) as operation:
        tx, row = operation.tx, await operation.get_subject()
        await send_link(tx, auth, row, Purpose.EMAIL_VERIFICATION, EmailKind.EMAIL_VERIFICATION)


async def verify_email(auth: Auth, client: Client, token: str, typed: TypedPassword) -> UserRecord:
    """Verifies an address; a registration that waited for this becomes an account.

    The password has to be typed again, or a new one is chosen. A new one ends every session, since
    a stranger may have chosen the old one. Raises LinkInvalid, PasswordRequired, WrongPassword,
    PasswordChangeRequired, RateLimited, and Refusals if the username has been taken since, or
    with everything that is wrong with the new password.
    """
    read = read_token(token)
    async with auth.db.read() as session:
        pending = await session.get(PendingRegistration, read.about)
    if pending:
        return await _finish_registration(auth, client, read, pending, typed)
    return await _verify_address(auth, client, token, typed)


async def _verify_address(
    auth: Auth, client: Client, token: str, typed: TypedPassword
) -> UserRecord:
    async with auth.db.read() as session:
        link, user = await look_at_link(session, auth, Purpose.EMAIL_VERIFICATION, token)
    account = LinkedAccount(link.id, user.username, user.email, user.password_hash)
    try:
        hashed = await prove_or_choose_password(auth, account, typed)
    except WrongPassword:
        await _record_failure(auth, client, user.id)
        raise
    if user.password_is_temporary and typed.new is None:
        raise PasswordChangeRequired
    chosen = hashed if typed.new is not None else None
    return await _mark_verified(auth, client, token, user, chosen)


async def _mark_verified(
    auth: Auth, client: Client, token: str, proved: User, chosen: str | None
) -> UserRecord:
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        _, row = await use_link(tx, auth, Purpose.EMAIL_VERIFICATION, token)
        if chosen:
            await take_over(tx, auth, client, row, chosen, now)
        elif not have_same_password(proved, row):
            # Another password was set while this one was verified.
            with as_field("password"):
                raise WrongPassword
        row.email_verified_at = now
        await end_requests(tx, row.id, Purpose.EMAIL_VERIFICATION)
        record(
            tx, AuditEntry(Action.EMAIL_VERIFIED, now, client, actor_id=row.id, subject_id=row.id)
        )
        return UserRecord.of(await get_row(tx, row.id), auth.permissions)


async def _record_failure(auth: Auth, client: Client, user_id: UUID) -> None:
    now, action = auth.clock.now(), Action.EMAIL_VERIFIED
    async with auth.db.begin() as tx:
        record(tx, AuditEntry(action, now, client, subject_id=user_id, succeeded=False))


async def hold_registration(auth: Auth, new: NewUser) -> None:
    """Keeps a registration until its address is proved; has a link sent there.

    Whether an account has the address already is asked when the mail is composed.
    """
    async with auth.db.begin() as tx:
        mail_id = queue_email(tx, auth, EmailKind.REGISTRATION)
        assert mail_id
        assert new.email
        assert new.password_hash
        tx.add(
            PendingRegistration(
                id=mail_id,
                username=new.username,
                email=new.email,
                full_name=new.full_name,
                password_hash=new.password_hash,
                created_at=auth.clock.now(),
            )
        )


def token_for_registration(auth: Auth, pending: PendingRegistration) -> str:
    """The token for the mail; its life begins now."""
    expires_at = auth.clock.now() + LIFETIMES[Purpose.REGISTRATION]
    return auth.links.make(Purpose.REGISTRATION, pending.id, expires_at, *_state(pending))


async def _finish_registration(
    auth: Auth,
    client: Client,
    token: LinkToken,
    pending: PendingRegistration,
    typed: TypedPassword,
) -> UserRecord:
    auth.links.check(Purpose.REGISTRATION, token, auth.clock.now(), *_state(pending))
    username, email, full_name = pending.username, pending.email, pending.full_name
    account = LinkedAccount(pending.id, username, email, pending.password_hash)
    hashed = await prove_or_choose_password(auth, account, typed)
    new = NewUser(username, email, full_name, hashed, email_verified=True)
    roles = await find_roles_by_name(auth, [DEFAULT_ROLE])
    with as_field("token"):
        async with telling_taken_names(auth, username, email), auth.db.begin() as tx:
            await _use_up(tx, auth, token)
            row = await insert_user(tx, auth, new, [role.id for role in roles])
            act = AuditEntry(Action.USER_REGISTERED, row.created_at, client, row.id, row.id)
            record(tx, act)
            return UserRecord.of(row, auth.permissions)


async def _use_up(tx: AsyncSession, auth: Auth, token: LinkToken) -> None:
    query = select(PendingRegistration).where(PendingRegistration.id == token.about)
    pending = await tx.scalar(query.with_for_update())
    if pending is None:
        raise LinkInvalid
    auth.links.check(Purpose.REGISTRATION, token, auth.clock.now(), *_state(pending))
    await tx.delete(pending)


def _state(pending: PendingRegistration) -> tuple[str | None, ...]:
    return (pending.username, pending.email, pending.password_hash)
