"""What becomes of the values of resolvers: null goes up, errors know their place."""

# Resolvers may give anything, whatever they declare.
# mypy: disable-error-code="no-any-return"

from collections.abc import Iterator
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, SourceLocation, Undefined
from strawberry.scalars import JSON

from tests.graph.compiled.running import prepare, run, told


@strawberry.type
class Node:
    """`value` is what each of its fields gives."""

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
    """Given back instead of being raised."""


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
async def test_null_goes_up_to_where_it_may_stand(value: Any, text: str, data: Any) -> None:
    result = await run(query(value), text)
    assert result.data == data
    assert bool(result.errors) == (value is not None or "must" in text)


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (Undefined, []),
        (ReturnedError("given back"), ["given back"]),
        (["list"], ["String cannot represent value: ['list']"]),
        (7, []),
    ],
)
async def test_an_odd_value_is_an_error_or_none(value: Any, messages: list[str]) -> None:
    result = await run(query(value), "{ node { may } }")
    assert [message for message, _, _ in told(result)] == messages


class Named:
    """Says what it is called, unless it stands for an error."""

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
            [Named("fine"), Named(ReturnedError("second"))],
            "exceptions must derive from BaseException",
        ),
    ],
    ids=["an error", "what stands for an error"],
)
async def test_an_error_that_is_given_back_is_one_the_second_time_too(
    values: list[Any], message: str
) -> None:
    for value in values:
        last = await run(query(value), "{ node { may } }")
    assert [said for said, _, _ in told(last)] == [message]


async def test_undefined_is_null_the_second_time_too() -> None:
    for _ in range(2):
        result = await run(query(Undefined), "{ node { may } }")
    assert (result.data, result.errors) == ({"node": {"may": None}}, None)


async def test_an_error_says_where_it_came_in_the_reply_and_in_the_document() -> None:
    result = await run(query(ValueError("no")), "{ node {\n  both { theirs: may }\n} }")
    assert told(result) == [("no", ["node", "both", 1, "theirs"], [SourceLocation(2, 10)])]


async def test_an_error_names_each_place_that_asked_for_the_field() -> None:
    text = "{ node { may ...F } } fragment F on Node { may }"
    ((_, _, locations),) = told(await run(query(ValueError("no")), text))
    assert locations == [SourceLocation(1, 10), SourceLocation(1, 44)]


async def test_a_missing_value_names_the_field_that_must_have_one() -> None:
    result = await run(query(None), "{ node { other: must } }")
    assert told(result) == [
        (
            "Cannot return null for non-nullable field Node.must.",
            ["node", "other"],
            [SourceLocation(1, 10)],
        )
    ]


async def test_what_fails_below_a_value_that_is_null_already_is_not_told() -> None:
    text = "{ node { mustLater strict { mustLater } loose { mustLater } } }"
    compiled = await run(query(ValueError("no")), text)
    interpreted: Any = prepare(query(ValueError("no")), text).execute_uncompiled(None, None)
    if not isinstance(interpreted, ExecutionResult):
        interpreted = await interpreted
    assert told(compiled) == told(interpreted)


async def test_a_value_that_is_no_list_is_told() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def words(self) -> list[str] | None:
            wrong: Any = "words"
            return wrong

    result = await run(Query, "{ words }")
    message = "Expected Iterable, but did not find one for field 'Query.words'."
    assert [told[0] for told in told(result)] == [message]


async def test_a_list_that_cannot_be_closed_tells_why_it_was_closed() -> None:
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

    assert told(await run(Query, "{ words }")) == [("torn", ["words"], [SourceLocation(1, 3)])]


async def test_a_list_that_breaks_off_behind_an_error_tells_the_first() -> None:
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
    assert told(await run(Query, "{ words }")) == [(message, ["words", 0], [SourceLocation(1, 3)])]


@strawberry.type
class Shop:
    @strawberry.field
    def count(self, basket: JSON) -> int:
        written: Any = basket
        written["things"] += 1
        return int(written["things"])


async def test_a_literal_is_anew_for_each_run() -> None:
    operation = prepare(Shop, "{ count(basket: {things: 1}) }")
    for _ in range(2):
        assert (await operation.run()).data == {"count": 2}
