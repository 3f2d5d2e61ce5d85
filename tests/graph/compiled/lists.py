"""Random values for list fields."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from tests.graph.compiled.chance import Chance

Make = Callable[[Chance], Any]


class _BadlyClosed:
    """An asynchronous iterator that can fail, and always fails when it is closed."""

    def __init__(self, items: Sequence[Any], chance: Chance) -> None:
        self._items = iter(items)
        self._chance = chance

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            if self._chance.happens(self._chance.failing):
                raise ValueError("no more")
            return item
        raise StopAsyncIteration

    async def aclose(self) -> None:
        raise KeyError("cannot be closed")


class Reentrant:
    """An iterable that can be iterated repeatedly, but is not a sequence."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


def _generated(items: Sequence[Any], chance: Chance) -> Iterator[Any]:
    for item in items:
        yield item
        if chance.happens(chance.failing):
            raise ValueError("broke off")


async def _generated_later(items: Sequence[Any], chance: Chance) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item
        if chance.happens(chance.failing):
            raise ValueError("broke off later")


async def _after_a_turn(item: Any) -> Any:
    await asyncio.sleep(0)
    return item


def _awaited(items: Sequence[Any], chance: Chance) -> list[Any]:
    return [
        _after_a_turn(item) if chance.at("awaited", n).happens(0.5) else item
        for n, item in enumerate(items)
    ]


_KINDS: Sequence[Callable[[Sequence[Any], Chance], Any]] = [
    lambda items, _chance: list(items),
    lambda items, _chance: list(items),
    lambda items, _chance: tuple(items),
    lambda items, _chance: dict(enumerate(items)).values(),
    lambda items, _chance: Reentrant(items),
    _generated,
    _generated_later,
    _awaited,
    _BadlyClosed,
]


def some_in_some(chance: Chance, make: Make) -> Any:
    """Returns a list of lists. Only the outer one contains awaitables."""
    return some(chance, lambda place: [place.give_made(make), make(place.at("more"))])


def some(chance: Chance, make: Make) -> Any:
    """Returns some kind of iterable with a few items, or a failure."""
    if chance.happens(chance.failing):
        return chance.at("none").give([])
    places = [chance.at(n) for n in range(chance.among([0, 1, 2, 3, 3]))]
    return chance.among(_KINDS)([place.give_made(make) for place in places], chance.at("items"))
