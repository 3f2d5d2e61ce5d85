"""Pagination of lists."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Page:
    """A request for `limit` items after or before an ID, from the end if `backwards`."""

    limit: int
    after: UUID | None = None
    before: UUID | None = None
    backwards: bool = False
