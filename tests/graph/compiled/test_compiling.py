"""Compiling operations: which ones are compiled, and which run on graphql-core."""

import asyncio
import gc
from itertools import product
from typing import Annotated, Any

import pytest
import strawberry

from graph.compiled.compiled_operation import MAX_VARIANTS
from tests.graph.compiled.running import prepare


@strawberry.type
class Leaf:
    name: str = "leaf"


@strawberry.type
class Twig:
    leaves: int = 2


@strawberry.type
class Query:
    @strawberry.field
    def leaf(self) -> Leaf:
        return Leaf()

    @strawberry.field
    async def either(self, twig: bool = False) -> Annotated[Leaf | Twig, "Either"]:
        return Twig() if twig else Leaf()

    @strawberry.field
    def word(self, info: strawberry.Info[dict[str, str], None], nth: int = 1) -> str:
        return f"{(info.context or {}).get('word', 'word')} {nth}"


COMPILED = [
    "{ leaf { name } }",
    "{ __typename leaf { __typename } }",
    "query ($n: Int = 2) { word(nth: $n) one: word }",
    "query ($a: Boolean = true) { word @skip(if: $a) leaf @include(if: $a) { name } }",
    "{ ...F leaf { ... { ... on Leaf { name } } } } fragment F on Query { word }",
    "{ either(twig: true) { ... on Leaf { name } ... on Twig { leaves } __typename } }",
    "query A { word } query B { __schema { types { name } } }",
]
INTERPRETED = [
    "{ __schema { types { name } } }",
    '{ word __type(name: "Leaf") { name } }',
    "{ ...F } fragment F on Query { __schema { queryType { name } } }",
]


@pytest.mark.parametrize("text", COMPILED)
async def test_operation_is_compiled(text: str) -> None:
    operation = prepare(Query, text)
    result = await operation.run()
    assert (operation.interpreted, result.errors) == (0, None)


@pytest.mark.parametrize("text", INTERPRETED)
async def test_introspection_runs_on_graphql_core(text: str) -> None:
    operation = prepare(Query, text)
    result = await operation.run()
    assert (operation.interpreted, result.errors) == (1, None)


def switched(count: int) -> str:
    """Returns an operation with `count` fields with `@include`."""
    declared = ", ".join(f"$v{n}: Boolean!" for n in range(count))
    fields = " ".join(f"w{n}: word @include(if: $v{n})" for n in range(count))
    return f"query ({declared}) {{ {fields} }}"


async def test_each_combination_of_switches_is_compiled() -> None:
    operation = prepare(Query, switched(2))
    for one, other in product([True, False], repeat=2):
        result = await operation.run({"v0": one, "v1": other})
        assert list(result.data or {}) == ["w0"] * one + ["w1"] * other
    assert operation.interpreted == 0


async def test_number_of_compiled_combinations_is_limited() -> None:
    operation = prepare(Query, switched(5))
    for values in product([True, False], repeat=5):
        result = await operation.run({f"v{n}": value for n, value in enumerate(values)})
        assert list(result.data or {}) == [f"w{n}" for n, value in enumerate(values) if value]
    assert operation.interpreted == 2**5 - MAX_VARIANTS


async def test_compiled_combination_stays_compiled() -> None:
    operation = prepare(Query, switched(5))
    for values in [*product([True, False], repeat=5), (True,) * 5]:
        before = operation.interpreted
        await operation.run({f"v{n}": value for n, value in enumerate(values)})
    assert operation.interpreted == before


async def test_null_for_a_switch_is_an_error_of_its_parent() -> None:
    text = "query ($a: Boolean = true) { leaf { name @skip(if: $a) } }"
    operation = prepare(Query, text)
    result = await operation.run({"a": None})
    assert result.data is None
    assert [error.path for error in result.errors or []] == [["leaf"]]
    assert (await operation.run({"a": False})).data == {"leaf": {"name": "leaf"}}
    assert operation.interpreted == 1


async def test_invalid_variables_are_refused_before_execution() -> None:
    operation = prepare(Query, "query ($n: Int!) { word(nth: $n) }")
    result = await operation.run({"n": "one"})
    assert (result.data, len(result.errors or [])) == (None, 1)
    assert operation.interpreted == 0


async def test_synchronous_operation_returns_its_result_directly() -> None:
    result: Any = prepare(Query, "{ word leaf { name } }").execute(None, None)
    assert result.data == {"word": "word 1", "leaf": {"name": "leaf"}}


async def test_concurrent_requests_do_not_interfere() -> None:
    operation = prepare(Query, "query ($n: Int) { either { __typename } word(nth: $n) }")
    results = await asyncio.gather(
        *(operation.run({"n": n}, {"word": f"word of {n}"}) for n in range(50))
    )
    words = [(result.data or {})["word"] for result in results]
    assert words == [f"word of {n} {n}" for n in range(50)]


async def test_changed_arguments_do_not_reach_the_next_request() -> None:
    @strawberry.type
    class Keeper:
        @strawberry.field
        def kept(self, words: list[str]) -> list[str]:
            words.append("more")
            return words

    operation = prepare(Keeper, '{ kept(words: ["one"]) }')
    assert [(await operation.run()).data for _ in range(2)] == [{"kept": ["one", "more"]}] * 2


def spread(times: int) -> str:
    """Returns a short document with 2 ** times fields."""
    lines = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(times)]
    return " ".join(["{ ...F0 }", *lines, f"fragment F{times} on Query {{ word }}"])


async def test_operation_with_too_many_fields_runs_on_graphql_core() -> None:
    operation = prepare(Query, spread(10))
    result = await operation.run()
    assert (operation.interpreted, result.data) == (1, {"word": "word 1"})


async def test_field_limit_holds_for_all_variants_together() -> None:
    fields = " ".join(f"w{n}: word @skip(if: $a{n % 4})" for n in range(200))
    declared = ", ".join(f"$a{n}: Boolean!" for n in range(4))
    operation = prepare(Query, f"query ({declared}) {{ {fields} }}")
    for values in product([True, False], repeat=4):
        await operation.run({f"a{n}": value for n, value in enumerate(values)})
    assert operation.interpreted == 14


async def test_compiled_operation_keeps_no_values_of_the_request() -> None:
    operation = prepare(Query, "query ($n: Int!, $a: Boolean!) { word(nth: $n) @skip(if: $a) }")
    await operation.run({"n": 271_828_182, "a": False})
    gc.collect()
    assert not [kept for kept in gc.get_objects() if _contains(kept, 271_828_182)]


def _contains(kept: object, number: int) -> bool:
    return isinstance(kept, dict) and any(value is number for value in kept.values())
