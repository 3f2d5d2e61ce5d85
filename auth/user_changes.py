"""Waiting for a change of one user."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

from models.changes import ChangeFeed

# However long somebody wants to wait, they look at the clock again after this: it may have jumped.
LOOK_AGAIN_AFTER_SECONDS = 5.0
# Those who wait look at the database by turns, so that requests keep its connections.
LOOKS_AT_ONCE = 3


class Watch:
    """What one waiter holds."""

    def __init__(self, changes: ChangeFeed) -> None:
        self._changes = changes
        self.changed = asyncio.Event()

    async def wait(self, at_most_seconds: float) -> bool:
        """Waits for a change; whether there may have been one.

        It may while nobody can hear of changes, and after at most a few seconds it looks.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(at_most_seconds, 0), LOOK_AGAIN_AFTER_SECONDS)):
                await self.changed.wait()
        # The question itself may hear of a change.
        all_is_heard = self._changes.is_current()
        may_have_changed = self.changed.is_set() or not all_is_heard
        self.changed.clear()
        return may_have_changed


class Watchers:
    """Everybody in this process who waits."""

    def __init__(self, changes: ChangeFeed) -> None:
        self._changes = changes
        self._watches: defaultdict[UUID, set[Watch]] = defaultdict(set)
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)
        changes.add(self)

    @contextmanager
    def watch(self, user_id: UUID) -> Iterator[Watch]:
        """Hears of the user from now on."""
        watch = Watch(self._changes)
        self._watches[user_id].add(watch)
        try:
            with self._changes.awaited():
                yield watch
        finally:
            self._watches[user_id].discard(watch)
            if not self._watches[user_id]:
                del self._watches[user_id]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until few others look at the database."""
        async with self._turns:
            yield

    def user_changed(self, user_id: UUID) -> None:
        """Wakes those who wait for this user."""
        for watch in self._watches.get(user_id, ()):
            watch.changed.set()

    def everything_changed(self) -> None:
        """Wakes everybody."""
        for watches in self._watches.values():
            for watch in watches:
                watch.changed.set()
