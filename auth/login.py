"""Log in: prove a password, start a session."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import starmap
from uuid import UUID, uuid4

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from auth.audit import Act, Action, record, record_all
from auth.clients import Client
from auth.errors import (
    AccountDisabled,
    AuthError,
    InvalidCredentials,
    PasswordChangeRequired,
    RateLimited,
    Refusal,
    Refusals,
    TemporaryPasswordExpired,
)
from auth.names import lookup_key
from auth.outbox import Kind, queue_notice
from auth.passwords import normalise
from auth.reauthentication import check_new_password
from auth.records import UserRecord
from auth.sessions import start_session
from auth.temporary_passwords import has_expired
from auth.throttling import ACCOUNT, NETWORK, Budget, budget_of_account, network_of
from auth.token_pairs import SignedIn, issue_pair
from auth.users import USER_BY_ID, select_by_name
from auth.wiring import Auth
from models.base import Base
from models.session import Session
from models.user import User

_RECENT_SESSIONS = 50


async def log_in(
    auth: Auth, client: Client, *, username: str, password: str, new_password: str | None = None
) -> SignedIn:
    """Starts a session for whoever proves the password.

    `username` may be the e-mail address. A password that an operator chose is good only for
    choosing another: `new_password`, which means nothing otherwise. Raises InvalidCredentials,
    AccountDisabled, PasswordChangeRequired, TemporaryPasswordExpired (these only to who knows the
    password), RateLimited, and Refusals with everything that is wrong with the new password.
    """
    with auth.passwords.place_in_queue():
        found = await _find_credentials(auth, username)
        budgets = await _budgets(auth, client, username, found)
        wait = await auth.throttle.attempt(*budgets)
    # One path for everybody: unknown, disabled and password-less accounts cost a hash too.
    stored = found.password_hash if found else None
    try:
        verified = await auth.passwords.verify(password, stored)
    except RateLimited:
        # Nothing was guessed: too many are waiting.
        await auth.throttle.forgive(*budgets)
        raise
    if found is None or stored is None or not verified:
        await _record_failure(auth, client, found, "wrong_credentials", wait)
        raise InvalidCredentials
    try:
        kept = await _hash_to_keep(auth, found, password, new_password)
        user, session = await _start(auth, client, found, kept, budgets)
    except (Refusal, Refusals) as refused:
        # The password was right, whatever else was not.
        await auth.throttle.forgive(*budgets)
        if reason := _REASONS.get(type(refused)):
            await _record_failure(auth, client, found, reason, timedelta())
        raise
    return await issue_pair(auth, user, session, session.created_at)


# As the audit log has them, if the password was right.
_REASONS: Mapping[type[AuthError], str] = {
    AccountDisabled: "disabled",
    PasswordChangeRequired: "password_change_required",
    TemporaryPasswordExpired: "temporary_password_expired",
    # Of the new password, or of the same one that is hashed again.
    Refusals: "new_password_refused",
    RateLimited: "rehash_deferred",
    # It was changed while it was verified.
    InvalidCredentials: "password_changed",
}


@dataclass(frozen=True, slots=True)
class _Credentials:
    user_id: UUID
    username: str
    email: str | None
    password_hash: str | None
    password_is_temporary: bool
    temporary_password_expires_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime


async def _find_credentials(auth: Auth, username: str) -> _Credentials | None:
    rows = await auth.db.look_up(*select_by_name(username, *_CREDENTIALS))
    return next(starmap(_Credentials, rows), None)


_CREDENTIALS = (
    *(User.id, User.username, User.email, User.password_hash, User.password_is_temporary),
    *(User.temporary_password_expires_at, User.disabled_at, User.created_at),
)


async def _budgets(
    auth: Auth, client: Client, username: str, found: _Credentials | None
) -> list[Budget]:
    """Whose failures count: the network's, and the account's, whether it exists or not.

    Where the owner has signed in before, strangers' failures from elsewhere do not count: nobody
    can keep a person out of their account by guessing at it.
    """
    network = network_of(client.address)
    user_id = found.user_id if found else uuid4()
    known_here = network in await _networks_of(auth, user_id)
    account = (
        budget_of_account(user_id, at=network if known_here else None)
        if found
        else Budget(ACCOUNT, f"name {lookup_key(username)}")
    )
    return [account, Budget(NETWORK, network)]


async def _networks_of(auth: Auth, user_id: UUID) -> set[str]:
    """Where the user has signed in of late."""
    rows = await auth.db.look_up(_RECENT, {"user_id": user_id})
    return {network_of(address) for (address,) in rows}


_RECENT = (
    select(Session.client_address)
    .where(Session.user_id == bindparam("user_id"))
    .order_by(Session.id.desc())
    .limit(_RECENT_SESSIONS)
)


async def _record_failure(
    auth: Auth, client: Client, found: _Credentials | None, reason: str, wait: timedelta
) -> None:
    details = {"reason": reason}
    if wait:
        # Those who come before it is over leave no row each: they could fill the disk.
        details["wait_seconds"] = str(math.ceil(wait.total_seconds()))
    # What was typed as a name is not kept: it may be a password.
    subject_id = found.user_id if found else None
    async with auth.db.begin() as tx:
        record(
            tx,
            Act(
                Action.SESSION_STARTED,
                auth.clock.now(),
                client,
                subject_id=subject_id,
                succeeded=False,
                details=details,
            ),
        )


async def _hash_to_keep(
    auth: Auth, found: _Credentials, password: str, new_password: str | None
) -> str:
    """The hash of the new password, or of this one: as it is stored if that is good enough."""
    assert found.password_hash
    if found.disabled_at is not None:
        raise AccountDisabled
    if found.password_is_temporary:
        expires_at = found.temporary_password_expires_at
        if has_expired(expires_at, found.created_at, auth.clock.now()):
            raise TemporaryPasswordExpired
        if new_password is None or normalise(new_password) == normalise(password):
            raise PasswordChangeRequired
        check_new_password(auth, new_password, username=found.username, email=found.email)
        return await auth.passwords.hash(new_password)
    if auth.passwords.needs_rehash(found.password_hash):
        return await auth.passwords.hash(password)
    return found.password_hash


async def _start(
    auth: Auth, client: Client, proved: _Credentials, password_hash: str, budgets: list[Budget]
) -> tuple[UserRecord, Session]:
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        # Past the unit of work, which would take a third of what a login costs beside its hash.
        connection = await tx.connection()
        await _keep(connection, proved, password_hash, now)
        if proved.password_is_temporary:
            await _record_own_password(tx, auth, client, proved, now)
        session = await start_session(connection, auth.session_policy, proved.user_id, client, now)
        act = Act(Action.SESSION_STARTED, now, client, proved.user_id, proved.user_id, session.id)
        await record_all(tx, [act])
        await auth.throttle.forgive_within(connection, *budgets)
        # Not with the statement that may have waited for another edit of the account: PostgreSQL
        # would give the row as it is after that edit, and the roles as they were before it.
        stored = (await connection.execute(USER_BY_ID, {"id": proved.user_id})).all()
    # Behind the transaction: it may have to ask for roles, on a connection of its own.
    (user,) = await auth.user_rows.read(stored)
    return user, session


async def _keep(
    connection: AsyncConnection, proved: _Credentials, password_hash: str, now: datetime
) -> None:
    """Writes the login down at the account. Raises InvalidCredentials, AccountDisabled."""
    whose = {
        "row": proved.user_id,
        "proved": proved.password_hash,
        "proved_temporary": proved.password_is_temporary,
    }
    kept = {"password_hash": password_hash, "password_is_temporary": False, "last_login_at": now}
    # While the password was verified it may have been changed, or the account disabled: what was
    # proved must still hold in the transaction that acts on it.
    rows = await connection.execute(_KEEP, whose | kept)
    row = rows.one_or_none()
    if row is None:
        raise InvalidCredentials
    if row.disabled_at is not None:
        raise AccountDisabled


_USERS = Base.metadata.tables[User.__tablename__]
_KEEP = (
    update(_USERS)
    .where(
        _USERS.c.id == bindparam("row"),
        _USERS.c.password_hash == bindparam("proved"),
        _USERS.c.password_is_temporary == bindparam("proved_temporary"),
    )
    .returning(_USERS.c.disabled_at)
)


async def _record_own_password(
    tx: AsyncSession, auth: Auth, client: Client, proved: _Credentials, now: datetime
) -> None:
    user_id, notice = proved.user_id, Kind.PASSWORD_CHANGED
    record(tx, Act(Action.PASSWORD_CHANGED, now, client, actor_id=user_id, subject_id=user_id))
    queue_notice(tx, auth, notice, user_id=user_id, username=proved.username, email=proved.email)
    # The trail tells it before the login, and nobody waits for it at the end.
    await tx.flush()
