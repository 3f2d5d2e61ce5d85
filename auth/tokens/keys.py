"""The key ring: loads, caches and rotates the signing keys."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.clients import HOUSEKEEPING
from auth.clock import Clock
from auth.permissions import Actor
from auth.tokens.key_material import Algorithm, Key
from auth.tokens.key_set import KeySet, KeyState, SigningKeysUnavailable
from auth.tokens.key_storage import KeyRows
from auth.tokens.secret_keys import SecretKeys, WrongSecretKey
from models.database import Database, DatabaseUnavailable
from models.signing_key import SigningKey

log = structlog.get_logger("postern.auth")

# How long verifiers may cache the JWKS, and how long a process uses its keys without a reload.
JWKS_MAX_AGE = timedelta(minutes=5)
RELOAD_AFTER_SECONDS = 60.0
# An unknown `kid` causes a reload. The limit prevents a denial of service (CVE-2026-48524).
RELOAD_FOR_UNKNOWN_KEY_AFTER_SECONDS = 5.0
# A new key is published before it signs, so that all verifiers have it by then.
PUBLISHED_BEFORE_USE = timedelta(minutes=10)

# After a failed load.
_RETRY_AFTER_SECONDS = 1.0

_LOCK = "signing keys"

_LONG_AGO = float("-inf")
_LIVE = select(SigningKey).where(SigningKey.revoked_at.is_(None))


class KeyRing:
    """The signing keys of the installation."""

    def __init__(
        self,
        db: Database,
        secret_keys: SecretKeys,
        clock: Clock,
        algorithm: Algorithm,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._rows = KeyRows(secret_keys, algorithm)
        self._clock = clock
        self._monotonic = monotonic
        self._known = KeySet()
        # When each key stops verifying. Empty if keys may have changed since they were read.
        self._verifies_until: dict[str, datetime] = {}
        self._loaded_at = self._retry_at = _LONG_AGO
        # The cause of the last failed load, raised again until the next load.
        self._failure = ""
        self._change_count = 0
        # Loads are numbered in the order in which they start.
        self._loads_started = 0
        self._load_applied = 0
        self._loading = asyncio.Lock()
        db.change_feed.add(self)

    def user_changed(self, user_id: UUID) -> None:
        """Does nothing: keys do not depend on users."""

    def everything_changed(self) -> None:
        """Makes the next use reload the keys, since one may have been added or revoked."""
        self._loaded_at = self._retry_at = _LONG_AGO
        self._verifies_until = {}
        self._change_count += 1

    def still_verifies(self, kid: str, now: datetime) -> bool:
        """Returns whether the key still verifies tokens. Returns False if a reload is needed."""
        until = self._verifies_until.get(kid)
        if until is None or now >= until:
            return False
        return self._monotonic() - self._loaded_at < RELOAD_AFTER_SECONDS

    async def start(self) -> None:
        """Loads the keys. Creates a key if there is none of the configured algorithm.

        Raises WrongSecretKey if no secret decrypts a key in use, and DatabaseUnavailable.
        """
        await self.check_secret()
        now, algorithm = self._clock.now(), self._rows.algorithm
        if (known := self._known.newest()) and known.algorithm == algorithm:
            return
        row, _ = await self._rows.generate(now, active_from=now)
        async with self._db.begin() as tx:
            await self._db.lock(tx, _LOCK)
            query = select(SigningKey.algorithm).where(SigningKey.revoked_at.is_(None))
            newest = await tx.scalar(query.order_by(SigningKey.active_from.desc()).limit(1))
            if newest is not None:
                row.active_from = now + PUBLISHED_BEFORE_USE
            # Another process may have created it.
            if newest != algorithm:
                tx.add(row)
        await self._load()

    async def check_secret(self) -> None:
        """Loads the keys. Raises WrongSecretKey if one is locked, and DatabaseUnavailable."""
        await self._load()
        if self._known.has_locked(self._clock.now()):
            raise WrongSecretKey

    async def can_decrypt_all(self) -> bool:
        """Returns whether this process decrypts every key in use that it knows of."""
        with suppress(DatabaseUnavailable):
            await self._reload(RELOAD_AFTER_SECONDS)
        return not self._known.has_locked(self._clock.now())

    async def signing_key(self) -> Key:
        """Returns the key that signs now. Raises SigningKeysUnavailable, DatabaseUnavailable."""
        await self._reload(RELOAD_AFTER_SECONDS)
        return self._known.signing_key(self._clock.now())

    async def check_can_sign(self) -> None:
        """Raises SigningKeysUnavailable or DatabaseUnavailable if no token can be issued.

        Call it before a session is written.
        """
        await self.signing_key()

    async def find(self, kid: object) -> Key | None:
        """Returns the key with this ID, if it still verifies tokens.

        Raises SigningKeysUnavailable for a key that this process cannot decrypt, and
        DatabaseUnavailable if the keys cannot be loaded.
        """
        if not isinstance(kid, str):
            return None
        known = kid in self._known.keys
        await self._reload(
            RELOAD_AFTER_SECONDS if known else RELOAD_FOR_UNKNOWN_KEY_AFTER_SECONDS, must=not known
        )
        if kid in self._known.locked:
            raise SigningKeysUnavailable
        key = self._known.keys.get(kid)
        return key if key and self._known.verifies(key, self._clock.now()) else None

    async def jwks(self) -> dict[str, list[Mapping[str, Any]]]:
        """Returns the JWKS (RFC 7517): the public keys that are next, current or retired.

        Raises SigningKeysUnavailable if a key is locked, so that verifiers keep the set they have.
        """
        if not await self.can_decrypt_all():
            raise SigningKeysUnavailable
        keys = self._known.verifying(self._clock.now())
        return {"keys": [key.public_jwk for key in keys if key.public_jwk]}

    async def states(self) -> list[tuple[Key, KeyState]]:
        """Returns the keys that still verify tokens with their states, newest first."""
        await self._load()
        return self._known.states(self._clock.now())

    async def rotate(self, actor: Actor) -> Key:
        """Adds a key that is published now and signs after PUBLISHED_BEFORE_USE."""
        now = self._clock.now()
        row, key = await self._rows.generate(now, active_from=now + PUBLISHED_BEFORE_USE)
        async with self._db.begin() as tx:
            await self._db.lock(tx, _LOCK)
            tx.add(row)
            record(tx, AuditEntry.by(actor, Action.KEYS_ROTATED, now, details={"kid": key.kid}))
        await self._load()
        return key

    async def rotate_by_age(self, max_age: timedelta) -> None:
        """Adds a key if the newest has signed for `max_age`. Several processes may call it."""
        now = self._clock.now()
        async with self._db.read() as session:
            if not await _newest_is_before(session, now - max_age):
                return
        row, key = await self._rows.generate(now, active_from=now + PUBLISHED_BEFORE_USE)
        async with self._db.begin() as tx:
            await self._db.lock(tx, _LOCK)
            if not await _newest_is_before(tx, now - max_age):
                return
            tx.add(row)
            record(tx, AuditEntry(Action.KEYS_ROTATED, now, HOUSEKEEPING, details={"kid": key.kid}))
        log.info("keys.rotated", kid=key.kid, signs_from=key.active_from.isoformat())
        await self._load()

    async def renew_encryption(self) -> None:
        """Encrypts every key under the newest secret, so that older secrets can be removed.

        Skips keys that no secret of this process decrypts. Raises DatabaseUnavailable.
        """
        async with self._db.begin() as tx:
            await self._db.lock(tx, _LOCK)
            for row in await tx.scalars(_LIVE.with_for_update()):
                self._rows.renew_encryption(row)

    async def replace_compromised(self, actor: Actor) -> Key:
        """Revokes every key and signs with a new one. All access tokens become invalid.

        Other processes follow immediately, or within a minute if the change feed is disconnected.
        If it is called twice at the same time, the later call revokes the key of the other.
        """
        now = self._clock.now()
        row, key = await self._rows.generate(now, active_from=now)
        async with self._db.begin() as tx:
            await self._db.lock(tx, _LOCK)
            await _revoke_all(tx, now)
            tx.add(row)
            record(tx, AuditEntry.by(actor, Action.KEYS_REPLACED, now, details={"kid": key.kid}))
        await self._load()
        return key

    async def _reload(self, after_seconds: float, *, must: bool = False) -> None:
        """Loads the keys if they were loaded too long ago.

        Raises DatabaseUnavailable if that fails and the known keys must not be used: with `must`,
        and if a key may have been revoked since they were loaded.
        """
        # Reads the notifications about keys that another process has revoked.
        self._db.change_feed.is_current()
        if self._monotonic() - self._loaded_at < after_seconds:
            return
        # Concurrent callers wait for the same load: the known keys may be revoked.
        async with self._loading:
            if self._monotonic() - self._loaded_at < after_seconds:
                return
            try:
                await self._load_unless_just_failed()
            except DatabaseUnavailable:
                if must or self._loaded_at == _LONG_AGO:
                    raise

    async def _load_unless_just_failed(self) -> None:
        if self._monotonic() < self._retry_at:
            raise DatabaseUnavailable(self._failure)
        try:
            await self._load()
        except DatabaseUnavailable as error:
            self._failure = str(error)
            self._retry_at = self._monotonic() + _RETRY_AFTER_SECONDS
            log.warning("keys.reload_failed", cause=self._failure)
            raise

    async def _load(self) -> None:
        """Reads the keys that are not revoked. Ignores the result if a later load has ended."""
        self._loads_started += 1
        number, started_at, change_count = (
            self._loads_started,
            self._monotonic(),
            self._change_count,
        )
        async with self._db.read() as session:
            rows = list(await session.scalars(_LIVE))
        if number < self._load_applied:
            return
        self._load_applied = number
        locked_before = self._known.locked.keys()
        self._known = known = self._rows.read(rows, self._known)
        if known.locked.keys() - locked_before:
            log.error("keys.decryption_failed", kids=sorted(known.locked))
        if change_count == self._change_count:
            self._loaded_at = started_at
            self._verifies_until = {key.kid: known.end_of(key) for key in known.keys.values()}


async def _newest_is_before(session: AsyncSession, oldest: datetime) -> bool:
    """Returns whether there are keys and all of them started before a time."""
    newest = await session.scalar(
        select(func.max(SigningKey.active_from)).where(SigningKey.revoked_at.is_(None))
    )
    return newest is not None and newest <= oldest


async def _revoke_all(tx: AsyncSession, now: datetime) -> None:
    await tx.execute(
        update(SigningKey).where(SigningKey.revoked_at.is_(None)).values(revoked_at=now)
    )
