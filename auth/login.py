"""Log in: prove a password, start a session."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record, record_all
from auth.clients import Client
from auth.credentials import (
    RENEWALS,
    Credentials,
    HashChanged,
    find_again,
    find_credentials,
    hold_password_id,
    keep_credentials,
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
from auth.password_marks import names_of_password
from auth.passwords.hashing import Share, normalise
from auth.reauthentication import check_new_password
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
from auth.users import USER_BY_ID
from auth.wiring import Auth
from models.session import Session


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

    `username` may be the email address. A password that an operator chose only serves to choose
    another one: `new_password`, which is ignored otherwise. `proofs` are device proofs and refresh
    tokens of earlier sessions on the caller's device. Raises InvalidCredentials, AccountDisabled,
    PasswordChangeRequired and TemporaryPasswordExpired (these only if the password is right),
    RateLimited, Refusals with everything that is wrong with the new password, and
    DatabaseUnavailable.
    """
    await auth.keys.check_can_sign()
    expected = auth.devices.any_valid(proofs)
    async with auth.passwords.place_in_queue(Share.KNOWN if expected else Share.UNKNOWN):
        found = await find_credentials(auth.db, username)
        device = await _find_device(auth, found, proofs)
        budgets = _budgets(auth, client, username, device)
        attempt = await auth.throttle.start(*budgets)
    login = _Login(auth, client, password, new_password, attempt, device)
    try:
        return await login.run(found)
    except RateLimited:
        # The queue of hashes is full: nothing was tried.
        await auth.throttle.cancel(attempt)
        raise
    except InvalidCredentials:
        await login.record_failure(found)
        raise
    except (Refusal, Refusals) as refused:
        await login.record_success(found, refused)
        raise


# As the audit log has them, if the password was right.
_REASONS: Mapping[type[AuthError], str] = {
    AccountDisabled: "disabled",
    PasswordChangeRequired: "password_change_required",
    TemporaryPasswordExpired: "temporary_password_expired",
    Refusals: "new_password_refused",
}


async def _find_device(
    auth: Auth, found: Credentials | None, proofs: Sequence[str]
) -> Budget | None:
    """The budget of a device that has proved to have signed in to this account before."""
    # The same work for a name without an account.
    user_id = found.user_id if found else uuid4()
    names = names_of_password(found) if found else []
    device = await auth.devices.find(proofs, user_id, names)
    return device_budget(user_id, device) if device else None


def _budgets(auth: Auth, client: Client, username: str, device: Budget | None) -> list[Budget]:
    """Whose failures count: those of a known device, or of the name and the network."""
    if device:
        return [device]
    return [
        *name_budgets(username, client.address),
        *network_budgets(NETWORK, SITE, client.address),
        auth.throttle.unknown_devices,
    ]


@dataclass(frozen=True, slots=True)
class _Login:
    """A login whose attempt is counted."""

    auth: Auth
    client: Client
    password: str
    new_password: str | None
    attempt: Attempt
    device: Budget | None

    async def run(self, found: Credentials | None) -> TokenPair:
        """Verifies the password and starts the session."""
        for _ in range(RENEWALS):
            proved = await self._verify(found)
            kept = await self._hash_to_keep(proved)
            try:
                return await self._start(proved, kept)
            except HashChanged:
                # By a parallel login that renewed it, or by a change of the password.
                found = await find_again(self.auth.db, proved)
        raise InvalidCredentials

    async def record_failure(self, found: Credentials | None) -> None:
        """Counts the attempt as a failure and records it."""
        async with self.auth.db.begin() as tx:
            delay = await self.auth.throttle.fail(tx, self.attempt)
            details = {"reason": "wrong_credentials"}
            if delay:
                # Attempts during the delay are not recorded: they could fill the disk.
                details["wait_seconds"] = str(math.ceil(delay.total_seconds()))
            self._record_refused(tx, found, details)

    async def record_success(self, found: Credentials | None, refused: Refusal | Refusals) -> None:
        """Counts a right password that did not lead to a sign-in."""
        async with self.auth.db.begin() as tx:
            if reason := _REASONS.get(type(refused)):
                self._record_refused(tx, found, {"reason": reason})
            await self.auth.throttle.succeed(await tx.connection(), self.attempt)

    def _record_refused(
        self, tx: AsyncSession, found: Credentials | None, details: dict[str, str]
    ) -> None:
        # What was typed as a name is not kept: it may be a password.
        act = AuditEntry(
            Action.SESSION_STARTED,
            self.auth.clock.now(),
            self.client,
            subject_id=found.user_id if found else None,
            succeeded=False,
            details=details,
        )
        record(tx, act)

    async def _verify(self, found: Credentials | None) -> Credentials:
        # The same work in every case: unknown, disabled and password-less accounts cost a hash too.
        stored = found.password_hash if found else None
        verified = await self.auth.passwords.verify(self.password, stored, share=self._share)
        if found is None or stored is None or not verified:
            raise InvalidCredentials
        return found

    async def _hash_to_keep(self, found: Credentials) -> str:
        """The hash of the new password, or of this one: as it is stored if that is good enough."""
        assert found.password_hash
        if found.disabled_at is not None:
            raise AccountDisabled
        if found.password_is_temporary:
            expires_at, now = found.temporary_password_expires_at, self.auth.clock.now()
            if has_expired(expires_at, found.created_at, now):
                raise TemporaryPasswordExpired
            new = self.new_password
            if new is None or normalise(new) == normalise(self.password):
                raise PasswordChangeRequired
            check_new_password(self.auth, new, username=found.username, email=found.email)
            return await self.auth.passwords.hash(new, share=self._share)
        passwords = self.auth.passwords
        # A full queue does not stop the sign-in. The next sign-in renews the hash.
        if passwords.needs_rehash(found.password_hash) and passwords.has_room(self._share):
            return await passwords.hash(self.password, share=self._share)
        return found.password_hash

    @property
    def _share(self) -> Share:
        return Share.KNOWN if self.device else Share.UNKNOWN

    async def _start(self, proved: Credentials, kept: str) -> TokenPair:
        auth, now = self.auth, self.auth.clock.now()
        async with auth.db.begin() as tx:
            # Past the unit of work, which would take a third of what a login costs beside its hash.
            connection = await tx.connection()
            password_id = await hold_password_id(connection, proved)
            await keep_credentials(connection, proved, kept, password_id, now)
            if proved.password_is_temporary:
                # Links for a forgotten password end with the password.
                await auth.throttle.reset(tx, *reset_budgets(proved.email))
                await _record_own_password(tx, auth, self.client, proved, now)
            session = await self._add_session(tx, proved.user_id, now)
            await auth.throttle.succeed(connection, self.attempt)
            # Not with the statement that may have waited for another edit of the account:
            # PostgreSQL would give the row as it is after that edit, and the roles as they were
            # before it.
            stored = (await connection.execute(USER_BY_ID, {"id": proved.user_id})).all()
        # After the transaction: it may have to read roles, on a connection of its own.
        (user,) = await auth.user_rows.read(stored)
        return await self._issue(user, session, password_id)

    async def _add_session(self, tx: AsyncSession, user_id: UUID, now: datetime) -> Session:
        connection = await tx.connection()
        policy = self.auth.session_policy
        session = await start_session(connection, policy, user_id, self.client, now)
        act = AuditEntry(Action.SESSION_STARTED, now, self.client, user_id, user_id, session.id)
        await record_all(tx, [act])
        return session

    async def _issue(self, user: UserRecord, session: Session, password_id: str) -> TokenPair:
        signed_in = await issue_token_pair(self.auth, user, session, session.created_at)
        proof = self.auth.devices.issue(user.id, password_id, session.created_at)
        return replace(signed_in, device_proof=proof)


async def _record_own_password(
    tx: AsyncSession, auth: Auth, client: Client, proved: Credentials, now: datetime
) -> None:
    user_id, notice = proved.user_id, EmailKind.PASSWORD_CHANGED
    record(
        tx, AuditEntry(Action.PASSWORD_CHANGED, now, client, actor_id=user_id, subject_id=user_id)
    )
    queue_notice(tx, auth, notice, user_id=user_id, username=proved.username, email=proved.email)
    # Before the audit event of the login, which is not added through the unit of work.
    await tx.flush()
