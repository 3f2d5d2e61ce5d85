"""Random decisions that depend only on a seed and the path in the reply."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from functools import cached_property
from random import Random
from typing import Any, TypeVar

import strawberry
from graphql import GraphQLError, Undefined

from auth.errors import Forbidden, LastAdmin, TokenMissing
from graph.errors.graphql_errors import BadUserInput

T = TypeVar("T")


class Odd:
    """A value that fits no type, with a constant `repr`."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Later(Odd):
    """An awaitable that is not a coroutine, so it may stay unawaited."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def _raised(make: Callable[[], Exception]) -> Callable[[Any], Any]:
    def raise_it(_value: Any) -> Any:
        raise make()

    return raise_it


# Failures: what a resolver may return or raise instead of its value.
FAILURES: Sequence[Callable[[Any], Any]] = [
    _raised(lambda: ValueError("broken")),
    _raised(lambda: KeyError("missing")),
    _raised(lambda: GraphQLError("told", extensions={"code": "TOLD"})),
    _raised(lambda: GraphQLError("told elsewhere", path=["else", 1])),
    _raised(lambda: BadUserInput("ask for less")),
    _raised(TokenMissing),
    _raised(lambda: Forbidden("things:do")),
    _raised(LastAdmin),
    _raised(lambda: ExceptionGroup("several", [ValueError("one"), KeyError("two")])),
    lambda _value: None,
    lambda _value: None,
    lambda _value: Undefined,
    lambda _value: strawberry.UNSET,
    lambda _value: ValueError("returned"),
    lambda _value: GraphQLError("told by returning", extensions={"code": "RETURNED"}),
    lambda _value: Odd(),
    lambda _value: float("inf"),
    lambda _value: 10**20,
    lambda _value: True,
    lambda _value: "",
    lambda value: [value],
    lambda value: {"name": value},
    Later,
    lambda _value: Later(None),
    lambda _value: Later(ValueError("broken later")),
]


class Chance:
    """Decides for one path, and for those below it."""

    def __init__(self, seed: str, failing: float) -> None:
        self.seed = seed
        self.failing = failing

    def at(self, *steps: object) -> "Chance":
        """Returns the Chance of a path below this one."""
        return Chance(f"{self.seed}/{'/'.join(map(str, steps))}", self.failing)

    @cached_property
    def _die(self) -> Random:
        return Random(self.seed)

    def happens(self, probability: float) -> bool:
        return self._die.random() < probability

    def among(self, choices: Sequence[T]) -> T:
        return self._die.choice(choices)

    def give(self, value: Any) -> Any:
        """Returns the value, or a failure."""
        return self.among(FAILURES)(value) if self.happens(self.failing) else value

    def give_made(self, make: "Callable[[Chance], Any]") -> Any:
        """Returns a new value, or a failure."""
        return self.give(None) if self.happens(self.failing) else make(self)

    async def give_later(self, value: Any) -> Any:
        """Returns the value or a failure, after a few turns of the event loop."""
        for _ in range(self.among([0, 1, 1, 3])):
            await asyncio.sleep(0)
        return self.give(value)
