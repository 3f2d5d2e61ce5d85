"""Sign in: verify the password, start a session, issue its tokens."""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.clients import Client
from auth.credentials import (
    RENEWALS,
    Credentials,
    HashChanged,
    choose_password_id,
    find_credentials,
    find_credentials_again,
    store_credentials,
)
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
from auth.mail.outbox import EmailKind, queue_notice
from auth.password_marks import list_password_identifiers
from auth.passwords.hashing import Share, normalise
from auth.records import UserRecord
from auth.sessions import start_session
from auth.temporary_passwords import has_expired
from auth.throttling.budgets import (
    NETWORK,
    SITE,
    Budget,
    device_budget,
    name_budgets,
    network_budgets,
    reset_budgets,
)
from auth.throttling.throttle import Attempt
from auth.token_pairs import TokenPair, issue_token_pair
from auth.users import get_row
from auth.wiring import Auth
from models.user import User

# The reasons in the audit log for a sign-in that is refused although the password is right.
_REASONS: Mapping[type[AuthError], str] = {
    AccountDisabled: "disabled",
    PasswordChangeRequired: "password_change_required",
    TemporaryPasswordExpired: "temporary_password_expired",
    Refusals: "new_password_refused",
}


async def log_in(
    auth: Auth,
    client: Client,
    *,
    username: str,
    password: str,
    new_password: str | None = None,
    proofs: Sequence[str] = (),
) -> TokenPair:
    """Starts a session for a caller who proves the password.

    `username` may be an email address. `new_password` replaces a temporary password. `proofs` are
    device proofs and refresh tokens of earlier sessions on this device. Raises InvalidCredentials,
    RateLimited and, only if the password is right, AccountDisabled, PasswordChangeRequired,
    TemporaryPasswordExpired, and Refusals with all problems of the new password.
    """
    await auth.keys.check_can_sign()
    login = await _start(auth, client, username, proofs)
    async with _refusals_recorded(login):
        return await _sign_in(login, password, new_password)


@dataclass(frozen=True, slots=True)
class _Login:
    """A sign-in that the throttle counts as an attempt."""

    auth: Auth
    client: Client
    found: Credentials | None
    device: Budget | None
    attempt: Attempt

    @property
    def share(self) -> Share:
        """The part of the hashing queue: devices that signed in before have their own."""
        return Share.KNOWN if self.device else Share.UNKNOWN


async def _start(auth: Auth, client: Client, username: str, proofs: Sequence[str]) -> _Login:
    """Finds the account and counts the attempt before the slow hash. Raises RateLimited."""
    share = Share.KNOWN if auth.devices.any_valid(proofs) else Share.UNKNOWN
    async with auth.passwords.place_in_queue(share):
        found = await find_credentials(auth.db, username)
        device = await _find_device(auth, found, proofs)
        attempt = await auth.throttle.start(*_budgets(auth, client, username, device))
    return _Login(auth, client, found, device, attempt)


async def _find_device(
    auth: Auth, found: Credentials | None, proofs: Sequence[str]
) -> Budget | None:
    """Returns the budget of a device that has signed in to this account before."""
    # The same work for a name without an account.
    user_id = found.user_id if found else uuid4()
    names = list_password_identifiers(found) if found else []
    device = await auth.devices.find(proofs, user_id, names)
    return device_budget(user_id, device) if device else None


def _budgets(auth: Auth, client: Client, username: str, device: Budget | None) -> list[Budget]:
    """Returns the budget of a known device, or those of the name and the network."""
    if device:
        return [device]
    return [
        *name_budgets(username, client.address),
        *network_budgets(NETWORK, SITE, client.address),
        auth.throttle.unknown_devices,
    ]


@asynccontextmanager
async def _refusals_recorded(login: _Login) -> AsyncIterator[None]:
    """Records a refusal in the throttle and the audit log."""
    throttle, attempt = login.auth.throttle, login.attempt
    try:
        yield
    except RateLimited:
        # The hashing queue is full: the password was not verified.
        await throttle.cancel(attempt)
        raise
    except InvalidCredentials:
        async with login.auth.db.begin() as tx:
            delay = await throttle.fail(tx, attempt)
            # Attempts during the delay are not recorded, so an attacker cannot fill the table.
            waits = {"wait_seconds": str(math.ceil(delay.total_seconds()))} if delay else {}
            _record_refused(tx, login, {"reason": "wrong_credentials"} | waits)
        raise
    except (Refusal, Refusals) as refusal:
        async with login.auth.db.begin() as tx:
            if reason := _REASONS.get(type(refusal)):
                _record_refused(tx, login, {"reason": reason})
            # The password was right.
            await throttle.succeed(tx, attempt)
        raise


def _record_refused(tx: AsyncSession, login: _Login, details: dict[str, str]) -> None:
    # The name that was typed is not recorded: it may be a password.
    entry = AuditEntry(
        Action.SESSION_STARTED,
        login.auth.clock.now(),
        login.client,
        subject_id=login.found.user_id if login.found else None,
        succeeded=False,
        details=details,
    )
    record(tx, entry)


async def _sign_in(login: _Login, password: str, new_password: str | None) -> TokenPair:
    found = login.found
    for _ in range(RENEWALS):
        verified = await _verify(login, found, password)
        kept = await _choose_hash(login, verified, password, new_password)
        try:
            return await _start_session(login, verified, kept)
        except HashChanged:
            # A parallel sign-in renewed the hash, or the password was changed.
            found = await find_credentials_again(login.auth.db, verified)
    raise InvalidCredentials


async def _verify(login: _Login, found: Credentials | None, password: str) -> Credentials:
    # The same work in every case: unknown, disabled and password-less accounts cost a hash too.
    stored = found.password_hash if found else None
    verified = await login.auth.passwords.verify(password, stored, share=login.share)
    if found is None or stored is None or not verified:
        raise InvalidCredentials
    return found


async def _choose_hash(
    login: _Login, verified: Credentials, password: str, new_password: str | None
) -> str:
    """Returns the hash to store: that of the new password, a renewed one, or the stored one."""
    assert verified.password_hash
    if verified.disabled_at is not None:
        raise AccountDisabled
    passwords = login.auth.passwords
    if verified.password_is_temporary:
        new = _check_replacement(login.auth, verified, password, new_password)
        return await passwords.hash(new, share=login.share)
    # A full queue does not stop the sign-in. The next sign-in renews the hash.
    if passwords.needs_rehash(verified.password_hash) and passwords.has_room(login.share):
        return await passwords.hash(password, share=login.share)
    return verified.password_hash


def _check_replacement(
    auth: Auth, verified: Credentials, password: str, new_password: str | None
) -> str:
    """Returns the new password, if it may replace the temporary one."""
    if has_expired(verified.temporary_password_expires_at, verified.created_at, auth.clock.now()):
        raise TemporaryPasswordExpired
    if new_password is None or normalise(new_password) == normalise(password):
        raise PasswordChangeRequired
    auth.password_policy.check(
        new_password, username=verified.username, email=verified.email, field="new_password"
    )
    return new_password


async def _start_session(login: _Login, verified: Credentials, kept: str) -> TokenPair:
    auth, now, user_id = login.auth, login.auth.clock.now(), verified.user_id
    async with auth.db.begin() as tx:
        password_id = await choose_password_id(tx, verified)
        await store_credentials(tx, verified, kept, password_id, now)
        # Not read by the UPDATE above: if that waited for an edit of the account, PostgreSQL would
        # return the roles from before the edit.
        row = await get_row(tx, user_id)
        if verified.password_is_temporary:
            await _record_password_change(tx, login, row, now)
        session = start_session(tx, auth.session_policy, user_id, login.client, now)
        record(
            tx, AuditEntry(Action.SESSION_STARTED, now, login.client, user_id, user_id, session.id)
        )
        await auth.throttle.succeed(tx, login.attempt)
        user = UserRecord.of(row, auth.permissions)
    pair = await issue_token_pair(auth, user, session, now)
    return replace(pair, device_proof=auth.devices.issue(user_id, password_id, now))


async def _record_password_change(
    tx: AsyncSession, login: _Login, row: User, now: datetime
) -> None:
    """Records that a temporary password was replaced, and notifies the user by email."""
    # Links that were sent for the old password stop working: the next request sends another.
    await login.auth.throttle.reset(tx, *reset_budgets(row.email))
    record(tx, AuditEntry(Action.PASSWORD_CHANGED, now, login.client, row.id, row.id))
    queue_notice(tx, login.auth, EmailKind.PASSWORD_CHANGED, row, row.email)
