"""An operation that was validated once, and runs any number of times."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import replace
from types import CoroutineType
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    execute,
    subscribe,
)
from graphql.execution import Executor
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.compiled.compiler import Compiler
from graph.compiled.completion import Unsupported
from graph.compiled.counting import count_fields
from graph.compiled.known import is_known_schema
from graph.compiled.reading import read_usage
from graph.compiled.runs import Run
from graph.compiled.selections import RunSelection
from graph.compiled.strawberry_path import Extensions, LogErrors, StrawberryPath, Variables

# `@skip` and `@include` make another operation of each combination of their variables.
MAX_VARIANTS = 16
# Each costs milliseconds, and a body has room for thousands. The reply quotes none of them.
MAX_VARIABLE_ERRORS = 5
# Of all variants together: a fragment counts wherever it is spread, and each field takes kilobytes.
MAX_FIELDS = 500


class CompiledOperation:
    """Runs one operation of a valid document. Safe to share between requests."""

    def __init__(
        self,
        schema: strawberry.Schema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        log: LogErrors = lambda _errors: None,
    ) -> None:
        """`log` gets the errors that extensions of the schema replace by others."""
        self._strawberry_schema = schema
        self._schema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        self._document = document
        self._operation = operation
        self.type = operation.operation
        self._name = operation.name.value if operation.name else None
        self._definitions = operation.variable_definitions or ()
        self._usage = read_usage(document, operation)
        self.fields = count_fields(document, operation)
        self._room = MAX_FIELDS
        self._variants: dict[tuple[object, ...], RunSelection | None] = {}
        # The only variant, of an operation that nothing switches.
        self._constant: RunSelection | None = None
        # None where graphql-core alone gives the same replies.
        self._strawberry_path: StrawberryPath | None = None
        if not is_known_schema(schema):
            self._strawberry_path = StrawberryPath(schema, _text(document), self._name, log)

    def execute(
        self, variables: Variables, context: object, extensions: Extensions = None
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """The result, or an awaitable of it, as Strawberry would give it."""
        if self._strawberry_path is not None:
            return self._strawberry_path.execute(variables, context, extensions)
        values = _NO_VALUES
        if self._definitions:
            coerced = get_variable_values(
                self._schema,
                self._definitions,
                variables or {},
                max_errors=MAX_VARIABLE_ERRORS,
            )
            if isinstance(coerced, list):
                return ExecutionResult(None, coerced[:MAX_VARIABLE_ERRORS])
            values = coerced
        run_selection = self._constant or self._variant(values)
        if run_selection is None:
            return self.execute_uncompiled(variables, context, extensions)
        run = Run(context, values, extensions)
        try:
            # There is no root value.
            data = run_selection(None, run, None, None)
        except GraphQLError as error:
            return ExecutionResult(None, run.fail(error))
        if type(data) is CoroutineType:
            return _finish(data, run)
        return ExecutionResult(data, run.errors)

    def execute_uncompiled(
        self, variables: Variables, context: object, extensions: Extensions = None
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """The same, with nothing compiled."""
        if self._strawberry_path is not None:
            return self._strawberry_path.execute(variables, context, extensions)
        result = execute(
            self._schema,
            self._document,
            context_value=context,
            variable_values=variables,
            operation_name=self._name,
            max_coercion_errors=MAX_VARIABLE_ERRORS,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type] # a TypeGuard but for its name
            executor_class=StrawberryGraphQLCoreExecutionContext,
            operation_extensions=extensions,
        )
        return _without_abort(result) if isinstance(result, ExecutionResult) else result

    @property
    def runs_extensions(self) -> bool:
        """Whether Strawberry runs it, with what extensions of the schema do in each run."""
        return self._strawberry_path is not None

    @property
    def most_compiled_fields(self) -> int:
        """How many fields there can be closures for, in all variants together."""
        if self._strawberry_path is not None or self.fields > MAX_FIELDS:
            return 0
        return min(self.fields * (MAX_VARIANTS if self._usage.switches else 1), MAX_FIELDS)

    async def subscribe(
        self, variables: Variables, context: object, extensions: Extensions = None
    ) -> ExecutionResult | AsyncIterator[ExecutionResult]:
        """The results of a subscription, or why there are none, with nothing compiled."""
        if self._strawberry_path is not None:
            return self._strawberry_path.subscribe(variables, context, extensions)
        subscribed = subscribe(
            self._schema,
            self._document,
            context_value=context,
            variable_values=variables,
            operation_name=self._name,
            max_coercion_errors=MAX_VARIABLE_ERRORS,
            is_awaitable=optimized_is_awaitable,
            executor_class=StrawberryGraphQLCoreExecutionContext,
            operation_extensions=extensions,
        )
        results = await subscribed if isinstance(subscribed, Awaitable) else subscribed
        return _without_abort(results) if isinstance(results, ExecutionResult) else results

    def _variant(self, values: VariableValues) -> RunSelection | None:
        switches = self._usage.switches
        key = tuple([values.coerced.get(name) for name in switches]) if switches else ()
        if self._usage.has_unknown or not all(type(value) is bool for value in key):
            # Null is an error, which graphql-core reports at its place.
            return None
        if key not in self._variants:
            if len(self._variants) >= MAX_VARIANTS or self.fields > self._room:
                return None
            self._room -= self.fields
            self._variants[key] = self._compile(values)
            if not switches:
                self._constant = self._variants[key]
        return self._variants[key]

    def _compile(self, values: VariableValues) -> RunSelection | None:
        executor = Executor.build(self._schema, self._without_variables())
        if not isinstance(executor, Executor):
            return None
        executor.operation = self._operation
        # It is kept for as long as the operation: what else came with this request is not.
        switches = self._usage.switches
        executor.variable_values = VariableValues(
            _only(switches, values.sources), _only(switches, values.coerced)
        )
        try:
            return Compiler(self._strawberry_schema, executor).compile()
        except Unsupported:
            return None

    def _without_variables(self) -> DocumentNode:
        """The operation with its fragments. Custom scalars have parsed the variables already."""
        operation = replace(self._operation, variable_definitions=())
        fragments = [
            node for node in self._document.definitions if isinstance(node, FragmentDefinitionNode)
        ]
        return DocumentNode(definitions=(operation, *fragments))


_NO_VALUES = VariableValues({}, {})


def _without_abort(result: ExecutionResult) -> ExecutionResult:
    """Drops the error that says that there are more errors: it is not about a variable."""
    errors = result.errors
    if errors and len(errors) > MAX_VARIABLE_ERRORS and errors[-1].path is None:
        result.errors = errors[:MAX_VARIABLE_ERRORS]
    return result


async def _finish(data: Any, run: Run) -> ExecutionResult:
    try:
        return ExecutionResult(await data, run.errors)
    except GraphQLError as error:
        return ExecutionResult(None, run.fail(error))


def _only(names: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _text(document: DocumentNode) -> str:
    assert document.loc
    return document.loc.source.body
