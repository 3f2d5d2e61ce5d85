"""Hashing and verifying passwords, off the event loop and beside it.

bcrypt takes a fifth of a second by intent. It runs in a few threads of a lower priority than the
event loop, behind a bounded queue. A storm of logins slows down logins and nothing else. A request
that would wait too long is refused after a second. Each share has reserved places and its turns, so
that registrations cannot keep logins out, nor strangers the owners of accounts.
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
from auth.passwords.foreign_hashes import UNREADABLE, is_foreign, verify_foreign
from auth.passwords.hash_threads import HashThreads, WaitedTooLong
from models.waits import pause

PASSWORD_MAX_LENGTH = 1024
BCRYPT_MAX_BYTES = 72
# Longer than this nobody waits: a person would have pressed the button again.
QUEUE_MAX_SECONDS = 5.0
# On a busy machine the queue takes longer. An operation is cut off at ten seconds.
BEGUN_WITHIN_SECONDS = 7.5
# Two clients that try again at once would take the core from the threads that hash.
REFUSED_AFTER = timedelta(seconds=1)
# More are refused at once: each holds a connection and a request.
_REFUSALS_DELAYED = 1_000

_OURS = "bcrypt_sha256"
_BCRYPT = (_OURS, "bcrypt")
# What accounts were imported with; to read them takes a megabyte.
_IMPORTED = (
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
    """What a hash is for, which decides about its place in the queue."""

    # Sign-ins from devices that have signed in before, and proofs of a signed-in user.
    KNOWN = auto()
    # Sign-ins from unknown devices.
    UNKNOWN = auto()
    # Everything else, above all registrations.
    OTHER = auto()


# The parts of the queue that no other share can take.
_RESERVED = {Share.KNOWN: 4, Share.UNKNOWN: 4}


class Passwords:
    """Hashes and verifies. `start` must have run before the first use."""

    def __init__(
        self, *, cost: int, threads: int | None = None, refused_after: timedelta = REFUSED_AFTER
    ) -> None:
        self._context = CryptContext(
            schemes=list(_BCRYPT), deprecated="auto", bcrypt_sha256__rounds=cost
        )
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = HashThreads(Share, threads=self._threads, wait_seconds=BEGUN_WITHIN_SECONDS)
        self._dummy = ""
        self._seconds_each = 0.0
        self._pending: Counter[Share] = Counter()
        self._coming: Counter[Share] = Counter()
        self._refused_after = refused_after
        self._refusals_delayed = 0

    async def start(self) -> None:
        """Makes the dummy hash, and measures by it how long a hash takes here."""
        self._dummy, self._seconds_each = await self._run(self._hash_dummy)

    def stop(self) -> None:
        """Drops what waits and ends the threads."""
        self._pool.stop()

    @property
    def pending(self) -> int:
        """How many hashes are being made, or wait for it."""
        return self._pending.total()

    def has_room(self, share: Share) -> bool:
        """Whether the queue takes another hash of this share."""
        return self._has_room(share, self._pending)

    @asynccontextmanager
    async def place_in_queue(self, share: Share) -> AsyncIterator[None]:
        """Keeps a place in the queue while something is looked up. Raises RateLimited.

        A request that will not be let in is refused before it asks the database: in a storm of
        logins all of them would wait there, and everything else with them.
        """
        if not self._has_room(share, self._pending + self._coming):
            await self._refuse()
        self._coming[share] += 1
        try:
            yield
        finally:
            self._coming[share] -= 1

    async def hash(self, password: str, *, share: Share = Share.OTHER) -> str:
        """The hash to store. Raises RateLimited when too many wait already."""
        return await self._run(self._context.hash, normalise(password), share=share)

    async def verify(
        self, password: str, stored: str | None, *, share: Share = Share.UNKNOWN
    ) -> bool:
        """Whether the password is the one that was hashed. Raises RateLimited.

        Without a hash (no such user, no password yet) the same time is spent for nothing, or the
        clock would tell who has an account (ASVS 5.0, 6.3.8). Text that can be nobody's password
        is wrong at once, whoever is asked for.
        """
        if not is_acceptable_input(password):
            return False
        return await self._run(self._verify, password, stored, share=share)

    def needs_rehash(self, stored: str) -> bool:
        """Whether the hash is of another kind or cost than those made today."""
        if is_foreign(stored) or not self._context.identify(stored):
            return True
        return bool(self._context.needs_update(stored))

    def _hash_dummy(self) -> tuple[str, float]:
        # The time of this thread alone: a machine that is busy while we start is so for now only.
        began = time.thread_time()
        dummy = self._context.hash("a password that nobody has")
        return dummy, max(time.thread_time() - began, 0.001)

    def _verify(self, password: str, stored: str | None) -> bool:
        if stored is not None:
            if is_foreign(stored):
                return verify_foreign(password, stored)
            try:
                return self._verify_known(password, stored)
            except UNREADABLE:
                pass
        self._context.verify(normalise(password), self._dummy)
        return False

    def _verify_known(self, password: str, stored: str) -> bool:
        context = self._context if self._context.identify(stored) else self._imported
        scheme = context.identify(stored, required=True)
        if scheme == _OURS:
            return bool(context.verify(normalise(password), stored))
        secret = password.encode()
        if scheme in {"bcrypt", "django_bcrypt"}:
            # The old system compared these bytes and no more; bcrypt 5 raises for longer ones.
            secret = secret[:BCRYPT_MAX_BYTES]
        return bool(context.verify(secret, stored))

    @cached_property
    def _imported(self) -> CryptContext:
        return CryptContext(schemes=list(_IMPORTED))

    async def _run(
        self, work: Callable[..., T], *arguments: object, share: Share = Share.UNKNOWN
    ) -> T:
        if not self._has_room(share, self._pending):
            await self._refuse()
        self._pending[share] += 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(share, work, *arguments)
        # Counted until the thread is done, even if the request that waits for it is given up.
        future.add_done_callback(lambda _: _call_soon(loop, self._finished, share))
        try:
            return await asyncio.wrap_future(future)
        except WaitedTooLong:
            # The hashes of others took longer than expected: the machine is busy with other work.
            raise RateLimited(self._time_of_pending()) from None

    def _has_room(self, share: Share, taken: Counter[Share]) -> bool:
        kept_free = sum(
            max(self._capacity // part - taken[other], 0)
            for other, part in _RESERVED.items()
            if other is not share
        )
        return taken.total() + kept_free < self._capacity

    async def _refuse(self) -> NoReturn:
        """Raises RateLimited, with the time that the hashes of now take."""
        retry_after = self._time_of_pending()
        if self._refusals_delayed < _REFUSALS_DELAYED:
            self._refusals_delayed += 1
            try:
                # An abandoned request must not count as an unfinished operation for a second.
                await pause(self._refused_after.total_seconds())
            finally:
                self._refusals_delayed -= 1
        raise RateLimited(retry_after)

    def _time_of_pending(self) -> timedelta:
        pending = (self._pending + self._coming).total()
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
    """NFC: the same text typed composed or decomposed is the same password (NIST SP 800-63B-4)."""
    return unicodedata.normalize("NFC", password)


def is_acceptable_input(password: str) -> bool:
    """Whether the text can be anybody's password at all.

    Asked before anything slow is done with it (Django CVE-2013-1443): at most 1024 characters, no
    NUL, no half of a surrogate pair.
    """
    return len(password) <= PASSWORD_MAX_LENGTH and not any(
        c == "\0" or "\ud800" <= c <= "\udfff" for c in password
    )


def _call_soon(
    loop: asyncio.AbstractEventLoop, call: Callable[[Share], None], share: Share
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, share)
