"""Email verification: the user follows a link to prove access to the mailbox."""

from uuid import UUID

from auth.audit import Action, AuditEntry, record
from auth.authorization import own_account
from auth.clients import Client
from auth.errors import (
    EmailAlreadyVerified,
    EmailMissing,
    MailUnavailable,
    PasswordChangeRequired,
    WrongPassword,
    as_field,
)
from auth.link_passwords import LinkedAccount, TypedPassword, verify_or_choose_password
from auth.mail.outbox import EmailKind
from auth.names import canonical
from auth.password_marks import have_same_password
from auth.password_reset import set_password_by_link
from auth.pending_registrations import finish_registration
from auth.records import UserRecord
from auth.throttling.budgets import VERIFICATION, Budget
from auth.tokens.link_tokens import Purpose, parse_link_token
from auth.user_links import end_links, get_link, get_link_for_update, send_link
from auth.users import get_row
from auth.viewers import Viewer
from auth.wiring import Auth
from models.pending_registration import PendingRegistration
from models.user import User


async def request_email_verification(auth: Auth, viewer: Viewer) -> None:
    """Sends a link to the viewer's address.

    Raises MailUnavailable, EmailMissing, EmailAlreadyVerified, RateLimited.
    """
    user = viewer.user
    if not auth.sends_email:
        raise MailUnavailable
    if user.email is None:
        raise EmailMissing
    if user.email_verified:
        raise EmailAlreadyVerified
    # Only the user can spend this budget, so strangers cannot exhaust it.
    await auth.throttle.consume(Budget(VERIFICATION, f"{user.id} {canonical(user.email)}"))
    async with own_account(auth, viewer, Action.EMAIL_VERIFICATION_REQUESTED) as operation:
        tx, row = operation.tx, await operation.get_subject()
        await send_link(tx, auth, row, Purpose.EMAIL_VERIFICATION, EmailKind.EMAIL_VERIFICATION)


async def verify_email(auth: Auth, client: Client, token: str, typed: TypedPassword) -> UserRecord:
    """Verifies an address. A pending registration becomes an account.

    Needs the password of the account, or a new one. A new password ends all sessions, because a
    stranger may have chosen the old one. Raises LinkInvalid, PasswordRequired, WrongPassword,
    PasswordChangeRequired, RateLimited, and Refusals if the username is taken or with all problems
    of the new password.
    """
    read = parse_link_token(token)
    async with auth.db.read() as session:
        pending = await session.get(PendingRegistration, read.row_id)
    if pending:
        return await finish_registration(auth, client, read, pending, typed)
    return await _verify_address(auth, client, token, typed)


async def _verify_address(
    auth: Auth, client: Client, token: str, typed: TypedPassword
) -> UserRecord:
    async with auth.db.read() as session:
        link, user = await get_link(session, auth, Purpose.EMAIL_VERIFICATION, token)
    account = LinkedAccount(link.id, user.username, user.email, user.password_hash)
    try:
        hashed = await verify_or_choose_password(auth, account, typed)
    except WrongPassword:
        await _record_failure(auth, client, user.id)
        raise
    if user.password_is_temporary and typed.new is None:
        raise PasswordChangeRequired
    chosen = hashed if typed.new is not None else None
    return await _mark_verified(auth, client, token, user, chosen)


async def _mark_verified(
    auth: Auth, client: Client, token: str, verified: User, chosen: str | None
) -> UserRecord:
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        _, row = await get_link_for_update(tx, auth, Purpose.EMAIL_VERIFICATION, token)
        if chosen:
            await set_password_by_link(tx, auth, client, row, chosen, now)
        elif not have_same_password(verified, row):
            # Another password was set while this one was verified.
            with as_field("password"):
                raise WrongPassword
        row.email_verified_at = now
        await end_links(tx, row.id, Purpose.EMAIL_VERIFICATION)
        record(
            tx, AuditEntry(Action.EMAIL_VERIFIED, now, client, actor_id=row.id, subject_id=row.id)
        )
        return UserRecord.of(await get_row(tx, row.id), auth.permissions)


async def _record_failure(auth: Auth, client: Client, user_id: UUID) -> None:
    now, action = auth.clock.now(), Action.EMAIL_VERIFIED
    async with auth.db.begin() as tx:
        record(tx, AuditEntry(action, now, client, subject_id=user_id, succeeded=False))
