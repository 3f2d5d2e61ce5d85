"""Password reset: request a link, follow it, choose a new password. All sessions end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.authorization import managed_user
from auth.clients import Client
from auth.errors import EmailMissing, MailUnavailable, RateLimited
from auth.mail.outbox import EmailKind, queue_email, queue_notice
from auth.names import canonical, parse_email
from auth.password_marks import list_password_identifiers, set_password
from auth.permissions import Actor, Permission, check_may
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
from auth.user_creation import find_email_holder
from auth.user_links import (
    create_link,
    end_links,
    get_link,
    get_link_for_update,
    send_operator_link,
)
from auth.users import is_named
from auth.wiring import Auth
from models.session import RevocationReason
from models.user import User


async def request_password_reset(
    auth: Auth, client: Client, *, email: str, proofs: Sequence[str] = ()
) -> None:
    """Sends a link to the address if an account has it. The reply does not show whether one has.

    The account is looked up after the reply, so that the reply takes the same time for every
    address (ASVS 5.0, 6.3.8). Strangers cannot block the user: during the pause after the first
    requests the last link still works, and a network past its limit still gets links. `proofs` are
    those of the caller's device, which has a separate budget. Raises MailUnavailable, EmailInvalid.
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
        # A refusal would let a stranger in the same network block the user.
        await auth.background.start(_send_within_reduced_budget(auth, client, address))
        return
    if sends:
        await _queue_reset_email(auth, client, address)


async def _send_within_reduced_budget(auth: Auth, client: Client, address: str) -> None:
    """Sends a link if the address has an account, and no link in the last half hour.

    Stores nothing for other addresses, so that a network past its limit cannot fill the table.
    """
    budget = reduced_reset_budget(address)
    if await find_email_holder(auth, address) and await auth.throttle.consume_unless_paused(budget):
        await _queue_reset_email(auth, client, address)


async def _queue_reset_email(auth: Auth, client: Client, address: str) -> None:
    async with auth.db.begin() as tx:
        caller = {"address": client.address or "", "agent": client.user_agent or ""}
        queue_email(tx, auth, EmailKind.PASSWORD_RESET, email=address, **caller)


async def _find_device(auth: Auth, address: str, proofs: Sequence[str]) -> Budget | None:
    if not auth.devices.any_valid(proofs):
        return None
    columns: tuple[Any, ...] = (User.id, User.password_hash, User.password_mark)
    rows = await auth.db.look_up(select(*columns).where(is_named(address)))
    row: Any = next(iter(rows), None)
    user_id, names = (row.id, list_password_identifiers(row)) if row else (uuid4(), [])
    device = await auth.devices.find(proofs, user_id, names)
    return Budget(RESET, f"{user_id} {device}") if device else None


async def start_password_reset(auth: Auth, email_id: UUID, client: Client, email: str) -> bool:
    """Stores a link for the user with this address. Returns False if there is no such user."""
    async with auth.db.begin() as tx:
        query = select(User).where(User.email_key == canonical(email), User.disabled_at.is_(None))
        user = await tx.scalar(query.with_for_update())
        if user is None:
            return False
        await create_link(tx, auth, user, Purpose.PASSWORD_RESET, email_id)
        now = auth.clock.now()
        record(tx, AuditEntry(Action.PASSWORD_RESET_REQUESTED, now, client, subject_id=user.id))
        return True


@dataclass(frozen=True, slots=True)
class PasswordReset:
    """The user whose password was reset, and how many sessions ended."""

    user_id: UUID
    ended_sessions: int


async def reset_password(auth: Auth, client: Client, *, token: str, new: str) -> PasswordReset:
    """Sets a new password for a caller who has the link. Does not start a session.

    Raises LinkInvalid, RateLimited, and Refusals with all problems of the password.
    """
    async with auth.db.read() as session:
        _, user = await get_link(session, auth, Purpose.PASSWORD_RESET, token)
    auth.password_policy.check(new, username=user.username, email=user.email, field="new_password")
    hashed = await auth.passwords.hash(new)
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        _, row = await get_link_for_update(tx, auth, Purpose.PASSWORD_RESET, token)
        return PasswordReset(row.id, await set_password_by_link(tx, auth, client, row, hashed, now))


async def set_password_by_link(
    tx: AsyncSession, auth: Auth, client: Client, row: User, hashed: str, now: datetime
) -> int:
    """Sets the password that the reader of the mailbox chose. Returns how many sessions ended.

    Ends all that a stranger may have prepared: sessions, links, a pending email change.
    """
    set_password(row, hashed)
    row.email_verified_at = row.email_verified_at or now
    await _reset_throttle(tx, auth, client, row)
    await end_links(tx, row.id, *Purpose)
    record(tx, AuditEntry(Action.PASSWORD_RESET, now, client, actor_id=row.id, subject_id=row.id))
    queue_notice(tx, auth, EmailKind.PASSWORD_CHANGED, row, row.email)
    return await revoke_sessions_of(tx, row.id, RevocationReason.PASSWORD_CHANGED, now)


async def _reset_throttle(tx: AsyncSession, auth: Auth, client: Client, row: User) -> None:
    """Forgets guesses at the old password and earlier requests for a reset."""
    names = [name for name in (row.username, row.email) if name]
    guesses = [budget for name in names for budget in name_budgets(name, client.address)]
    await auth.throttle.reset(tx, *guesses, *reset_budgets(row.email))


async def require_password_reset(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord:
    """Deletes the password of a user, ends their sessions, and sends a link.

    Raises Forbidden, UserNotFound, EmailMissing, MailUnavailable, RateLimited.
    """
    check_may(actor, Permission.USERS_WRITE)
    if not auth.sends_email:
        raise MailUnavailable
    action = Action.PASSWORD_RESET_REQUIRED
    async with managed_user(auth, actor, action, user_id) as (operation, row):
        tx, now = operation.tx, operation.at
        if row.email is None:
            raise EmailMissing
        row.password_hash = None
        await auth.throttle.reset(tx, *reset_budgets(row.email))
        await end_links(tx, row.id, Purpose.PASSWORD_RESET, Purpose.EMAIL_CHANGE)
        await revoke_sessions_of(tx, row.id, RevocationReason.PASSWORD_RESET_REQUIRED, now)
        purpose, kind = Purpose.PASSWORD_RESET, EmailKind.PASSWORD_RESET_REQUIRED
        await send_operator_link(auth, operation, row, purpose, kind)
        return UserRecord.of(row, auth.permissions)
