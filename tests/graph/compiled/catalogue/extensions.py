"""Schema extensions, and subclasses of the schema."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="no-any-return,no-untyped-def,misc,arg-type,type-arg"
# mypy: disable-error-code="assignment,method-assign,return-value,union-attr"

from collections.abc import AsyncIterator, Iterator
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError, ValidationRule, parse
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    DisableValidation,
    MaskErrors,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.extensions.pydantic_error_extension import PydanticErrorExtension
from strawberry.extensions.tracing import ApolloTracingExtension, OpenTelemetryExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from tests.graph.compiled.catalogue.examples import Example, Path, example, see


@strawberry.type
class Leaf:
    word: str = "leaf"


@strawberry.type
class Query:
    @strawberry.field
    def leaf(self) -> Leaf:
        return Leaf()

    @strawberry.field
    async def later(self) -> str:
        return see("later")

    @strawberry.field
    def fails(self) -> str | None:
        raise ValueError("a secret")

    @strawberry.field
    def context(self, info: strawberry.Info) -> str:
        return f"{info.context}"


TEXT = "{ leaf { word } later fails context }"


def extended(name: str, *extensions: Any, text: str = TEXT, **options: Any) -> None:
    def build() -> Example:
        schema = strawberry.Schema(Query, extensions=extensions, **options)
        return Example(schema, text, context="context", path=Path.STRAWBERRY)

    build.__name__ = name
    example(build)


class Hooks(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        see("operation begins")
        yield
        see(("operation ends", self.execution_context.operation_name))

    def on_parse(self) -> Iterator[None]:
        see("parse begins")
        yield
        see("parse ends")

    def on_validate(self) -> Iterator[None]:
        see("validate begins")
        yield
        see("validate ends")

    def on_execute(self) -> Iterator[None]:
        see("execute begins")
        yield
        see(("execute ends", self.execution_context.result.data))

    def get_results(self) -> dict[str, Any]:
        return {"hooks": [1]}


class LaterHooks(SchemaExtension):
    async def on_operation(self) -> AsyncIterator[None]:
        see("later begins")
        yield
        see("later ends")

    async def on_execute(self) -> AsyncIterator[None]:
        yield
        see(self.execution_context.variables)

    async def get_results(self) -> dict[str, Any]:
        return {"later": True}


class Resolves(SchemaExtension):
    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        see(f"before {info.field_name}")
        return _next(root, info, *args, **kwargs)


class ResolvesLater(SchemaExtension):
    async def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        value = _next(root, info, *args, **kwargs)
        if hasattr(value, "__await__"):
            value = await value
        return f"{value}!" if isinstance(value, str) else value


class ReplacesResult(SchemaExtension):
    def on_execute(self) -> Iterator[None]:
        self.execution_context.result = ExecutionResult({"leaf": "cached"}, None)
        yield


class ChangesResult(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        yield
        result = self.execution_context.result
        result.data = {"changed": True}
        result.errors = None


class FailsAt(SchemaExtension):
    place = ""

    def on_operation(self) -> Iterator[None]:
        self._fail("operation")
        yield
        self._fail("operation end")

    def on_parse(self) -> Iterator[None]:
        self._fail("parse")
        yield

    def on_validate(self) -> Iterator[None]:
        self._fail("validate")
        yield

    def on_execute(self) -> Iterator[None]:
        self._fail("execute")
        yield
        self._fail("execute end")

    def _fail(self, place: str) -> None:
        if place == self.place:
            raise ValueError(f"fails at {place}")


def failing_at(failing: str) -> type[FailsAt]:
    class Fails(FailsAt):
        place = failing

    return Fails


class OtherDocument(SchemaExtension):
    def on_parse(self) -> Iterator[None]:
        self.execution_context.graphql_document = parse("{ later }")
        yield


class OtherContext(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        self.execution_context.context = "another context"
        self.execution_context.root_value = "root"
        yield


class Refuses(SchemaExtension):
    def on_validate(self) -> Iterator[None]:
        yield
        self.execution_context.pre_execution_errors = [
            GraphQLError("refused", extensions={"code": "NO"})
        ]


class ResultsByContext(SchemaExtension):
    def on_execute(self) -> Iterator[None]:
        yield
        self.execution_context.extensions_results["time"] = 3


class NoLeaves(ValidationRule):
    def enter_field(self, node: Any, *_: Any) -> None:
        if node.name.value == "leaf":
            self.report_error(GraphQLError("no leaves", node))


extended("hooks", Hooks)
extended("hooks_asynchronous", LaterHooks)
extended("hooks_of_two_extensions", Hooks, LaterHooks)


def make_hooks() -> SchemaExtension:
    return Hooks()


extended("extension_from_a_factory", make_hooks)
extended("resolve_of_all_fields", Resolves)
extended("resolve_of_all_fields_later", ResolvesLater)
extended("resolve_in_two_extensions", Resolves, ResolvesLater)
extended("result_replaced", ReplacesResult)
extended("result_changed", ChangesResult)
extended("document_replaced", OtherDocument)
extended("context_replaced", OtherContext)
extended("operation_refused_by_extension", Refuses)
extended("results_by_context", ResultsByContext)
extended("mask_errors", MaskErrors)
extended("mask_some_errors", lambda: MaskErrors(error_message="Masked."))
extended(
    "query_depth_limiter", lambda: QueryDepthLimiter(max_depth=1), text="{ leaf { word } later }"
)
extended("query_depth_limiter_refuses", lambda: QueryDepthLimiter(max_depth=0))
extended(
    "max_aliases_limiter",
    lambda: MaxAliasesLimiter(max_alias_count=1),
    text="{ a: later b: later }",
)
extended("max_tokens_limiter", lambda: MaxTokensLimiter(max_token_count=3))
extended("add_validation_rules", lambda: AddValidationRules([NoLeaves]))
extended("disable_introspection", DisableIntrospection, text="{ __schema { queryType { name } } }")
extended("disable_validation", DisableValidation)
extended("parser_cache", lambda: ParserCache(maxsize=10))
extended("validation_cache", lambda: ValidationCache(maxsize=10))
extended("hooks_with_introspection", Hooks, text="{ __schema { queryType { name } } }")
for _place in ("operation", "operation end", "parse", "validate", "execute", "execute end"):
    extended(f"hook_fails_at_{_place.replace(' ', '_')}", failing_at(_place))


class Tracing(ApolloTracingExtension):
    def get_results(self) -> Any:
        tracing = super().get_results()["tracing"]
        return {"traced": [r["path"] for r in tracing["execution"]["resolvers"]]}


extended("apollo_tracing", Tracing)


def subclassed(name: str, cls: type[strawberry.Schema], text: str = TEXT, **options: Any) -> None:
    def build() -> Example:
        schema = cls(Query, **options)
        return Example(schema, text, context="context", path=Path.STRAWBERRY)

    build.__name__ = name
    example(build)


class ProcessesErrors(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: Any = None) -> None:
        for error in errors:
            see((error.message, error.path, execution_context.query[:6]))
            error.extensions = {"seen": True}


class GetsExtensions(strawberry.Schema):
    def get_extensions(self, sync: bool = False) -> list[SchemaExtension]:
        return [*super().get_extensions(sync=sync), Hooks()]


class Executes(strawberry.Schema):
    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        see("execute")
        return await super().execute(*args, **kwargs)


class Converts(strawberry.Schema):
    def get_fields(self, type_definition: Any) -> Any:
        return [field for field in type_definition.fields if field.name != "context"]


class Counting(StrawberryGraphQLCoreExecutionContext):
    def execute_field(self, *args: Any, **kwargs: Any) -> Any:
        see("field")
        return super().execute_field(*args, **kwargs)


subclassed("process_errors", ProcessesErrors)
subclassed(
    "process_errors_with_suggestions_disabled",
    ProcessesErrors,
    config=StrawberryConfig(disable_field_suggestions=True),
)
subclassed("get_extensions", GetsExtensions)
subclassed("execute_overridden", Executes)
subclassed("execution_context_class", strawberry.Schema, execution_context_class=Counting)


@example
def fields_chosen_by_the_schema() -> Example:
    return Example(Converts(Query), "{ leaf { word } later fails }")


@example
def process_errors_replaced_on_the_object() -> Example:
    schema = strawberry.Schema(Query)
    schema.process_errors = lambda errors, _context=None: see([e.message for e in errors])
    return Example(schema, "{ fails }", path=Path.STRAWBERRY)


@example
def execute_replaced_on_the_object() -> Example:
    schema = strawberry.Schema(Query)
    execute = schema.execute

    async def traced(*args: Any, **kwargs: Any) -> Any:
        see("traced")
        return await execute(*args, **kwargs)

    schema.execute = traced
    return Example(schema, "{ later }", path=Path.STRAWBERRY)


extended("open_telemetry", OpenTelemetryExtension)
extended("pydantic_errors", PydanticErrorExtension)
