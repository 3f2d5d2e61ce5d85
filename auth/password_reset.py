"""A forgotten password: ask for a link, follow it, choose another; every session ends with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.authorization import authorized, check_may_grant
from auth.clients import Client
from auth.errors import (
    EmailMissing,
    MailUnavailable,
    RateLimited,
)
from auth.mail.operator_budget import count_operator_email
from auth.mail.outbox import EmailKind, queue_email, queue_notice
from auth.names import canonical, parse_email
from auth.password_marks import make_mark, names_of_password, new_password_id
from auth.permissions import Actor, check_may
from auth.reauthentication import check_new_password
from auth.records import UserRecord
from auth.sessions import revoke_sessions_of
from auth.throttling.budgets import (
    RESET,
    RESET_NETWORK,
    RESET_SITE,
    Budget,
    name_budgets,
    network_budgets,
    reduced_reset_budget,
    reset_budgets,
)
from auth.tokens.link_tokens import Purpose
from auth.user_creation import find_owner_of_email
from auth.user_links import begin_request, end_requests, look_at_link, send_link, use_link
from auth.users import select_by_name
from auth.wiring import Auth
from models.session import RevocationReason
from models.user import User


async def request_password_reset(
    auth: Auth, client: Client, *, email: str, proofs: Sequence[str] = ()
) -> None:
    """Has a link sent to the address, if an account has it. The reply never says whether one has.

    The account is looked up after the reply, so that the reply takes as long for an address without
    an account (ASVS 5.0, 6.3.8). Strangers cannot use up what an owner needs: a request during the
    pause after the first few sends nothing, because the link that was sent last still works, and a
    network that has passed its limit still gets links. `proofs` are those of the caller's device,
    which has a budget of its own. Raises MailUnavailable, EmailInvalid.
    """
    if not auth.sends_email:
        raise MailUnavailable
    address = parse_email(email)
    device = await _find_device(auth, address, proofs)
    networks = network_budgets(RESET_NETWORK, RESET_SITE, client.address)
    budgets = [device] if device else [*reset_budgets(address), *networks]
    try:
        sends = await auth.throttle.consume_unless_paused(*budgets)
    except RateLimited:
        # To refuse would let a stranger in the owner's network delay the owner.
        await auth.background.start(_send_sparingly(auth, client, address))
        return
    if sends:
        await _queue(auth, client, address)


async def _send_sparingly(auth: Auth, client: Client, address: str) -> None:
    """Sends a link to an account that got none in the last half hour.

    Writes nothing for an address without an account: a network past its limit could fill the disk.
    """
    budget = reduced_reset_budget(address)
    if await find_owner_of_email(auth, address) and await auth.throttle.consume_unless_paused(
        budget
    ):
        await _queue(auth, client, address)


async def _queue(auth: Auth, client: Client, address: str) -> None:
    async with auth.db.begin() as tx:
        from_where = {"address": client.address or "", "agent": client.user_agent or ""}
        queue_email(tx, auth, EmailKind.PASSWORD_RESET, email=address, **from_where)


async def _find_device(auth: Auth, address: str, proofs: Sequence[str]) -> Budget | None:
    if not auth.devices.any_valid(proofs):
        return None
    columns = User.id, User.password_hash, User.password_mark
    rows = await auth.db.look_up(*select_by_name(address, *columns))
    row: Any = next(iter(rows), None)
    user_id, names = (row.id, names_of_password(row)) if row else (uuid4(), [])
    device = await auth.devices.find(proofs, user_id, names)
    return Budget(RESET, f"{user_id} {device}") if device else None


async def begin_password_reset(auth: Auth, mail_id: UUID, client: Client, email: str) -> bool:
    """Finds whose address it is and writes down that they may reset. False if it is nobody's."""
    async with auth.db.begin() as tx:
        query = select(User).where(User.email_key == canonical(email), User.disabled_at.is_(None))
        user = await tx.scalar(query.with_for_update())
        if user is None:
            return False
        await begin_request(tx, auth, user, Purpose.PASSWORD_RESET, mail_id)
        now = auth.clock.now()
        record(tx, AuditEntry(Action.PASSWORD_RESET_REQUESTED, now, client, subject_id=user.id))
        return True


@dataclass(frozen=True, slots=True)
class PasswordReset:
    """Whose password was reset, and how many sessions ended with it."""

    user_id: UUID
    ended_sessions: int


async def reset_password(auth: Auth, client: Client, *, token: str, new: str) -> PasswordReset:
    """Sets a new password for a caller who has the link. It starts no session.

    Raises LinkInvalid, RateLimited, and Refusals with everything that is wrong
    with the password.
    """
    async with auth.db.read() as session:
        _, user = await look_at_link(session, auth, Purpose.PASSWORD_RESET, token)
    check_new_password(auth, new, username=user.username, email=user.email)
    hashed = await auth.passwords.hash(new)
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        _, row = await use_link(tx, auth, Purpose.PASSWORD_RESET, token)
        return PasswordReset(row.id, await take_over(tx, auth, client, row, hashed, now))


async def take_over(
    tx: AsyncSession, auth: Auth, client: Client, row: User, hashed: str, now: datetime
) -> int:
    """Gives the account to the reader of its mailbox, with the password that they chose.

    Everything that another person may have prepared ends: sessions, links, a pending change of
    address. Returns how many sessions ended.
    """
    row.password_hash = hashed
    row.password_mark = make_mark(new_password_id(), hashed)
    row.password_is_temporary = False
    row.email_verified_at = row.email_verified_at or now
    await _forgive(tx, auth, client, row)
    await end_requests(tx, row.id, *Purpose)
    record(tx, AuditEntry(Action.PASSWORD_RESET, now, client, actor_id=row.id, subject_id=row.id))
    notice = EmailKind.PASSWORD_CHANGED
    queue_notice(tx, auth, notice, user_id=row.id, username=row.username, email=row.email)
    return await revoke_sessions_of(tx, row.id, RevocationReason.PASSWORD_CHANGED, now)


async def _forgive(tx: AsyncSession, auth: Auth, client: Client, row: User) -> None:
    """Guesses at the old password do not delay the owner, nor does the next reset wait."""
    names = [name for name in (row.username, row.email) if name]
    guesses = [budget for name in names for budget in name_budgets(name, client.address)]
    await auth.throttle.reset(tx, *guesses, *reset_budgets(row.email))


async def require_password_reset(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord:
    """Deletes the password of a user, ends their sessions, and sends them a link.

    Raises Forbidden, UserNotFound, EmailMissing, MailUnavailable, RateLimited.
    """
    check_may(actor, "users:write")
    if not auth.sends_email:
        raise MailUnavailable
    async with authorized(
        auth, actor, Action.PASSWORD_RESET_REQUIRED, "users:write", subject_id=user_id
    ) as operation:
        tx, row, now = operation.tx, await operation.get_subject(), operation.at
        user = UserRecord.of(row, auth.permissions)
        check_may_grant(operation.actor, user.roles)
        if row.email is None:
            raise EmailMissing
        await count_operator_email(auth, operation, row.email)
        row.password_hash = None
        await auth.throttle.reset(tx, *reset_budgets(row.email))
        await end_requests(tx, row.id, Purpose.PASSWORD_RESET, Purpose.EMAIL_CHANGE)
        await revoke_sessions_of(tx, row.id, RevocationReason.PASSWORD_RESET_REQUIRED, now)
        await send_link(tx, auth, row, Purpose.PASSWORD_RESET, EmailKind.PASSWORD_RESET_REQUIRED)
    return user
