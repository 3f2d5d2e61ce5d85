"""The key ring: which key signs, which verify, and which are published.

A key's state follows from the clock alone, so no process has to tell another: it is *next* until
its `active_from`, then *current* until another key's, then *retired*; and it verifies until the
last token that it may have signed has expired.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Act, Action, record
from auth.clients import HOUSEKEEPING
from auth.clock import Clock
from auth.key_material import Algorithm, Key, key_from_jwk, new_private_jwk
from auth.policies import Actor
from auth.secret_keys import SecretKeys, WrongSecretKey
from models.database import Database, DatabaseUnavailable
from models.signing_key import SigningKey

log = structlog.get_logger("postern.auth")

# RFC 9700, 2.2: access tokens live short; the settings allow no more than this.
MAX_ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(seconds=5)
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

_PURPOSE = "postern signing keys"
_NEVER = datetime.max.replace(tzinfo=UTC)


class SigningKeysUnavailable(DatabaseUnavailable):
    """A key is needed that none of this process's secrets decrypts. Nothing was decided."""


class KeyState(StrEnum):
    """Where a key is in its life."""

    NEXT = "next"
    CURRENT = "current"
    RETIRED = "retired"


class KeyRing:
    """The keys of this installation, as the database holds them."""

    def __init__(
        self, db: Database, secret_keys: SecretKeys, clock: Clock, algorithm: Algorithm
    ) -> None:
        self._db = db
        self._secret_keys = secret_keys
        self._clock = clock
        self._algorithm = algorithm
        self._keys: dict[str, Key] = {}
        # Until when each key verifies, for as long as nothing has changed since it was read.
        self._verifies_until: dict[str, datetime] = {}
        # Live keys that none of our secrets decrypts, with the begin of each.
        self._locked: dict[str, datetime] = {}
        self._loaded_at = float("-inf")
        self._retry_at = float("-inf")
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
        self._loaded_at = self._retry_at = float("-inf")
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
        now = self._clock.now()
        if self._keys and self._newest().algorithm == self._algorithm:
            return
        async with self._db.begin() as tx:
            await self._db.lock(tx, "signing keys")
            rows = list(await tx.scalars(select(SigningKey).where(SigningKey.revoked_at.is_(None))))
            newest = max(rows, key=lambda row: row.active_from, default=None)
            if newest is None:
                tx.add(self._generate(now, active_from=now))
            elif newest.algorithm != self._algorithm:
                tx.add(self._generate(now, active_from=now + PUBLISHED_BEFORE_USE))
        await self._load()

    async def check_secret(self) -> None:
        """Decrypts every key in use, and makes none. Raises WrongSecretKey, DatabaseUnavailable."""
        await self._load()
        if self._locked_in_use():
            raise WrongSecretKey

    async def all_decrypt(self) -> bool:
        """Whether this process decrypts every key in use, as far as it can know."""
        with suppress(DatabaseUnavailable):
            await self._reload(RELOAD_AFTER_SECONDS)
        return not self._locked_in_use()

    async def signing_key(self) -> Key:
        """Returns the key that signs at this moment.

        Raises SigningKeysUnavailable if this process cannot decrypt it: with an older key the
        token would be refused by the other processes. Raises DatabaseUnavailable.
        """
        await self._reload(RELOAD_AFTER_SECONDS)
        now, begins = self._clock.now(), self._begins()
        begun = {kid: begin for kid, begin in begins.items() if begin <= now}
        # With a clock that was set back no key has begun yet: then the oldest signs.
        kid = max(begun, key=begun.__getitem__) if begun else _first(begins)
        if kid is None or kid not in self._keys:
            raise SigningKeysUnavailable("WrongSecretKey")
        return self._keys[kid]

    async def find(self, kid: object) -> Key | None:
        """Returns the key with exactly this ID, if it may still verify.

        Raises SigningKeysUnavailable for a key that this process cannot decrypt, and
        DatabaseUnavailable where the answer is not known.
        """
        if not isinstance(kid, str):
            return None
        known = kid in self._keys
        await self._reload(
            RELOAD_AFTER_SECONDS if known else RELOAD_FOR_STRANGERS_AFTER_SECONDS, must=not known
        )
        if kid in self._locked:
            raise SigningKeysUnavailable("WrongSecretKey")
        key = self._keys.get(kid)
        return key if key and self._verifies(key.active_from, self._clock.now()) else None

    async def jwks(self) -> dict[str, list[Mapping[str, Any]]]:
        """The public keys (RFC 7517): next, current and retired; never a symmetric one.

        Raises SigningKeysUnavailable if one is missing: verifiers then keep the set they have.
        """
        if not await self.all_decrypt():
            raise SigningKeysUnavailable("WrongSecretKey")
        now = self._clock.now()
        keys = sorted(self._keys.values(), key=_by_start, reverse=True)
        return {
            "keys": [
                k.public_jwk for k in keys if k.public_jwk and self._verifies(k.active_from, now)
            ]
        }

    async def states(self) -> list[tuple[Key, KeyState]]:
        """All keys that still verify, newest first, with their states."""
        await self._load()
        current = await self.signing_key()
        now = self._clock.now()
        keys = sorted(self._keys.values(), key=_by_start, reverse=True)
        return [(key, _state(key, current)) for key in keys if self._verifies(key.active_from, now)]

    async def rotate(self, actor: Actor) -> Key:
        """Adds a key that is published now and signs later; the old one retires by itself."""
        now = self._clock.now()
        row = self._generate(now, active_from=now + PUBLISHED_BEFORE_USE)
        async with self._db.begin() as tx:
            tx.add(row)
            record(tx, Act.by(actor, Action.KEYS_ROTATED, now, details={"kid": row.kid}))
        await self._load()
        return self._keys[row.kid]

    async def rotate_by_age(self, max_age: timedelta) -> None:
        """Adds a key when the newest has signed for so long, whichever process comes first."""
        now = self._clock.now()
        async with self._db.begin() as tx:
            await self._db.lock(tx, "signing keys")
            newest = await tx.scalar(
                select(func.max(SigningKey.active_from)).where(SigningKey.revoked_at.is_(None))
            )
            if newest is None or now < newest + max_age:
                return
            row = self._generate(now, active_from=now + PUBLISHED_BEFORE_USE)
            tx.add(row)
            record(tx, Act(Action.KEYS_ROTATED, now, HOUSEKEEPING, details={"kid": row.kid}))
        log.info("keys.rotated", kid=row.kid, signs_from=row.active_from.isoformat())
        await self._load()

    async def renew_encryption(self) -> None:
        """Encrypts every key under the newest secret, so that older secrets can be removed.

        Skips keys that no secret of this process decrypts. Raises DatabaseUnavailable.
        """
        async with self._db.begin() as tx:
            live = select(SigningKey).where(SigningKey.revoked_at.is_(None))
            for row in await tx.scalars(live.with_for_update()):
                with suppress(WrongSecretKey):
                    renewed = self._secret_keys.renew(
                        row.encrypted_private_key, purpose=_PURPOSE, bound_to=row.kid
                    )
                    row.encrypted_private_key = renewed or row.encrypted_private_key

    async def replace_compromised(self, actor: Actor) -> Key:
        """Revokes every key and signs with a new one at once: all access tokens stop working.

        Other processes follow at once, or within a minute if they cannot hear of it.
        """
        now = self._clock.now()
        row = self._generate(now, active_from=now)
        async with self._db.begin() as tx:
            await _revoke_all(tx, now)
            tx.add(row)
            record(tx, Act.by(actor, Action.KEYS_REPLACED, now, details={"kid": row.kid}))
        await self._load()
        return self._keys[row.kid]

    def _newest(self) -> Key:
        return max(self._keys.values(), key=_by_start)

    def _begins(self) -> dict[str, datetime]:
        """When each live key begins to sign, whether or not this process decrypts it."""
        return {key.kid: key.active_from for key in self._keys.values()} | self._locked

    def _verifies(self, begin: datetime, now: datetime) -> bool:
        return now < self._end_of(begin)

    def _end_of(self, begin: datetime) -> datetime:
        successors = [other for other in self._begins().values() if other > begin]
        if not successors:
            return _NEVER
        return min(successors) + MAX_ACCESS_TOKEN_LIFETIME + LEEWAY

    def _locked_in_use(self) -> bool:
        now = self._clock.now()
        return any(self._verifies(begin, now) for begin in self._locked.values())

    async def _reload(self, after_seconds: float, *, must: bool = False) -> None:
        """Loads the keys if they were loaded too long ago.

        Raises DatabaseUnavailable if that fails and the known keys cannot answer: with `must`, and
        when a key may have been revoked since they were loaded.
        """
        # Hears of keys that another process has revoked.
        self._db.changes.is_current()
        if time.monotonic() - self._loaded_at < after_seconds:
            return
        # Whoever comes meanwhile waits for the same load: the known keys may be revoked.
        async with self._loading:
            if time.monotonic() - self._loaded_at < after_seconds:
                return
            try:
                await self._load_unless_it_just_failed()
            except DatabaseUnavailable:
                if must or self._loaded_at == float("-inf"):
                    raise

    async def _load_unless_it_just_failed(self) -> None:
        if time.monotonic() < self._retry_at:
            raise DatabaseUnavailable("the last load of the keys failed")
        try:
            await self._load()
        except DatabaseUnavailable as error:
            self._retry_at = time.monotonic() + _RETRY_AFTER_SECONDS
            log.warning("keys.reload_failed", cause=type(error).__name__)
            raise

    async def _load(self) -> None:
        """Reads the live keys, unless a load that began later was quicker: it knows more."""
        self._loads_begun += 1
        number, began, heard = self._loads_begun, time.monotonic(), self._changes_heard
        async with self._db.read() as session:
            rows = list(
                await session.scalars(select(SigningKey).where(SigningKey.revoked_at.is_(None)))
            )
        if number < self._load_applied:
            return
        self._load_applied = number
        self._take(rows)
        if heard == self._changes_heard:
            self._loaded_at = began
            self._verifies_until = {k.kid: self._end_of(k.active_from) for k in self._keys.values()}

    def _take(self, rows: Sequence[SigningKey]) -> None:
        locked_before = self._locked.keys()
        keys: dict[str, Key] = {}
        locked: dict[str, datetime] = {}
        for row in rows:
            try:
                keys[row.kid] = self._open(row)
            except WrongSecretKey:
                locked[row.kid] = row.active_from
        self._keys, self._locked = keys, locked
        if locked.keys() - locked_before:
            log.error("keys.decryption_failed", kids=sorted(locked))

    def _open(self, row: SigningKey) -> Key:
        # A key that has been opened is not opened again: it never changes.
        if row.kid in self._keys:
            return self._keys[row.kid]
        private = self._secret_keys.decrypt(
            row.encrypted_private_key, purpose=_PURPOSE, bound_to=row.kid
        )
        return key_from_jwk(
            json.loads(private), kid=row.kid, algorithm=row.algorithm, active_from=row.active_from
        )

    def _generate(self, now: datetime, *, active_from: datetime) -> SigningKey:
        kid = secrets.token_urlsafe(16)
        private_jwk = new_private_jwk(self._algorithm)
        key = key_from_jwk(private_jwk, kid=kid, algorithm=self._algorithm, active_from=active_from)
        return SigningKey(
            kid=kid,
            algorithm=self._algorithm.value,
            encrypted_private_key=self._secret_keys.encrypt(
                json.dumps(private_jwk).encode(), purpose=_PURPOSE, bound_to=kid
            ),
            public_jwk=key.public_jwk,
            created_at=now,
            active_from=active_from,
        )


def _by_start(key: Key) -> datetime:
    return key.active_from


def _first(begins: Mapping[str, datetime]) -> str | None:
    return min(begins, key=begins.__getitem__, default=None)


def _state(key: Key, current: Key) -> KeyState:
    if key.kid == current.kid:
        return KeyState.CURRENT
    return KeyState.NEXT if key.active_from > current.active_from else KeyState.RETIRED


async def _revoke_all(tx: AsyncSession, now: datetime) -> None:
    await tx.execute(
        update(SigningKey).where(SigningKey.revoked_at.is_(None)).values(revoked_at=now)
    )
