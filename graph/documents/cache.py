"""A bounded cache of prepared documents."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

Key = tuple[str, str | None]

# The share of the probationary segment. Documents that are sent once compete for it only.
PROBATION_SHARE = 0.25
# More uses do not keep an entry longer: the documents of an old release must be evicted.
MAX_USES = 1_000


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T
    weight: int
    uses: int = 0


class DocumentCache(Generic[T]):
    """A segmented LRU cache with weighted entries.

    An entry starts in the probationary segment. When it is used again, it moves to the protected
    segment if it has more uses than the entries that it would evict there. Each time an entry is
    compared and stays, it loses one use: frequent entries survive a flood, old ones leave.
    """

    def __init__(self, max_weight: int) -> None:
        self._probation = _Segment[T](int(max_weight * PROBATION_SHARE))
        self._protected = _Segment[T](max_weight - int(max_weight * PROBATION_SHARE))

    def __len__(self) -> int:
        return len(self._probation.entries) + len(self._protected.entries)

    def get(self, key: Key) -> T | None:
        """Returns the cached value."""
        entry = self._protected.use(key)
        if entry is None:
            entry = self._probation.use(key)
            if entry is None:
                return None
            if self._protected.make_room(entry):
                self._probation.remove(key)
                self._protected.put(key, entry)
        return entry.value

    def put(self, key: Key, value: T, weight: int) -> None:
        """Caches a value. Evicts the least recently used entries of the probationary segment."""
        self._probation.put(key, _Entry(value, weight))


class _Segment(Generic[T]):
    """A least-recently-used dictionary with weighted entries."""

    def __init__(self, max_weight: int) -> None:
        self.entries: OrderedDict[Key, _Entry[T]] = OrderedDict()
        self._max_weight = max_weight
        self._free = max_weight

    def use(self, key: Key) -> _Entry[T] | None:
        entry = self.entries.get(key)
        if entry is not None:
            self.entries.move_to_end(key)
            if entry.uses < MAX_USES:
                entry.uses += 1
        return entry

    def make_room(self, entry: _Entry[T]) -> bool:
        """Evicts entries with fewer uses. Returns whether there is room for the entry."""
        if entry.weight > self._max_weight:
            return False
        while self._free < entry.weight:
            key, oldest = next(iter(self.entries.items()))
            if oldest.uses >= entry.uses:
                oldest.uses -= 1
                return False
            self.remove(key)
        return True

    def put(self, key: Key, entry: _Entry[T]) -> None:
        self.remove(key)
        self.entries[key] = entry
        self._free -= entry.weight
        while self._free < 0:
            self.remove(next(iter(self.entries)))

    def remove(self, key: Key) -> None:
        entry = self.entries.pop(key, None)
        if entry is not None:
            self._free += entry.weight
