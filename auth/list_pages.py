"""How lists are cut into pages."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list: `limit` items after or before an id, from the end if `backwards`."""

    limit: int
    after: UUID | None = None
    before: UUID | None = None
    backwards: bool = False
