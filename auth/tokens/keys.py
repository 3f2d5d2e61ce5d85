"""The key ring: loads the signing keys, keeps them while they are current, and rotates them."""

import asyncio
import time
from collections.abc import Mapping
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

# How long verifiers may keep the JWKS, and how long a process keeps its ring.
JWKS_MAX_AGE = timedelta(minutes=5)
RELOAD_AFTER_SECONDS = 60.0
# An unknown `kid` makes a process look again, but a stranger cannot make it look all the time
# (CVE-2026-48524).
RELOAD_FOR_STRANGERS_AFTER_SECONDS = 5.0
# A new key is published for this long before it signs, so that everybody knows it by then.
PUBLISHED_BEFORE_USE = timedelta(minutes=10)

# After a load that failed.
_RETRY_AFTER_SECONDS = 1.0

# One edit of the keys at a time.
_LOCK = "signing keys"

_LONG_AGO = float("-inf")
_LIVE = select(SigningKey).where(SigningKey.revoked_at.is_(None))


class KeyRing:
    """The keys of this installation, as the database holds them."""

    def __init__(
        self, db: Database, secret_keys: SecretKeys, clock: Clock, algorithm: Algorithm
    ) -> None:
        self._db = db
        self._rows = KeyRows(secret_keys, algorithm)
        self._clock = clock
        self._known = KeySet()
        # Until when each key verifies, for as long as nothing has changed since it was read.
        self._verifies_until: dict[str, datetime] = {}
        self._loaded_at = self._retry_at = _LONG_AGO
        # Why the last load failed; raised again until the next one is tried.
        self._failure = ""
        self._changes_heard = 0
        # Loads are numbered in the order in which they begin.
        self._loads_begun = 0
        self._load_applied = 0
        self._loading = asyncio.Lock()
        db.changes.add(self)

    def user_changed(self, user_id: UUID) -> None:
        """Concerns no key."""

    def everything_changed(self) -> None:
        """Looks again before the next use: a key may have been added or revoked."""
        self._loaded_at = self._retry_at = _LONG_AGO
        self._verifies_until = {}
        self._changes_heard += 1

    def vouches_for(self, kid: str, now: datetime) -> bool:
        """Whether what this key has signed is still good; never while that must be looked up."""
        until = self._verifies_until.get(kid)
        if until is None or now >= until:
            return False
        return time.monotonic() - self._loaded_at < RELOAD_AFTER_SECONDS

    async def start(self) -> None:
        """Loads the keys, and makes the first one where there is none.

        Raises WrongSecretKey if a key that is in use was encrypted under another secret, and
        DatabaseUnavailable.
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
            # Unless another process was first.
            if newest != algorithm:
                tx.add(row)
        await self._load()

    async def check_secret(self) -> None:
        """Decrypts every key in use, and makes none. Raises WrongSecretKey, DatabaseUnavailable."""
        await self._load()
        if self._known.has_locked(self._clock.now()):
            raise WrongSecretKey

    async def all_decrypt(self) -> bool:
        """Whether this process decrypts every key in use, as far as it can know."""
        with suppress(DatabaseUnavailable):
            await self._reload(RELOAD_AFTER_SECONDS)
        return not self._known.has_locked(self._clock.now())

    async def signing_key(self) -> Key:
        """Returns the key that signs now. Raises SigningKeysUnavailable, DatabaseUnavailable."""
        await self._reload(RELOAD_AFTER_SECONDS)
        return self._known.signing_key(self._clock.now())

    async def check_can_sign(self) -> None:
        """To be called before a session is written: one without tokens is of no use.

        Raises SigningKeysUnavailable, DatabaseUnavailable.
        """
        await self.signing_key()

    async def find(self, kid: object) -> Key | None:
        """Returns the key with exactly this ID, if it may still verify.

        Raises SigningKeysUnavailable for a key that this process cannot decrypt, and
        DatabaseUnavailable where the answer is not known.
        """
        if not isinstance(kid, str):
            return None
        known = kid in self._known.keys
        await self._reload(
            RELOAD_AFTER_SECONDS if known else RELOAD_FOR_STRANGERS_AFTER_SECONDS, must=not known
        )
        if kid in self._known.locked:
            raise SigningKeysUnavailable
        key = self._known.keys.get(kid)
        return key if key and self._known.verifies(key, self._clock.now()) else None

    async def jwks(self) -> dict[str, list[Mapping[str, Any]]]:
        """The public keys (RFC 7517): next, current and retired; never a symmetric one.

        Raises SigningKeysUnavailable if one is missing: verifiers then keep the set they have.
        """
        if not await self.all_decrypt():
            raise SigningKeysUnavailable
        keys = self._known.verifying(self._clock.now())
        return {"keys": [key.public_jwk for key in keys if key.public_jwk]}

    async def states(self) -> list[tuple[Key, KeyState]]:
        """All keys that still verify, newest first, with their states."""
        await self._load()
        return self._known.states(self._clock.now())

    async def rotate(self, actor: Actor) -> Key:
        """Adds a key that is published now and signs later; the old one retires by itself."""
        now = self._clock.now()
        row, key = await self._rows.generate(now, active_from=now + PUBLISHED_BEFORE_USE)
        async with self._db.begin() as tx:
            await self._db.lock(tx, _LOCK)
            tx.add(row)
            record(tx, AuditEntry.by(actor, Action.KEYS_ROTATED, now, details={"kid": key.kid}))
        await self._load()
        return key

    async def rotate_by_age(self, max_age: timedelta) -> None:
        """Adds a key when the newest has signed for so long, whichever process comes first."""
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
        """Revokes every key and signs with a new one at once: all access tokens stop working.

        Other processes follow at once, or within a minute without the change feed. Of two
        replacements at the same moment the later one revokes the key of the other.
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

        Raises DatabaseUnavailable if that fails and the known keys cannot answer: with `must`, and
        when a key may have been revoked since they were loaded.
        """
        # Reads the notifications about keys that another process has revoked.
        self._db.changes.is_current()
        if time.monotonic() - self._loaded_at < after_seconds:
            return
        # Concurrent callers wait for the same load: the known keys may be revoked.
        async with self._loading:
            if time.monotonic() - self._loaded_at < after_seconds:
                return
            try:
                await self._load_unless_it_just_failed()
            except DatabaseUnavailable:
                if must or self._loaded_at == _LONG_AGO:
                    raise

    async def _load_unless_it_just_failed(self) -> None:
        if time.monotonic() < self._retry_at:
            raise DatabaseUnavailable(self._failure)
        try:
            await self._load()
        except DatabaseUnavailable as error:
            self._failure = str(error)
            self._retry_at = time.monotonic() + _RETRY_AFTER_SECONDS
            log.warning("keys.reload_failed", cause=self._failure)
            raise

    async def _load(self) -> None:
        """Reads the live keys, unless a load that began later was quicker: it knows more."""
        self._loads_begun += 1
        number, began, heard = self._loads_begun, time.monotonic(), self._changes_heard
        async with self._db.read() as session:
            rows = list(await session.scalars(_LIVE))
        if number < self._load_applied:
            return
        self._load_applied = number
        locked_before = self._known.locked.keys()
        self._known = known = self._rows.read(rows, self._known)
        if known.locked.keys() - locked_before:
            log.error("keys.decryption_failed", kids=sorted(known.locked))
        if heard == self._changes_heard:
            self._loaded_at = began
            self._verifies_until = {key.kid: known.end_of(key) for key in known.keys.values()}


async def _newest_is_before(session: AsyncSession, oldest: datetime) -> bool:
    """Whether there are keys, and none of them begins after this instant."""
    newest = await session.scalar(
        select(func.max(SigningKey.active_from)).where(SigningKey.revoked_at.is_(None))
    )
    return newest is not None and newest <= oldest


async def _revoke_all(tx: AsyncSession, now: datetime) -> None:
    await tx.execute(
        update(SigningKey).where(SigningKey.revoked_at.is_(None)).values(revoked_at=now)
    )
