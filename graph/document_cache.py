"""Remembers what was made of documents, within a bound, whoever sends how many."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")

Key = tuple[str, str | None]

# A flood of documents that come once must not push out those that come again.
NEWCOMERS_SHARE = 0.25


class DocumentCache(Generic[T]):
    """The most recently used, by weight; what came twice is kept apart from what came once."""

    def __init__(self, max_weight: int) -> None:
        self._newcomers = _Shelf[T](int(max_weight * NEWCOMERS_SHARE))
        self._regulars = _Shelf[T](max_weight - int(max_weight * NEWCOMERS_SHARE))

    def __len__(self) -> int:
        return len(self._newcomers.items) + len(self._regulars.items)

    def get(self, key: Key) -> T | None:
        """What was kept."""
        kept = self._regulars.items.get(key)
        if kept is not None:
            self._regulars.items.move_to_end(key)
            return kept[0]
        newcomer = self._newcomers.take(key)
        if newcomer is None:
            return None
        self._regulars.put(key, *newcomer)
        return newcomer[0]

    def put(self, key: Key, value: T, weight: int) -> None:
        """Keeps it for as long as there is room."""
        self._newcomers.put(key, value, weight)


class _Shelf(Generic[T]):
    """A least-recently-used dictionary whose entries have weights."""

    def __init__(self, max_weight: int) -> None:
        self.items: OrderedDict[Key, tuple[T, int]] = OrderedDict()
        self._room = max_weight

    def put(self, key: Key, value: T, weight: int) -> None:
        self.take(key)
        self.items[key] = (value, weight)
        self._room -= weight
        while self._room < 0:
            self.take(next(iter(self.items)))

    def take(self, key: Key) -> tuple[T, int] | None:
        item = self.items.pop(key, None)
        if item is not None:
            self._room += item[1]
        return item
