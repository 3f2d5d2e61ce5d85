"""The context, interfaces and leaf types of the fuzzing schema."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Generic, TypeVar

import strawberry

from tests.graph.compiled.chance import Chance, Later
from tests.graph.compiled.nasty_inputs import Colour, Loud

T = TypeVar("T")


class Context:
    """The context of one execution."""

    def __init__(self, seed: str, failing: float) -> None:
        self.chance = Chance(seed, failing)
        # The calls, in order.
        self.calls: list[str] = []
        self.basket: list[int] = []

    def at(self, *steps: object) -> Chance:
        """Records the call, and returns the Chance of its path."""
        self.calls.append("/".join(map(str, steps)))
        return self.chance.at(*steps)


Info = strawberry.Info[Context, None]


def here(info: Info) -> Chance:
    """Returns the Chance of the current field."""
    return info.context.at(*info.path.as_list())


@strawberry.interface
class Node:
    """An interface whose types are resolved by class."""

    id: strawberry.ID
    chance: strawberry.Private[Chance]

    @strawberry.field
    def label(self) -> str:
        return f"{self.chance.give('label')}"


@strawberry.interface
class Named:
    """An interface whose `resolve_type` sometimes returns a wrong type."""

    title: str | None

    @classmethod
    def resolve_type(cls, value: Any, info: Any, abstract: Any) -> Any:
        chance = info.context.at("type of", *info.path.as_list(), value.chance.seed)
        name = type(value).__name__
        if chance.happens(chance.failing):
            return chance.give(chance.among([None, "", "Nothing", "Echoes", "Colour", 7, Later(1)]))
        return Later(name) if chance.happens(0.3) else name


def info_of(info: Info) -> str:
    """Returns what a resolver without `self` reads of its operation."""
    raw = info._raw_info
    operation = info.operation
    return repr(
        [
            info.field_name,
            info.python_name,
            info.path.as_list(),
            [step.typename for step in _steps(info.path)],
            sorted(info.variable_values.items()),
            [
                (getattr(field, "name", None), len(field.selections))
                for field in info.selected_fields
            ],
            str(info.return_type),
            info.root_value,
            operation.operation.value,
            operation.name and operation.name.value,
            str(raw.parent_type),
            len(raw.field_nodes),
            sorted(raw.fragments),
            info.schema is raw.schema.extensions["strawberry-definition"],
        ]
    )


def _steps(path: Any) -> list[Any]:
    steps = []
    while path:
        steps.append(path)
        path = path.prev
    return steps


def nothing_wanted() -> str:
    return "nothing"


def root_wanted(root: Any) -> str:
    return type(root).__name__


@strawberry.type
class Page(Generic[T]):
    """A generic type."""

    items: list[T]
    first: T | None
    number: int = 1


@strawberry.type
class Plain:
    """A type with attributes only."""

    id: strawberry.ID
    text: str | None
    count: int
    ratio: float | None
    on: bool
    when: datetime | None
    colour: Colour | None
    loud: Loud
    tags: list[str]
    holes: list[str | None] | None
    grid: list[list[int | None]] | None
    defaulted: str = "by default"


class Impostor(Plain):
    """A type with properties that may fail."""

    def __getattribute__(self, name: str) -> Any:
        if name == "text":
            raise AttributeError("no text")
        return 7 if name == "count" else super().__getattribute__(name)


def plain(chance: Chance) -> Plain:
    """Returns an object with each kind of leaf, some of them invalid."""
    make = Impostor if chance.happens(chance.failing) else Plain
    values: dict[str, Any] = {
        "id": "1",
        "text": chance.among(["text", None]),
        "count": 3,
        "ratio": chance.among([0.5, 2, None]),
        "on": False,
        "when": chance.among([_UTC, _ELSEWHERE]),
        "colour": chance.among([*Colour, None]),
        "loud": Loud("loud"),
        "tags": ["a", "b"],
        "holes": ["a", None],
        "grid": [[1, None], []],
    }
    return make(**{name: chance.at(name).give(value) for name, value in values.items()})


_UTC = datetime(2026, 1, 1, tzinfo=UTC)
_ELSEWHERE = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=-3)))
