"""Completing values: conversion, null propagation, errors with path and location."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="no-any-return"

from collections.abc import Iterator
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, SourceLocation, Undefined
from strawberry.scalars import JSON

from tests.graph.compiled.running import errors_of, prepare, run


@strawberry.type
class Node:
    """Each field returns or raises `value`."""

    value: strawberry.Private[Any]

    @strawberry.field
    def may(self) -> str | None:
        return give(self.value)

    @strawberry.field
    def must(self) -> str:
        return give(self.value)

    @strawberry.field
    async def must_later(self) -> str:
        return give(self.value)

    @strawberry.field
    def strict(self) -> "Node":
        return self

    @strawberry.field
    def loose(self) -> "Node | None":
        return self

    @strawberry.field
    async def both(self) -> list["Node | None"]:
        return [Node(value="fine"), self]

    @strawberry.field
    def all(self) -> list["Node"] | None:
        return [Node(value="fine"), self]


def give(value: Any) -> Any:
    if isinstance(value, BaseException) and not isinstance(value, ReturnedError):
        raise value
    return value


class ReturnedError(Exception):
    """An error that resolvers return instead of raising it."""


def query(value: Any) -> type:
    @strawberry.type
    class Query:
        @strawberry.field
        def node(self) -> Node | None:
            return Node(value=value)

        @strawberry.field
        def sure(self) -> Node:
            return Node(value=value)

        @strawberry.field
        def word(self) -> str | None:
            return "word"

    return Query


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("{ node { may } word }", {"node": {"may": None}, "word": "word"}),
        ("{ node { must } word }", {"node": None, "word": "word"}),
        ("{ node { mustLater } word }", {"node": None, "word": "word"}),
        ("{ node { strict { strict { must } } } word }", {"node": None, "word": "word"}),
        ("{ node { loose { strict { must } } } }", {"node": {"loose": None}}),
        ("{ node { both { must } } }", {"node": {"both": [{"must": "fine"}, None]}}),
        ("{ node { both { mustLater } } }", {"node": {"both": [{"mustLater": "fine"}, None]}}),
        ("{ node { all { must } } }", {"node": {"all": None}}),
        ("{ node { all { mustLater } } }", {"node": {"all": None}}),
        ("{ word sure { must } }", None),
        ("{ word sure { mustLater } }", None),
    ],
)
@pytest.mark.parametrize("value", [None, ValueError("no")])
async def test_null_propagates_to_the_nearest_nullable_field(
    value: Any, text: str, data: Any
) -> None:
    result = await run(query(value), text)
    assert result.data == data
    assert bool(result.errors) == (value is not None or "must" in text)


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (Undefined, []),
        (ReturnedError("returned"), ["returned"]),
        (["list"], ["String cannot represent value: ['list']"]),
        (7, []),
    ],
)
async def test_unusual_value_is_an_error_or_is_converted(value: Any, messages: list[str]) -> None:
    result = await run(query(value), "{ node { may } }")
    assert [message for message, _, _ in errors_of(result)] == messages


class Proxy:
    """A proxy, which has the class of its target."""

    def __init__(self, target: object) -> None:
        self.target = target

    @property  # type: ignore[misc] # what proxies do
    def __class__(self) -> type:
        return type(self.target)

    def __str__(self) -> str:
        return str(self.target)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([ReturnedError("first"), ReturnedError("second")], "second"),
        (
            [Proxy("fine"), Proxy(ReturnedError("second"))],
            "exceptions must derive from BaseException",
        ),
    ],
    ids=["an error", "a proxy of an error"],
)
async def test_returned_error_is_an_error_each_time(values: list[Any], message: str) -> None:
    for value in values:
        last = await run(query(value), "{ node { may } }")
    assert [said for said, _, _ in errors_of(last)] == [message]


async def test_undefined_is_null_each_time() -> None:
    for _ in range(2):
        result = await run(query(Undefined), "{ node { may } }")
    assert (result.data, result.errors) == ({"node": {"may": None}}, None)


async def test_error_has_path_and_location() -> None:
    result = await run(query(ValueError("no")), "{ node {\n  both { theirs: may }\n} }")
    assert errors_of(result) == [("no", ["node", "both", 1, "theirs"], [SourceLocation(2, 10)])]


async def test_error_has_the_location_of_each_selection() -> None:
    text = "{ node { may ...F } } fragment F on Node { may }"
    ((_, _, locations),) = errors_of(await run(query(ValueError("no")), text))
    assert locations == [SourceLocation(1, 10), SourceLocation(1, 44)]


async def test_null_for_non_null_names_the_field() -> None:
    result = await run(query(None), "{ node { other: must } }")
    assert errors_of(result) == [
        (
            "Cannot return null for non-nullable field Node.must.",
            ["node", "other"],
            [SourceLocation(1, 10)],
        )
    ]


async def test_error_below_a_nulled_value_is_not_reported() -> None:
    text = "{ node { mustLater strict { mustLater } loose { mustLater } } }"
    compiled = await run(query(ValueError("no")), text)
    interpreted: Any = prepare(query(ValueError("no")), text).execute_uncompiled(None, None)
    if not isinstance(interpreted, ExecutionResult):
        interpreted = await interpreted
    assert errors_of(compiled) == errors_of(interpreted)


async def test_value_that_is_not_iterable_is_an_error() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def words(self) -> list[str] | None:
            wrong: Any = "words"
            return wrong

    result = await run(Query, "{ words }")
    message = "Expected Iterable, but did not find one for field 'Query.words'."
    assert [error[0] for error in errors_of(result)] == [message]


async def test_error_of_an_iterator_hides_the_error_of_its_aclose() -> None:
    class Broken:
        def __aiter__(self) -> "Broken":
            return self

        async def __anext__(self) -> str:
            raise ValueError("torn")

        async def aclose(self) -> None:
            raise KeyError("stuck")

    @strawberry.type
    class Query:
        @strawberry.field
        def words(self) -> list[str] | None:
            broken: Any = Broken()
            return broken

    assert errors_of(await run(Query, "{ words }")) == [("torn", ["words"], [SourceLocation(1, 3)])]


async def test_first_error_of_a_list_is_reported() -> None:
    def breaking() -> Iterator[Any]:
        yield None
        raise ValueError("broke off")

    @strawberry.type
    class Query:
        @strawberry.field
        def words(self) -> list[str] | None:
            broken: Any = breaking()
            return broken

    message = "Cannot return null for non-nullable field Query.words."
    assert errors_of(await run(Query, "{ words }")) == [
        (message, ["words", 0], [SourceLocation(1, 3)])
    ]


@strawberry.type
class Shop:
    @strawberry.field
    def count(self, basket: JSON) -> int:
        written: Any = basket
        written["things"] += 1
        return int(written["things"])


async def test_mutable_literal_is_parsed_for_each_run() -> None:
    operation = prepare(Shop, "{ count(basket: {things: 1}) }")
    for _ in range(2):
        assert (await operation.run()).data == {"count": 2}
