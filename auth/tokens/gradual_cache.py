"""A cache that slows down gradually when more keys are in use than it has room for.

A cache that drops the least recently used entry serves nothing as soon as one key too many is used
in turn: each entry is dropped just before it is wanted again. This one drops an entry at random, so
that the share of hits is about the share of keys for which there is room.
"""

import random
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class GradualCache(Generic[K, V]):
    """At most `room` entries; a random one makes room for a new one."""

    __slots__ = ("_keys", "_positions", "_random", "_room", "entries")

    def __init__(self, room: int) -> None:
        self._room = room
        # For look-ups only: whatever writes here goes through the methods.
        self.entries: dict[K, V] = {}
        # The keys in any order, and where each of them stands, to choose and remove one at once.
        self._keys: list[K] = []
        self._positions: dict[K, int] = {}
        # Which entry goes is no secret, and a generator of its own is not shared by anything else.
        self._random = random.Random()  # noqa: S311

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, key: K, value: V) -> V | None:
        """Keeps the value; returns the value of the entry that made room for it."""
        dropped = None
        if key not in self.entries:
            if len(self._keys) >= self._room:
                dropped = self.pop(self._keys[self._random.randrange(len(self._keys))])
            self._positions[key] = len(self._keys)
            self._keys.append(key)
        self.entries[key] = value
        return dropped

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
        """Removes everything."""
        self.entries.clear()
        self._keys.clear()
        self._positions.clear()
