"""Remembers what was made of documents, within a bound, whoever sends how many."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

Key = tuple[str, str | None]

# A flood of documents that come once must not push out those that come again.
NEWCOMERS_SHARE = 0.25
# More uses than this do not keep an entry longer: documents of an old release must leave.
MAX_USES = 1_000


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T
    weight: int
    uses: int = 0


class DocumentCache(Generic[T]):
    """Entries by weight; those that are used again are kept apart from those that came once.

    A flood of documents that each come a few times does not push out those that come often: an
    entry is pushed out only by one with more uses, and loses one of its own each time it is not.
    """

    def __init__(self, max_weight: int) -> None:
        self._newcomers = _Shelf[T](int(max_weight * NEWCOMERS_SHARE))
        self._regulars = _Shelf[T](max_weight - int(max_weight * NEWCOMERS_SHARE))

    def __len__(self) -> int:
        return len(self._newcomers.items) + len(self._regulars.items)

    def get(self, key: Key) -> T | None:
        """What was kept."""
        entry = self._regulars.use(key)
        if entry is None:
            entry = self._newcomers.use(key)
            if entry is None:
                return None
            if self._regulars.make_room(entry):
                self._newcomers.take(key)
                self._regulars.put(key, entry)
        return entry.value

    def put(self, key: Key, value: T, weight: int) -> None:
        """Keeps it for as long as there is room."""
        self._newcomers.put(key, _Entry(value, weight))


class _Shelf(Generic[T]):
    """A least-recently-used dictionary whose entries have weights."""

    def __init__(self, max_weight: int) -> None:
        self.items: OrderedDict[Key, _Entry[T]] = OrderedDict()
        self._max_weight = max_weight
        self._room = max_weight

    def use(self, key: Key) -> _Entry[T] | None:
        entry = self.items.get(key)
        if entry is not None:
            self.items.move_to_end(key)
            if entry.uses < MAX_USES:
                entry.uses += 1
        return entry

    def make_room(self, entry: _Entry[T]) -> bool:
        """Removes entries with fewer uses than this one. Returns whether there is room for it."""
        if entry.weight > self._max_weight:
            return False
        while self._room < entry.weight:
            key, oldest = next(iter(self.items.items()))
            if oldest.uses >= entry.uses:
                oldest.uses -= 1
                return False
            self.take(key)
        return True

    def put(self, key: Key, entry: _Entry[T]) -> None:
        self.take(key)
        self.items[key] = entry
        self._room -= entry.weight
        while self._room < 0:
            self.take(next(iter(self.items)))

    def take(self, key: Key) -> None:
        entry = self.items.pop(key, None)
        if entry is not None:
            self._room += entry.weight
