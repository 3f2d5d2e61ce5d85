"""A cache of sessions with their users, kept coherent by the change feed.

A request of a cached viewer needs no query. While the change feed is disconnected, the cache is not
used.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth.records import UserRecord
from auth.tokens.random_eviction_cache import RandomEvictionCache
from models.change_feed import ChangeFeed

MAX_VIEWERS = 20_000
# The change feed reports every change. This limits the damage if a trigger was dropped by hand or a
# former primary database still answers.
MAX_AGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A session and its user, as they were when the rows were read."""

    session_id: UUID
    user: UserRecord
    revoked_at: datetime | None
    idle_expires_at: datetime
    expires_at: datetime


class ViewerCache:
    """A bounded cache of sessions with their users, roles and permissions."""

    def __init__(
        self,
        changes: ChangeFeed,
        *,
        max_viewers: int = MAX_VIEWERS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changes = changes
        self._monotonic = monotonic
        # Keyed by the integer of the session ID, because hashing a UUID is slow.
        self._entries = RandomEvictionCache[int, tuple[float, SignedInUser]](max_viewers)
        self._sessions_of: defaultdict[UUID, set[int]] = defaultdict(set)
        self._version = 0
        changes.add(self)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, session_id: UUID) -> SignedInUser | None:
        """Returns the cached session; None if there is none or the change feed is disconnected."""
        if not self._changes.is_current():
            return None
        number = session_id.int
        entry = self._entries.entries.get(number)
        if entry is None:
            return None
        expires_at, found = entry
        if self._monotonic() >= expires_at:
            self._remove(number)
            return None
        return found

    def version(self) -> int:
        """Returns the version to pass to `put`. Call it before the rows are read."""
        self._changes.is_current()
        return self._version

    def put(self, found: SignedInUser, version: int) -> None:
        """Caches what was read, unless something has changed since `version`."""
        if not self._changes.is_current() or self._version != version:
            return
        number = found.session_id.int
        self._remove(number)
        evicted = self._entries.put(number, (self._monotonic() + MAX_AGE_SECONDS, found))
        self._sessions_of[found.user.id].add(number)
        if evicted is not None:
            self._remove_session_of_user(evicted[1])

    def user_changed(self, user_id: UUID) -> None:
        """Removes the sessions of a user."""
        self._version += 1
        for number in list(self._sessions_of.get(user_id, ())):
            self._remove(number)

    def everything_changed(self) -> None:
        """Removes all entries."""
        self._version += 1
        self._entries.clear()
        self._sessions_of.clear()

    def _remove(self, number: int) -> None:
        entry = self._entries.pop(number)
        if entry is not None:
            self._remove_session_of_user(entry[1])

    def _remove_session_of_user(self, found: SignedInUser) -> None:
        sessions = self._sessions_of[found.user.id]
        sessions.discard(found.session_id.int)
        if not sessions:
            del self._sessions_of[found.user.id]
