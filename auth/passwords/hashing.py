"""Hashes and verifies passwords in threads.

bcrypt takes about 0.2 s. It runs in a few threads with a lower priority than the event loop, behind
a bounded queue, so a flood of sign-ins slows down only sign-ins. A request that would wait too long
is rejected after a second. Sign-ins from known devices and from unknown devices each have reserved
places in the queue. So registrations cannot block sign-ins, and unknown devices cannot block known
ones.
"""

import asyncio
import math
import os
import time
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum, auto
from functools import cached_property
from typing import NoReturn, TypeVar

from passlib.context import CryptContext

from auth.errors import RateLimited
from auth.passwords.foreign_hashes import MALFORMED_HASH_ERRORS, is_foreign, verify_foreign
from auth.passwords.hash_threads import HashThreads, WaitedTooLong
from models.waits import pause

PASSWORD_MAX_LENGTH = 1024
BCRYPT_MAX_BYTES = 72
# Users do not wait longer than this.
QUEUE_MAX_SECONDS = 5.0
# Queued work is dropped after this time. Operations time out after ten seconds.
STARTED_WITHIN_SECONDS = 7.5
# Rejections are delayed, since clients that retry immediately would slow down the hashing threads.
REJECTED_AFTER = timedelta(seconds=1)
# More rejections than this are not delayed, since each holds a connection.
_MAX_DELAYED_REJECTIONS = 1_000

_DEFAULT_SCHEME = "bcrypt_sha256"
BCRYPT_SCHEMES = (_DEFAULT_SCHEME, "bcrypt")
# The schemes of imported hashes. Loading them takes a megabyte.
IMPORTED_SCHEMES = (
    "argon2",
    "django_pbkdf2_sha256",
    "django_bcrypt_sha256",
    "django_bcrypt",
    "django_argon2",
    "pbkdf2_sha256",
    "scrypt",
    "phpass",
    "sha512_crypt",
)

T = TypeVar("T")


class Share(Enum):
    """The purpose of a hash, which has reserved places in the queue."""

    # Sign-ins from known devices, and password checks of signed-in users.
    KNOWN = auto()
    # Sign-ins from unknown devices.
    UNKNOWN = auto()
    # Everything else, above all registrations.
    OTHER = auto()


# The fraction of the queue that is reserved for a share: one fourth.
_RESERVED = {Share.KNOWN: 4, Share.UNKNOWN: 4}


class Passwords:
    """Hashes and verifies passwords. Call `start` before the first use."""

    def __init__(
        self,
        *,
        cost: int,
        threads: int | None = None,
        rejected_after: timedelta = REJECTED_AFTER,
        seconds_each: float | None = None,
    ) -> None:
        """`seconds_each` is the time of a hash; if None, `start` measures it."""
        self._context = CryptContext(
            schemes=list(BCRYPT_SCHEMES), deprecated="auto", bcrypt_sha256__rounds=cost
        )
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = HashThreads(Share, threads=self._threads, wait_seconds=STARTED_WITHIN_SECONDS)
        self._dummy = ""
        self._seconds_each = seconds_each or 0.0
        self._pending: Counter[Share] = Counter()
        self._reserved: Counter[Share] = Counter()
        self._rejected_after = rejected_after
        self._delayed_rejections = 0

    async def start(self) -> None:
        """Creates the dummy hash, and measures how long a hash takes."""
        self._dummy, measured = await self.run(self._hash_dummy)
        self._seconds_each = self._seconds_each or measured

    def stop(self) -> None:
        """Cancels queued work and ends the threads."""
        self._pool.stop()

    @property
    def pending(self) -> int:
        """The number of hashes that are running or queued."""
        return self._pending.total()

    def has_room(self, share: Share) -> bool:
        """Returns whether the queue accepts another hash of a share."""
        return self._has_room(share, self._pending)

    @asynccontextmanager
    async def place_in_queue(self, share: Share) -> AsyncIterator[None]:
        """Reserves a place in the queue during the block. Raises RateLimited.

        Reserve it before database queries, so that a flood of requests that will be rejected does
        not occupy the database.
        """
        if not self._has_room(share, self._pending + self._reserved):
            await self._reject()
        self._reserved[share] += 1
        try:
            yield
        finally:
            self._reserved[share] -= 1

    async def hash(self, password: str, *, share: Share = Share.OTHER) -> str:
        """Returns the hash of a password. Raises RateLimited if the queue is full."""
        return await self.run(self._context.hash, normalise(password), share=share)

    async def verify(
        self, password: str, stored: str | None, *, share: Share = Share.UNKNOWN
    ) -> bool:
        """Returns whether the password matches the hash. Raises RateLimited if the queue is full.

        Without a hash (unknown user, no password) it takes the same time, so that the time does not
        reveal which accounts exist (ASVS 5.0, 6.3.8). Text that cannot be a password is wrong
        immediately, for every account.
        """
        if not is_acceptable_input(password):
            return False
        return await self.run(self._verify, password, stored, share=share)

    def needs_rehash(self, stored: str) -> bool:
        """Returns whether the hash has another scheme or cost than new hashes."""
        if is_foreign(stored) or not self._context.identify(stored):
            return True
        return bool(self._context.needs_update(stored))

    def _hash_dummy(self) -> tuple[str, float]:
        # The CPU time of this thread, since the machine may be busy during the start.
        started_at = time.thread_time()
        dummy = self._context.hash("the password of the dummy hash")
        return dummy, max(time.thread_time() - started_at, 0.001)

    def _verify(self, password: str, stored: str | None) -> bool:
        if stored is not None:
            if is_foreign(stored):
                return verify_foreign(password, stored)
            try:
                return self._verify_with_passlib(password, stored)
            except MALFORMED_HASH_ERRORS:
                pass
        self._context.verify(normalise(password), self._dummy)
        return False

    def _verify_with_passlib(self, password: str, stored: str) -> bool:
        context = self._context if self._context.identify(stored) else self._imported_context
        scheme = context.identify(stored, required=True)
        if scheme == _DEFAULT_SCHEME:
            return bool(context.verify(normalise(password), stored))
        secret = password.encode()
        if scheme in {"bcrypt", "django_bcrypt"}:
            # bcrypt compares 72 bytes. bcrypt 5 raises for longer passwords.
            secret = secret[:BCRYPT_MAX_BYTES]
        return bool(context.verify(secret, stored))

    @cached_property
    def _imported_context(self) -> CryptContext:
        return CryptContext(schemes=list(IMPORTED_SCHEMES))

    async def run(
        self, work: Callable[..., T], *arguments: object, share: Share = Share.UNKNOWN
    ) -> T:
        """Runs work in the threads. Raises RateLimited if the queue is full."""
        if not self._has_room(share, self._pending):
            await self._reject()
        self._pending[share] += 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(share, work, *arguments)
        # Counted until the thread is done, also if the request was cancelled.
        future.add_done_callback(lambda _: _call_soon(loop, self._finished, share))
        try:
            return await asyncio.wrap_future(future)
        except WaitedTooLong:
            # Earlier hashes took longer than measured, since the machine is busy.
            raise RateLimited(self._pending_time()) from None

    def _has_room(self, share: Share, taken: Counter[Share]) -> bool:
        kept_for_others = sum(
            max(self._capacity // part - taken[other], 0)
            for other, part in _RESERVED.items()
            if other is not share
        )
        return taken.total() + kept_for_others < self._capacity

    async def _reject(self) -> NoReturn:
        """Raises RateLimited, after a delay, with the time that the queued hashes take."""
        retry_after = self._pending_time()
        if self._delayed_rejections < _MAX_DELAYED_REJECTIONS:
            self._delayed_rejections += 1
            try:
                # Ends early if the client disconnects.
                await pause(self._rejected_after.total_seconds())
            finally:
                self._delayed_rejections -= 1
        raise RateLimited(retry_after)

    def _pending_time(self) -> timedelta:
        pending = (self._pending + self._reserved).total()
        seconds = math.ceil(pending * self._seconds_each / self._threads)
        return timedelta(seconds=max(seconds, 1))

    @property
    def _capacity(self) -> int:
        if not self._seconds_each:
            return self._threads
        each_thread = max(2, math.ceil(QUEUE_MAX_SECONDS / self._seconds_each))
        return self._threads * each_thread

    def _finished(self, share: Share) -> None:
        self._pending[share] -= 1


def normalise(password: str) -> str:
    """Returns the NFC form, so that composed and decomposed input match (NIST SP 800-63B-4)."""
    return unicodedata.normalize("NFC", password)


def is_acceptable_input(password: str) -> bool:
    """Returns whether the text can be a password: up to 1024 characters, no NUL, no surrogates.

    Check it before slow work (Django CVE-2013-1443).
    """
    return len(password) <= PASSWORD_MAX_LENGTH and not any(
        c == "\0" or "\ud800" <= c <= "\udfff" for c in password
    )


def _call_soon(
    loop: asyncio.AbstractEventLoop, call: Callable[[Share], None], share: Share
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, share)
