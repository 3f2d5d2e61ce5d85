"""Connections: paginated lists after the Relay specification, with keyset cursors."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Generic, Self, TypeVar
from uuid import UUID

import strawberry
from strawberry.relay import PageInfo

from auth.list_pages import Page
from graph.errors.graphql_errors import BadUserInput

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
_INVALID_CURSOR = "The cursor is invalid. Send a cursor that this list returned."

T = TypeVar("T")

First = Annotated[
    int | None,
    strawberry.argument(description="Number of items from the start, 1 to 100; 20 by default."),
]
After = Annotated[str | None, strawberry.argument(description="`endCursor` of the previous page.")]
Last = Annotated[
    int | None, strawberry.argument(description="Number of items from the end, 1 to 100.")
]
Before = Annotated[str | None, strawberry.argument(description="`startCursor` of the next page.")]


@strawberry.type
class Edge(Generic[T]):
    """An item and its cursor."""

    cursor: str = strawberry.field(description="Position of the item, for `after` and `before`.")
    node: T = strawberry.field(description="The item.")


@strawberry.type
class Connection(Generic[T]):
    """A page of a list."""

    nodes: list[T] = strawberry.field(description="The items of this page.")
    keys: strawberry.Private[list[UUID]]
    has_next: strawberry.Private[bool]
    has_previous: strawberry.Private[bool]

    @strawberry.field
    def edges(self) -> list[Edge[T]]:
        """The items with their cursors."""
        cursors = map(encode_cursor, self.keys)
        return [
            Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, self.nodes, strict=True)
        ]

    @strawberry.field
    def page_info(self) -> PageInfo:
        """The position of this page in the list."""
        return PageInfo(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=encode_cursor(self.keys[0]) if self.keys else None,
            end_cursor=encode_cursor(self.keys[-1]) if self.keys else None,
        )

    @classmethod
    def of(cls, items: Sequence[tuple[UUID, T]], *, has_next: bool, has_previous: bool) -> Self:
        """Returns a page of the items, each given with its key."""
        return cls(
            nodes=[item for _, item in items],
            keys=[key for key, _ in items],
            has_next=has_next,
            has_previous=has_previous,
        )


def read_page(first: int | None, after: str | None, last: int | None, before: str | None) -> Page:
    """Returns the page that the arguments of a connection ask for. Raises BadUserInput."""
    if last is not None and (first is not None or after is not None):
        raise BadUserInput("`last` cannot be combined with `first` or `after`.")
    if last is None and before is not None:
        raise BadUserInput("`before` requires `last`.")
    name, size = ("first", first) if last is None else ("last", last)
    limit = DEFAULT_PAGE_SIZE if size is None else size
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise BadUserInput(f"`{name}` must be from 1 to {MAX_PAGE_SIZE}.")
    return Page(
        limit=limit,
        after=decode_cursor(after),
        before=decode_cursor(before),
        backwards=last is not None,
    )


def encode_cursor(key: UUID) -> str:
    """Returns the cursor of an item, which is opaque to clients."""
    return urlsafe_b64encode(key.bytes).rstrip(b"=").decode()


def decode_cursor(cursor: str | None) -> UUID | None:
    """Returns the key of a cursor's item. Raises BadUserInput."""
    if cursor is None:
        return None
    try:
        key = UUID(bytes=urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise BadUserInput(_INVALID_CURSOR) from None
    if encode_cursor(key) != cursor:
        raise BadUserInput(_INVALID_CURSOR)
    return key
