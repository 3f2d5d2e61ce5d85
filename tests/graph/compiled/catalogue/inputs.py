"""Arguments, inputs, variables, directives, operations and fragments."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="no-any-return,no-untyped-def,misc,arg-type,type-arg"
# mypy: disable-error-code="return-value"

from typing import Annotated, Any

import strawberry
from strawberry.directive import DirectiveLocation, DirectiveValue
from strawberry.extensions import FieldExtension
from strawberry.field_extensions import InputMutationExtension
from strawberry.types.unset import UNSET

from tests.graph.compiled.catalogue.examples import Example, Path, example, see


@strawberry.input
class Point:
    x: int
    y: int = 5
    note: str | None = UNSET


@strawberry.input
class Line:
    start: Point
    end: Point | None = None
    tags: list[str] = strawberry.field(default_factory=list)


@strawberry.type
class Query:
    @strawberry.field
    def point(self, point: Point) -> str:
        note = "unset" if point.note is UNSET else f"{point.note}"
        return f"{point.x} {point.y} {note}"

    @strawberry.field
    def line(self, line: Line) -> str:
        line.tags.append("more")
        return f"{line.start.x} {line.end and line.end.x} {line.tags}"

    @strawberry.field
    def optional(self, word: str | None = UNSET, nth: int | None = 3) -> str:
        return f"{word!r} {nth}"

    @strawberry.field
    def renamed(
        self, word: Annotated[str, strawberry.argument(name="said", description="What.")]
    ) -> str:
        return word

    @strawberry.field
    async def words(self, words: list[str | None]) -> list[str | None]:
        return words

    @strawberry.field
    def maybe(self, word: strawberry.Maybe[str | None] = None) -> str:
        return "absent" if word is None else f"some {word.value}"

    @strawberry.field
    def id(self, id: strawberry.ID) -> str:
        return f"{id!r}"

    @strawberry.field
    def number(self, number: float) -> str:
        return f"{number!r}"

    @strawberry.field
    def query(self) -> "Query":
        return Query()


def asked(
    name: str, text: str, variables: dict[str, Any] | None = None, path: Path = Path.COMPILED
) -> None:
    def build() -> Example:
        return Example(strawberry.Schema(Query), text, variables, path=path)

    build.__name__ = name
    example(build)


asked(
    "input_literals", '{ point(point: {x: 1, note: null}) line(line: {start: {x: 2}, tags: "a"}) }'
)
asked("input_variables", "query ($p: Point!) { point(point: $p) }", {"p": {"x": 1, "note": "n"}})
asked("input_with_variables_inside", "query ($x: Int!) { point(point: {x: $x}) }", {"x": 4})
asked("input_variable_is_absent", "query ($w: String) { optional(word: $w) }", {})
asked(
    "input_variable_is_null",
    "query ($w: String, $n: Int) { optional(word: $w, nth: $n) }",
    {"w": None, "n": None},
)
asked("variable_defaults", 'query ($w: String = "w", $n: Int = 7) { optional(word: $w, nth: $n) }')
asked("variable_default_of_input", "query ($p: Point! = {x: 3}) { point(point: $p) }")
asked("variable_of_the_wrong_type", "query ($x: Int!) { point(point: {x: $x}) }", {"x": "four"})
asked("variable_that_is_missing", "query ($x: Int!) { point(point: {x: $x}) }", {})
asked(
    "variable_with_unknown_field",
    "query ($p: Point!) { point(point: $p) }",
    {"p": {"x": 1, "z": 2}},
)
asked("variable_for_required_argument", "query ($w: String = null) { words(words: [$w]) }")
asked("argument_is_renamed", '{ renamed(said: "word") }')
asked("arguments_as_lists", '{ one: words(words: "a") two: words(words: ["a", null]) }')
asked("arguments_maybe", '{ maybe a: maybe(word: null) b: maybe(word: "w") }')
asked("arguments_as_ids", '{ id(id: 5) a: id(id: "5") number(number: 1) }')
asked(
    "argument_null_where_a_value_must_be",
    "query ($x: Int = 1) { point(point: {x: $x}) }",
    {"x": None},
)
asked(
    "skip_and_include",
    "query ($a: Boolean!, $b: Boolean = false) { one: optional @skip(if: $a)"
    " two: optional @include(if: $b) three: optional @include(if: true) @skip(if: $b) }",
    {"a": True},
)
asked("skip_of_everything", "query ($a: Boolean!) { optional @skip(if: $a) }", {"a": True})
asked(
    "switch_that_is_null",
    "query ($a: Boolean = true) { optional @skip(if: $a) number(number: 1) }",
    {"a": None},
    Path.GRAPHQL_CORE,
)
asked(
    "merged_fields_with_switches",
    "query ($a: Boolean!) { query { optional @include(if: $a) }"
    " query { optional maybe @skip(if: $a) } ...F } fragment F on Query { query { words(words: [])"
    " @include(if: $a) } }",
    {"a": True},
)
asked(
    "fragments_in_fragments",
    "{ ...A } fragment A on Query { ...B optional }"
    " fragment B on Query { query { ...C } } fragment C on Query { optional __typename }",
)
asked("inline_fragments", "{ ... { optional } ... on Query @include(if: true) { maybe } }")
asked(
    "fragment_with_switch",
    "query ($a: Boolean!) { ...A @skip(if: $a) maybe } fragment A on Query { optional }",
    {"a": True},
)
asked("aliases_and_typename", "{ a: __typename b: query { c: __typename } __typename }")
asked(
    "introspection",
    '{ __schema { queryType { name } } __type(name: "Point") { kind } }',
    path=Path.GRAPHQL_CORE,
)
asked(
    "introspection_of_type_beside_fields",
    '{ optional __type(name: "Query") { name } }',
    path=Path.GRAPHQL_CORE,
)


def named(name: str, operation: str, variables: dict[str, Any]) -> None:
    def build() -> Example:
        text = "query A { optional } query B($a: Boolean!) { maybe @skip(if: $a) }"
        return Example(strawberry.Schema(Query), text, variables, name=operation)

    build.__name__ = name
    example(build)


named("operation_by_name", "A", {})
named("operation_with_switch_by_name", "B", {"a": True})


@example
def one_of_input() -> Example:
    @strawberry.input(one_of=True)
    class By:
        id: strawberry.Maybe[strawberry.ID]
        name: strawberry.Maybe[str]

    @strawberry.type
    class Root:
        @strawberry.field
        def find(self, by: By) -> str:
            return f"id {by.id.value}" if by.id else f"name {by.name and by.name.value}"

    text = 'query ($b: By!) { find(by: {name: "a"}) a: find(by: $b) }'
    return Example(strawberry.Schema(Root), text, {"b": {"id": "1"}})


@example
def one_of_input_with_both() -> Example:
    @strawberry.input(one_of=True)
    class By:
        id: strawberry.Maybe[strawberry.ID]
        name: strawberry.Maybe[str]

    @strawberry.type
    class Root:
        @strawberry.field
        def find(self, by: By) -> str:
            return "found"

    variables = {"b": {"id": "1", "name": "a"}}
    return Example(strawberry.Schema(Root), "query ($b: By!) { find(by: $b) }", variables)


@strawberry.type
class Counter:
    count: int

    @strawberry.field
    async def later(self) -> int:
        return see(self.count)


@example
def mutations_one_after_the_other() -> Example:
    @strawberry.type
    class Mutation:
        @strawberry.mutation
        async def first(self) -> Counter:
            return Counter(count=see(1))

        @strawberry.mutation
        def second(self) -> Counter:
            return Counter(count=see(2))

        @strawberry.mutation
        def fails(self) -> Counter | None:
            raise ValueError("fails")

    text = "mutation { first { later } second { later } fails { count } again: first { count } }"
    return Example(strawberry.Schema(Query, Mutation), text)


@example
def mutation_without_result() -> Example:
    @strawberry.type
    class Mutation:
        @strawberry.mutation
        def restart(self) -> None:
            see("restarted")

    return Example(strawberry.Schema(Query, Mutation), "mutation { restart }")


@example
def mutation_with_input_extension() -> Example:
    @strawberry.type
    class Mutation:
        @strawberry.mutation(extensions=[InputMutationExtension()])
        def create(self, info: strawberry.Info, name: str, nth: int = 2) -> str:
            return f"{info.field_name} {name} {nth}"

    text = 'mutation { create(input: {name: "a"}) }'
    return Example(strawberry.Schema(Query, Mutation), text)


@example
def nested_mutations() -> Example:
    @strawberry.type
    class Inner:
        @strawberry.mutation
        async def step(self, nth: int) -> int:
            return see(nth)

    @strawberry.type
    class Mutation:
        @strawberry.field
        def inner(self) -> Inner:
            return Inner()

    text = "mutation { inner { a: step(nth: 1) b: step(nth: 2) } }"
    return Example(strawberry.Schema(Query, Mutation), text)


@strawberry.directive(locations=[DirectiveLocation.FIELD])
def shout(value: DirectiveValue[str], info: strawberry.Info, mark: str = "!") -> str:
    see(info.field_name)
    return f"{value}{mark}".upper()


@strawberry.directive(locations=[DirectiveLocation.FIELD])
async def later(value: DirectiveValue[Any]) -> Any:
    return see(value)


def directed(name: str, text: str, variables: dict[str, Any] | None = None) -> None:
    def build() -> Example:
        schema = strawberry.Schema(Query, directives=[shout, later])
        return Example(schema, text, variables, path=Path.STRAWBERRY)

    build.__name__ = name
    example(build)


directed("directive_on_field", "{ optional @shout maybe @later @shout }")
directed("directive_with_argument", "query ($m: String!) { optional @shout(mark: $m) }", {"m": "?"})
directed(
    "directive_in_fragment", '{ ...F } fragment F on Query { query { optional @shout(mark: "") } }'
)
directed(
    "directive_beside_skip",
    "query ($a: Boolean!) { optional @skip(if: $a) @shout maybe }",
    {"a": False},
)
directed("directives_that_are_not_used", "{ optional query { maybe } }")


class Traced(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        see(sorted(kwargs.items()))
        return next_(source, info, **kwargs)


@example
def extension_sees_arguments() -> Example:
    @strawberry.type
    class Root:
        @strawberry.field(extensions=[Traced()])
        def word(self, info: strawberry.Info, other_word: str, nth: int = 2) -> str:
            return f"{other_word} {nth}"

    return Example(strawberry.Schema(Root), '{ word(otherWord: "a") }')
