"""Email change: confirmed from the new address, with a notice to the old address."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.authorization import own_account
from auth.clients import Client
from auth.errors import MailUnavailable, WrongPassword, as_field
from auth.link_passwords import LinkedAccount, verify_linked_password
from auth.mail.outbox import EmailKind, queue_notice
from auth.names import parse_email
from auth.reauthentication import get_verified_row, retry_if_hash_renewed, verify_current_password
from auth.records import UserRecord
from auth.throttling.budgets import EMAIL_CHANGE, Budget, email_budgets, reset_budgets
from auth.tokens.link_tokens import Purpose
from auth.unverified_emails import find_unverified_holder, release_email
from auth.user_creation import refusing_taken_names
from auth.user_links import end_links, get_link, get_link_for_update, send_link
from auth.users import get_row, set_email
from auth.viewers import Viewer
from auth.wiring import Auth


async def request_email_change(
    auth: Auth, viewer: Viewer, *, new_email: str, password: str
) -> None:
    """Sends a link to the new address. The reply does not show whether another account has it.

    Raises MailUnavailable, EmailInvalid, WrongPassword, RateLimited.
    """
    if not auth.sends_email:
        raise MailUnavailable
    with as_field("new_email"):
        address = parse_email(new_email)
    with as_field("password"):
        stored = await verify_current_password(
            auth, viewer, password, Action.EMAIL_CHANGE_REQUESTED
        )
    await auth.throttle.consume(
        Budget(EMAIL_CHANGE, str(viewer.user_id)),
        *email_budgets(address, viewer.client.address),
    )

    async def request(verified_hash: str) -> None:
        async with own_account(auth, viewer, Action.EMAIL_CHANGE_REQUESTED) as operation:
            row = await get_verified_row(operation, verified_hash)
            purpose, kind = Purpose.EMAIL_CHANGE, EmailKind.EMAIL_CHANGE
            await send_link(operation.tx, auth, row, purpose, kind, email=address)

    with as_field("password"):
        await retry_if_hash_renewed(auth, viewer, password, stored, request)


async def confirm_email_change(
    auth: Auth, client: Client, token: str, *, password: str | None
) -> UserRecord:
    """Changes the address and notifies the old address.

    Needs the password of the account. Otherwise a reader of the new mailbox, who may not have
    requested the change, could take the account over. An account that has the address but did not
    verify it loses the address. Raises LinkInvalid, PasswordRequired, WrongPassword, RateLimited,
    and Refusals if another account has verified the address since the request.
    """
    async with auth.db.read() as session:
        link, user = await get_link(session, auth, Purpose.EMAIL_CHANGE, token)
    account = LinkedAccount(link.id, user.username, user.email, user.password_hash)
    try:
        # The link ends when the password changes: the transaction finds the password verified here.
        await verify_linked_password(auth, account, password)
    except WrongPassword:
        await _record_failure(auth, client, user.id)
        raise
    with as_field("token"):
        async with (
            refusing_taken_names(auth, None, link.email, except_for=user.id),
            auth.db.begin() as tx,
        ):
            return await _change(tx, auth, client, token)


async def _record_failure(auth: Auth, client: Client, user_id: UUID) -> None:
    now, action = auth.clock.now(), Action.EMAIL_CHANGED
    async with auth.db.begin() as tx:
        record(tx, AuditEntry(action, now, client, subject_id=user_id, succeeded=False))


async def _change(tx: AsyncSession, auth: Auth, client: Client, token: str) -> UserRecord:
    link, row = await get_link_for_update(tx, auth, Purpose.EMAIL_CHANGE, token)
    assert link.email
    old, now = row.email, auth.clock.now()
    details = await release_email(
        tx, await find_unverified_holder(tx, link.email, except_for=row.id)
    )
    set_email(row, link.email, verified_at=now)
    await auth.throttle.reset(tx, *reset_budgets(link.email))
    row.version += 1
    # These links were sent to the old address.
    await end_links(tx, row.id, *Purpose)
    record(tx, AuditEntry(Action.EMAIL_CHANGED, now, client, row.id, row.id, details=details))
    queue_notice(tx, auth, EmailKind.EMAIL_CHANGED, row, old)
    await tx.flush()
    return UserRecord.of(await get_row(tx, row.id), auth.permissions)
