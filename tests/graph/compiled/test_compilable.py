"""What may be compiled, and the private names of libraries that this depends on."""

import gc
import inspect
from dataclasses import fields
from typing import Annotated, Any
from weakref import ReferenceType, ref

import pytest
import strawberry
from graphql import ExecutionResult, OperationDefinitionNode, parse
from graphql.execution import Executor
from graphql.execution.collect_fields import CollectedFields, FieldDetails
from graphql.execution.executor import CollectedErrors, invalid_return_type_error
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry import federation
from strawberry.permission import PermissionExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import _OperationContextAwareGraphQLResolveInfo as ResolveInfo
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.fields.resolver import StrawberryResolver

from graph.compiled.compilable import is_compilable_schema
from graph.schema import Schema
from tests.graph.compiled.running import Watched, prepare, prepare_with, run


@strawberry.type
class Leaf:
    word: str = "leaf"


@strawberry.type
class Twig:
    size: int = 2

    @strawberry.field
    def grown(self, by: int = 1) -> int:
        return self.size + by

    @strawberry.field
    def leaf(self) -> Leaf:
        return Leaf()


Either = Annotated[Leaf | Twig, strawberry.union("Either")]


@strawberry.type
class Query:
    word: str = "word"

    @strawberry.field
    def either(self) -> Either:
        return Twig()

    @strawberry.field
    def said(self, word: str = "a", nth: int = 1) -> str:
        return f"{word} {nth}"


# If an upgrade changes one of these: read its release notes, run the differential tests with many
# examples, then raise the upper bound in pyproject.toml.
PRIVATE_NAMES = [
    (Executor.build, "schema document raw_variable_values operation_name"),
    (Executor.complete_leaf_value, "return_type result"),
    (Executor.ensure_valid_runtime_type, "runtime_type_name return_type field_details_list info"),
    (invalid_return_type_error, "return_type result field_details_list"),
    (CollectedErrors.add, "error path"),
    (PermissionExtension._on_unauthorized, "permission"),
    (PermissionExtension.resolve, "next_ source info"),
    (StrawberryResolver.__call__, "args kwargs"),
    (strawberry.Schema.execute, "query variable_values context_value operation_name"),
    (strawberry.Schema.subscribe, "query variable_values context_value operation_name"),
    (strawberry.Schema.process_errors, "errors execution_context"),
    (federation.Schema._get_federation_query_type, "query mutation subscription"),
]


@pytest.mark.parametrize(("function", "names"), PRIVATE_NAMES)
def test_private_function_has_the_parameters_that_the_compiler_uses(
    function: Any, names: str
) -> None:
    assert set(names.split()) <= set(inspect.signature(function).parameters)


def test_tuples_have_the_fields_that_the_compiler_fills_by_position() -> None:
    assert ResolveInfo._fields == (
        "field_name",
        "field_nodes",
        "return_type",
        "parent_type",
        "path",
        "schema",
        "fragments",
        "root_value",
        "operation",
        "variable_values",
        "context",
        "is_awaitable",
        "abort_signal",
        "async_helpers",
        "operation_extensions",
    )
    assert Path._fields == ("prev", "key", "typename")
    assert VariableValues._fields == ("sources", "coerced")
    assert {"grouped_field_set", "new_defer_usages"} <= set(CollectedFields._fields)
    assert {"node", "fragment_variable_values"} <= set(FieldDetails._fields)
    assert [field.name for field in fields(strawberry.Info)] == ["_raw_info", "_field"]
    assert "__post_init__" not in vars(strawberry.Info)


def test_resolvers_of_strawberry_capture_the_expected_names() -> None:
    codes = {
        code.co_name: code.co_freevars
        for code in GraphQLCoreConverter.from_resolver.__code__.co_consts
        if inspect.iscode(code)
    }
    assert "field" in codes["_get_basic_result"]
    assert "field" in codes["_strawberry_info_from_graphql"]
    assert {"_strawberry_info_from_graphql", "_get_result_with_extensions"} <= set(
        codes["_resolver"]
    )


@pytest.mark.parametrize("cls", [strawberry.Schema, federation.Schema, Schema])
def test_plain_schema_is_compilable(cls: type[strawberry.Schema]) -> None:
    assert is_compilable_schema(cls(query=Query))


@pytest.mark.parametrize(
    "name", ["execute", "_handle_execution_result", "create_extensions_runner", "get_extensions"]
)
def test_schema_with_overridden_method_is_not_compilable(name: str) -> None:
    def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(cls, self), name)(*args, **kwargs)

    cls: type[strawberry.Schema] = type("Own", (strawberry.Schema,), {name: override})
    assert not is_compilable_schema(cls(Query))


def test_schema_class_with_replaced_method_is_not_compilable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(strawberry.Schema, "execute", lambda *_, **__: None)
    assert not is_compilable_schema(strawberry.Schema(Query))


async def test_switch_of_another_operation_is_ignored() -> None:
    text = "query A { word } query B($a: Boolean!) { word @skip(if: $a) }"
    operation = prepare(Query, text)
    result = operation.execute(None, None)
    assert isinstance(result, ExecutionResult)
    assert operation.interpreted == 0


async def test_switch_of_an_unused_fragment_is_ignored() -> None:
    text = (
        "query A { ...F } fragment F on Query { said } fragment G on Query { word @skip(if: $a) }"
    )
    operation = prepare(Query, text)
    await operation.run()
    assert operation.interpreted == 0


@pytest.mark.parametrize(
    "text",
    [
        """{ either { ... on Twig { ...F(n: true) } } }
        fragment F($n: Boolean!) on Twig { leaf { word @include(if: $n) } }""",
        "{ either { ... on Twig { ...F(n: 3) } } } fragment F($n: Int!) on Twig { grown(by: $n) }",
        "{ ...F(n: false) } fragment F($n: Boolean!) on Query { word @include(if: $n) said }",
    ],
)
async def test_fragment_with_arguments_runs_on_graphql_core(text: str) -> None:
    document = parse(text, experimental_fragment_arguments=True)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    watched = Watched(strawberry.Schema(Query), document, operation)
    result = await watched.run()
    assert (watched.interpreted, result.errors) == (1, None)
    assert "word" not in (result.data or {})


async def test_operation_with_directive_runs_on_graphql_core() -> None:
    operation = prepare(Query, "query @experimental_disableErrorPropagation { word }")
    await operation.run()
    assert operation.interpreted == 1


async def test_constant_arguments_are_not_shared_between_fields() -> None:
    result = await run(Query, '{ said a: said(word: "b", nth: 2) }')
    assert result.data == {"said": "a 1", "a": "b 2"}


class Ticket:
    """A parsed variable. Unlike a string, it can have a weak reference."""


@strawberry.type
class Booth:
    @strawberry.field
    def valid(self, ticket: Ticket) -> bool:
        return isinstance(ticket, Ticket)


async def test_variable_is_parsed_once_and_not_kept_with_the_operation() -> None:
    parsed: list[ReferenceType[Ticket]] = []

    def parse_value(_value: str) -> Ticket:
        ticket = Ticket()
        parsed.append(ref(ticket))
        return ticket

    scalar = strawberry.scalar(name="Ticket", serialize=str, parse_value=parse_value)
    schema = strawberry.Schema(Booth, config=StrawberryConfig(scalar_map={Ticket: scalar}))
    operation = prepare_with(schema, "query ($t: Ticket!) { valid(ticket: $t) }")
    result = await operation.run({"t": "secret"})
    assert (result.data, operation.interpreted) == ({"valid": True}, 0)
    gc.collect(0)
    assert [ticket() for ticket in parsed] == [None]


async def test_changed_info_fragments_do_not_reach_the_next_request() -> None:
    seen: list[list[str]] = []

    @strawberry.type
    class Writer:
        @strawberry.field
        def plain(self, info: strawberry.Info) -> str:
            seen.append(sorted(info._raw_info.fragments))
            info._raw_info.fragments["Added"] = info._raw_info.fragments["F"]
            return "written"

    operation = prepare(Writer, "{ ...F } fragment F on Writer { plain }")
    await operation.run()
    await operation.run()
    assert (seen, operation.interpreted) == ([["F"], ["F"]], 0)
