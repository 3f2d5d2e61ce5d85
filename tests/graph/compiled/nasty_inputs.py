"""Arguments of the fuzzing schema, and fields that return them."""

import enum
from datetime import UTC, datetime
from typing import Annotated, Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from tests.graph.compiled.documents import Pools


@strawberry.enum
class Colour(enum.Enum):
    RED = "red"
    GREEN = 2
    BLUE = strawberry.enum_value("blau", name="VIOLET")


Loud = NewType("Loud", str)


def _shout(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"not loud: {type(value).__name__}")
    return value.upper()


LOUD: ScalarDefinition = strawberry.scalar(
    name="Loud", serialize=_shout, parse_value=lambda value: Loud(_shout(value).lower())
)


@strawberry.input
class Inner:
    n: int = 3
    tags: list[str] = strawberry.field(default_factory=lambda: ["a", "b"])
    when: datetime | None = strawberry.UNSET
    deeper: "Inner | None" = strawberry.UNSET


@strawberry.input
class Filter:
    needed: int
    inner: Inner | None = None
    many: list[Inner] | None = strawberry.UNSET
    grid: list[list[int | None]] | None = strawberry.UNSET
    perhaps: strawberry.Maybe[str]
    perhaps_null: strawberry.Maybe[str | None]
    colour: Colour = Colour.RED
    loud: Loud | None = None
    renamed: str | None = strawberry.field(name="otherName", default="default")


@strawberry.input(one_of=True)
class By:
    id: strawberry.ID | None = strawberry.UNSET
    name: str | None = strawberry.UNSET
    inner: Inner | None = strawberry.UNSET


@strawberry.type
class Echoes:
    """Fields that return their arguments."""

    @strawberry.field
    def ints(self, n: int = 5, m: int | None = strawberry.UNSET, k: int | None = None) -> str:
        return repr((n, m, k))

    @strawberry.field
    def texts(self, text: str, id: strawberry.ID | None = None) -> str | None:
        return text + str(id)

    @strawberry.field
    def numbers(self, x: float, yes: bool = True) -> float:
        return x if yes else -x

    @strawberry.field
    async def moment(self, at: datetime | None = strawberry.UNSET) -> datetime | None:
        return at or datetime(2026, 1, 2, 3, 4, 5, 6, UTC)

    @strawberry.field
    def colours(
        self, colour: Colour = Colour.GREEN, more: list[Colour] | None = None
    ) -> list[Colour]:
        return [colour, *(more or [])]

    @strawberry.field
    def louder(self, words: list[Loud], word: Loud | None = None) -> list[Loud]:
        return [*words, word or Loud("silence")]

    @strawberry.field
    def matrix(self, rows: list[list[int | None] | None]) -> list[list[int | None] | None]:
        return rows

    @strawberry.field
    def filtered(self, filter: Filter) -> str:
        return repr(filter)

    @strawberry.field
    async def filtered_later(self, filter: Filter | None = strawberry.UNSET) -> str:
        return repr(filter)

    @strawberry.field
    def many_filters(self, filters: list[Filter] | None = None) -> list[str] | None:
        return [repr(one) for one in filters] if filters is not None else None

    @strawberry.field
    def one_by(self, by: By) -> str:
        return repr(by)

    @strawberry.field
    def perhaps(self, value: strawberry.Maybe[int]) -> str:
        return repr(value)

    @strawberry.field
    def renamed(
        self, source_: Annotated[str | None, strawberry.argument(name="from")] = "here"
    ) -> str:
        return f"from {source_}"


POOLS: Pools = {
    "Int": [0, 1, 2, -7, 2**31 - 1],
    "Float": [0, 1, -2.5, 1e300],
    "String": ["", "a", "ümlaut \u2028", '"quoted\\"'],
    "ID": ["1", "x", 7],
    "Boolean": [True, False],
    "DateTime": ["2026-11-24T20:00:00Z", "2026-11-24T20:00:00.5+02:00"],
    "Loud": ["quiet", "MIXED case"],
}
