"""Query cost."""

from typing import Any

import pytest
import strawberry
from graphql import OperationDefinitionNode, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.documents.costs import ASSUMED_LIST, ASSUMED_PAGE, CostMeter
from tests.api import Api, denials
from tests.contracts.test_schema_style import SCHEMA


def meter(text: str) -> CostMeter:
    document = parse(text)
    operation = next(n for n in document.definitions if isinstance(n, OperationDefinitionNode))
    return CostMeter(SCHEMA, document, operation)


def cost(text: str, variables: dict[str, Any] | None = None) -> int:
    return meter(text).measure(variables or {})


def page(size: int, each: int = 1) -> int:
    """Returns the cost of `users { nodes { … } }` with `size` nodes of cost `each`."""
    return 1 + 1 + size * each


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{ me { id username } }", 3),
        ("{ me { id ... { version } ... on User { email } } }", 4),
        ("{ __typename }", 1),
        ("{ __schema { types { name } } }", 1),
        ("{ roles { id name } }", 1 + 2 * ASSUMED_LIST),
        ("{ me { roles { id } } }", 1 + 1 + ASSUMED_LIST),
        ("mutation { logout { endedSessions errors { code } } }", 1 + 1 + 1 + ASSUMED_LIST),
    ],
)
def test_field_costs_one_and_list_costs_its_assumed_size(text: str, wanted: int) -> None:
    assert cost(text) == wanted


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ("", ASSUMED_PAGE),
        ("(first: 7)", 7),
        ("(last: 7)", 7),
        ("(first: 0)", 1),
        ("(first: -7)", 1),
        ("(first: null)", ASSUMED_PAGE),
        ("(first: null, last: 7)", 7),
        ('(search: "first")', ASSUMED_PAGE),
        ("(first: 1, last: 90)", 90),
        ("(last: 90, first: 1)", 90),
        ("(first: 90, last: 1)", 90),
    ],
)
def test_page_costs_the_size_in_the_document(arguments: str, size: int) -> None:
    assert cost(f"{{ users{arguments} {{ nodes {{ id }} }} }}") == page(size)


@pytest.mark.parametrize(
    ("declared", "variables", "size"),
    [
        ("$n: Int", {"n": 7}, 7),
        ("$n: Int", {}, ASSUMED_PAGE),
        ("$n: Int", {"n": None}, ASSUMED_PAGE),
        ("$n: Int", {"n": "7"}, ASSUMED_PAGE),
        ("$n: Int = 9", {}, 9),
        ("$n: Int = 9", {"n": 7}, 7),
        ("$n: Int = 9", {"n": None}, ASSUMED_PAGE),
    ],
)
def test_page_costs_the_size_in_the_variable(
    declared: str, variables: dict[str, Any], size: int
) -> None:
    text = f"query ({declared}) {{ users(first: $n) {{ nodes {{ id }} }} }}"
    assert cost(text, variables) == page(size)


def test_page_costs_the_larger_of_a_literal_and_a_variable() -> None:
    text = "query ($n: Int) { users(first: 1, last: $n) { nodes { id } } }"
    assert meter(text).size_variables == ("n",)
    assert cost(text, {"n": 90}) == page(90)
    assert cost(text, {"n": None}) == page(1)


@strawberry.type
class Shelf:
    @strawberry.field
    def books(self, first: int = 400, last: int | None = None) -> list[str]:
        return ["book"] * (last or first)

    @strawberry.field
    def shelves(self, first: int = 400, last: int | None = None) -> list["Shelf"]:
        return [Shelf()] * (last or first)


def test_page_of_a_custom_schema_costs_its_default_size() -> None:
    document = parse("{ shelves(last: 3) { books } other: shelves { __typename } }")
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    schema = strawberry.Schema(Shelf)._schema
    assert CostMeter(schema, document, operation).measure({}) == 1 + 400 + 1 + 400


def test_nested_pages_multiply() -> None:
    text = "{ users(first: 20) { nodes { sessions(first: 30) { nodes { id } } } } }"
    assert cost(text) == page(20, each=page(30))


def test_fields_beside_the_entries_of_a_page_are_counted_once() -> None:
    text = "{ users(first: 20) { nodes { id } edges { cursor } pageInfo { endCursor } } }"
    assert cost(text) == page(20) + (1 + 20) + 2


def test_fragment_is_counted_at_each_spread() -> None:
    fragment = " fragment F on User { id username }"
    assert cost("{ me { ...F } }" + fragment) == 3
    both = "{ me { ...F } users(first: 5) { nodes { ...F } } }" + fragment
    assert cost(both) == 3 + page(5, each=2)


def test_only_the_requested_operation_is_counted() -> None:
    assert cost("query A { me { id } } query B { users { nodes { id } } }") == 2


def test_cost_depends_on_size_variables_only() -> None:
    text = """query ($n: Int, $m: Int, $s: String) {
      users(first: $n, search: $s) { nodes { sessions(first: $m) { nodes { id } } } }
    }"""
    sizes = meter(text)
    assert sizes.size_variables == ("m", "n")
    assert sizes.sizes({"n": 3, "m": 4, "s": "x"}) == (4, 3)
    assert sizes.sizes({"n": "x"}) == (None, None)


@settings(max_examples=100, deadline=None)
@given(
    one=st.integers(1, 10**6),
    other=st.integers(1, 10**6),
    variables=st.dictionaries(st.sampled_from("nm"), st.integers() | st.none() | st.text()),
)
def test_larger_pages_never_cost_less(one: int, other: int, variables: dict[str, Any]) -> None:
    text = "query ($n: Int, $m: Int) {{ users(first: {}) {{ nodes {{ id {} }} }} }}"
    inner = "sessions(first: $m) { nodes { id } }"
    small, large = sorted([one, other])
    assert cost(text.format(small, ""), variables) <= cost(text.format(large, ""), variables)
    assert cost(text.format(small, ""), variables) <= cost(text.format(small, inner), variables)


BIG = "query ($n: Int) { users(first: $n) { nodes { sessions(first: 100) { nodes { id } } } } }"


@pytest.mark.parametrize(("size", "codes"), [(90, []), (100, ["LIMIT_EXCEEDED"])])
async def test_cost_is_checked_for_each_request(
    sqlite_api: Api, size: int, codes: list[str]
) -> None:
    for _ in range(2):
        result = await sqlite_api.ask(BIG, {"n": size})
        found = [denial["code"] for denial in denials(result)]
        assert [code for code in found if code == "LIMIT_EXCEEDED"] == codes


def test_size_with_a_decimal_point_is_accepted() -> None:
    text = "query ($n: Int) { users(first: $n) { nodes { id } } }"
    assert cost(text, {"n": 100.0}) == cost(text, {"n": 100}) == page(100)


@pytest.mark.parametrize("size", [float("inf"), 1e300, -(2**40), "100", [100], {}])
def test_size_of_a_wrong_type_counts_as_the_default(size: object) -> None:
    text = "query ($n: Int) { users(first: $n) { nodes { id } } }"
    assert cost(text, {"n": size}) == page(ASSUMED_PAGE)
