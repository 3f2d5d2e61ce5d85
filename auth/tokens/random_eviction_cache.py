"""A cache with random eviction, whose hit rate falls gradually if more keys are used than fit.

In an LRU cache the hit rate falls to zero if one key too many is used in turn: each entry is
evicted just before its next use. With random eviction it is about the share of keys that fit.
"""

import random
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class RandomEvictionCache(Generic[K, V]):
    """Holds at most `max_entries`. A new entry replaces a random one if the cache is full."""

    __slots__ = ("_keys", "_max_entries", "_positions", "_random", "entries")

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        # Read only. Use the methods to write.
        self.entries: dict[K, V] = {}
        # The keys in any order and their positions, to choose and remove one in constant time.
        self._keys: list[K] = []
        self._positions: dict[K, int] = {}
        # Not for security. A separate generator, so that seeding `random` does not affect it.
        self._random = random.Random()  # noqa: S311

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, key: K, value: V) -> V | None:
        """Stores a value. Returns the value of the entry that was evicted, or None."""
        evicted = None
        if key not in self.entries:
            if len(self._keys) >= self._max_entries:
                evicted = self.pop(self._keys[self._random.randrange(len(self._keys))])
            self._positions[key] = len(self._keys)
            self._keys.append(key)
        self.entries[key] = value
        return evicted

    def pop(self, key: K) -> V | None:
        """Removes an entry and returns its value."""
        value = self.entries.pop(key, None)
        position = self._positions.pop(key, None)
        if position is not None:
            last = self._keys.pop()
            if position < len(self._keys):
                self._keys[position] = last
                self._positions[last] = position
        return value

    def clear(self) -> None:
        """Removes all entries."""
        self.entries.clear()
        self._keys.clear()
        self._positions.clear()
