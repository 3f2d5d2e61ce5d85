"""The viewers that this process has met, for as long as the database vouches for them.

With the cache warm a request needs no query; without it everything works the same, only slower.
"""

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth.records import UserRecord
from auth.tokens.gradual_cache import GradualCache
from models.changes import ChangeFeed

MAX_VIEWERS = 20_000
# The feed tells of every change; should a trigger have been dropped by hand, or a fenced-off
# database still answer, nothing is believed for longer than this.
BELIEVED_FOR_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A session and its account, as the rows were when they were read."""

    session_id: UUID
    user: UserRecord
    revoked_at: datetime | None
    idle_expires_at: datetime
    expires_at: datetime


class ViewerCache:
    """Sessions with their accounts, roles and permissions."""

    def __init__(self, changes: ChangeFeed, *, max_viewers: int = MAX_VIEWERS) -> None:
        self._changes = changes
        # By the number of the session's id: hashing a UUID is slow.
        self._kept = GradualCache[int, tuple[float, SignedInUser]](max_viewers)
        self._sessions_of: defaultdict[UUID, set[int]] = defaultdict(set)
        self._changes_heard = 0
        changes.add(self)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, session_id: UUID) -> SignedInUser | None:
        """What is known of a session; nothing while nobody can vouch for it."""
        if not self._changes.is_current():
            return None
        number = session_id.int
        kept = self._kept.entries.get(number)
        if kept is None:
            return None
        believed_until, found = kept
        if time.monotonic() >= believed_until:
            self._forget(number)
            return None
        return found

    def mark(self) -> int:
        """The moment before a look at the database; `keep` wants it back."""
        self._changes.is_current()
        return self._changes_heard

    def keep(self, found: SignedInUser, mark: int) -> None:
        """Remembers what was read since the mark, unless anything has changed meanwhile."""
        if not self._changes.is_current() or self._changes_heard != mark:
            return
        number = found.session_id.int
        self._forget(number)
        dropped = self._kept.put(number, (time.monotonic() + BELIEVED_FOR_SECONDS, found))
        self._sessions_of[found.user.id].add(number)
        if dropped is not None:
            self._unlist(dropped[1])

    def user_changed(self, user_id: UUID) -> None:
        """Forgets a user."""
        self._changes_heard += 1
        for number in list(self._sessions_of.get(user_id, ())):
            self._forget(number)

    def everything_changed(self) -> None:
        """Forgets everybody."""
        self._changes_heard += 1
        self._kept.clear()
        self._sessions_of.clear()

    def _forget(self, number: int) -> None:
        kept = self._kept.pop(number)
        if kept is not None:
            self._unlist(kept[1])

    def _unlist(self, found: SignedInUser) -> None:
        sessions = self._sessions_of[found.user.id]
        sessions.discard(found.session_id.int)
        if not sessions:
            del self._sessions_of[found.user.id]
