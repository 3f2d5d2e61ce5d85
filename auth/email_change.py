"""Another e-mail address: confirmed from the new one, told to the old one."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.authorization import own_account
from auth.clients import Client
from auth.errors import (
    MailUnavailable,
    WrongPassword,
    as_field,
)
from auth.link_passwords import LinkedAccount, prove_linked_password
from auth.mail.outbox import EmailKind, queue_notice
from auth.names import canonical, parse_email
from auth.reauthentication import act_on_proof, get_proved, prove_password
from auth.records import UserRecord
from auth.throttling.budgets import (
    EMAIL_CHANGE,
    MAIL,
    MAIL_NETWORK,
    MAIL_SITE,
    Budget,
    network_budgets,
    reset_budgets,
)
from auth.tokens.link_tokens import Purpose
from auth.unproved_emails import find_unproved_holder, release_email
from auth.user_creation import telling_taken_names
from auth.user_links import end_requests, look_at_link, send_link, use_link
from auth.users import get_row, set_email
from auth.viewers import Viewer
from auth.wiring import Auth


async def request_email_change(
    auth: Auth, viewer: Viewer, *, new_email: str, password: str
) -> None:
    """Has a link sent to the new address. Nobody is told whether another account has it.

    Raises MailUnavailable, EmailInvalid, WrongPassword, RateLimited.
    """
    if not auth.sends_email:
        raise MailUnavailable
    with as_field("new_email"):
        address = parse_email(new_email)
    with as_field("password"):
        stored = await prove_password(auth, viewer, password, Action.EMAIL_CHANGE_REQUESTED)
    await auth.throttle.consume(
        Budget(EMAIL_CHANGE, str(viewer.user_id)),
        Budget(MAIL, canonical(address)),
        *network_budgets(MAIL_NETWORK, MAIL_SITE, viewer.client.address),
    )

    async def request(proved: str) -> None:
        async with own_account(auth, viewer, Action.EMAIL_CHANGE_REQUESTED) as operation:
            row = await get_proved(operation, proved)
            purpose, kind = Purpose.EMAIL_CHANGE, EmailKind.EMAIL_CHANGE
            await send_link(operation.tx, auth, row, purpose, kind, email=address)

    with as_field("password"):
        await act_on_proof(auth, viewer, password, stored, request)


async def confirm_email_change(
    auth: Auth, client: Client, token: str, *, password: str | None
) -> UserRecord:
    """Takes the new address, and notifies the old one.

    Needs the password of the account: a reader of the new mailbox who did not ask for the change
    must get neither the account nor have their address stored in it. Raises LinkInvalid,
    PasswordRequired, WrongPassword, RateLimited, and Refusals if another account has proved the
    address since the request: the reader of its mailbox may know. One without proof loses it.
    """
    async with auth.db.read() as session:
        link, user = await look_at_link(session, auth, Purpose.EMAIL_CHANGE, token)
    account = LinkedAccount(link.id, user.username, user.email, user.password_hash)
    try:
        # The link dies with the password, so the transaction finds the one that was proved here.
        await prove_linked_password(auth, account, password)
    except WrongPassword:
        await _record_failure(auth, client, user.id)
        raise
    with as_field("token"):
        async with telling_taken_names(auth, None, link.email, but=user.id), auth.db.begin() as tx:
            return await _take(tx, auth, client, token)


async def _record_failure(auth: Auth, client: Client, user_id: UUID) -> None:
    now, action = auth.clock.now(), Action.EMAIL_CHANGED
    async with auth.db.begin() as tx:
        record(tx, AuditEntry(action, now, client, subject_id=user_id, succeeded=False))


async def _take(tx: AsyncSession, auth: Auth, client: Client, token: str) -> UserRecord:
    link, row = await use_link(tx, auth, Purpose.EMAIL_CHANGE, token)
    assert link.email
    old, now = row.email, auth.clock.now()
    details = await release_email(tx, await find_unproved_holder(tx, link.email, but=row.id))
    set_email(row, link.email, verified_at=now)
    await auth.throttle.reset(tx, *reset_budgets(link.email))
    row.version += 1
    # Links that were sent to the old address.
    await end_requests(tx, row.id, *Purpose)
    record(tx, AuditEntry(Action.EMAIL_CHANGED, now, client, row.id, row.id, details=details))
    notice = EmailKind.EMAIL_CHANGED
    queue_notice(tx, auth, notice, user_id=row.id, username=row.username, email=old)
    await tx.flush()
    return UserRecord.of(await get_row(tx, row.id), auth.permissions)
