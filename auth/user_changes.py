"""Waits for changes of one user."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

from models.change_feed import ChangeFeed

# A longer wait returns after this, because the clock may have jumped.
MAX_WAIT_SECONDS = 5.0
# Limits the reads after a change, so that requests keep most of the database connections.
MAX_CONCURRENT_READS = 3


class Watch:
    """A watch on one user, for one waiter."""

    def __init__(self, changes: ChangeFeed) -> None:
        self._changes = changes
        self.changed = asyncio.Event()

    async def wait(self, at_most_seconds: float) -> bool:
        """Waits for a change. Returns whether there may have been one.

        While the change feed is disconnected there always may have been one.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(at_most_seconds, 0), MAX_WAIT_SECONDS)):
                await self.changed.wait()
        # Called first, because `is_current` may deliver a change.
        connected = self._changes.is_current()
        may_have_changed = self.changed.is_set() or not connected
        self.changed.clear()
        return may_have_changed


class Watchers:
    """The watches of this process."""

    def __init__(self, changes: ChangeFeed) -> None:
        self._changes = changes
        self._watches: defaultdict[UUID, set[Watch]] = defaultdict(set)
        self._reads = asyncio.Semaphore(MAX_CONCURRENT_READS)
        changes.add(self)

    @contextmanager
    def watch(self, user_id: UUID) -> Iterator[Watch]:
        """Watches the user while the block runs."""
        watch = Watch(self._changes)
        self._watches[user_id].add(watch)
        try:
            with self._changes.polling():
                yield watch
        finally:
            self._watches[user_id].discard(watch)
            if not self._watches[user_id]:
                del self._watches[user_id]

    @asynccontextmanager
    async def read_slot(self) -> AsyncIterator[None]:
        """Waits until few other waiters read the database."""
        async with self._reads:
            yield

    def user_changed(self, user_id: UUID) -> None:
        """Wakes the waiters of this user."""
        for watch in self._watches.get(user_id, ()):
            watch.changed.set()

    def everything_changed(self) -> None:
        """Wakes all waiters."""
        for watches in self._watches.values():
            for watch in watches:
                watch.changed.set()
