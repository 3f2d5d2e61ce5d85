"""A validated operation that can run any number of times."""

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

from graph.compiled.compilable import is_compilable_schema
from graph.compiled.compiler import Compiler
from graph.compiled.completion import Unsupported
from graph.compiled.counting import count_fields
from graph.compiled.runs import Run
from graph.compiled.selections import RunSelection
from graph.compiled.strawberry_executor import Extensions, LogErrors, StrawberryExecutor, Variables
from graph.compiled.usage import read_usage

# Each combination of the variables of `@skip` and `@include` is compiled separately.
MAX_VARIANTS = 16
# Each error takes milliseconds, and a request body can cause thousands.
MAX_VARIABLE_ERRORS = 5
# Of all variants together. A fragment counts at each spread, and each field takes kilobytes.
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
        """`log` receives the errors that extensions of the schema replace."""
        self._strawberry_schema = schema
        self._schema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        self._document = document
        self._operation = operation
        self.type = operation.operation
        self._name = operation.name.value if operation.name else None
        self._definitions = operation.variable_definitions or ()
        self._usage = read_usage(document, operation)
        self.fields = count_fields(document, operation)
        self._field_budget = MAX_FIELDS
        self._variants: dict[tuple[object, ...], RunSelection | None] = {}
        # The only variant of an operation without `@skip` and `@include`.
        self._constant: RunSelection | None = None
        # None if graphql-core alone gives the same replies.
        self._strawberry_executor: StrawberryExecutor | None = None
        if not is_compilable_schema(schema):
            self._strawberry_executor = StrawberryExecutor(schema, _text(document), self._name, log)

    def execute(
        self, variables: Variables, context: object, extensions: Extensions = None
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Returns the result that Strawberry would give, or an awaitable of it."""
        if self._strawberry_executor is not None:
            return self._strawberry_executor.execute(variables, context, extensions)
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
        """Returns the same as `execute`, without compiled closures."""
        if self._strawberry_executor is not None:
            return self._strawberry_executor.execute(variables, context, extensions)
        result = execute(
            self._schema,
            self._document,
            context_value=context,
            variable_values=variables,
            operation_name=self._name,
            max_coercion_errors=MAX_VARIABLE_ERRORS,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type] # not declared as a TypeGuard
            executor_class=StrawberryGraphQLCoreExecutionContext,
            operation_extensions=extensions,
        )
        return _without_abort(result) if isinstance(result, ExecutionResult) else result

    @property
    def runs_extensions(self) -> bool:
        """Whether Strawberry runs it, because the schema has extensions or overrides."""
        return self._strawberry_executor is not None

    @property
    def max_compiled_fields(self) -> int:
        """The maximum number of compiled fields, in all variants together."""
        if self._strawberry_executor is not None or self.fields > MAX_FIELDS:
            return 0
        return min(self.fields * (MAX_VARIANTS if self._usage.switches else 1), MAX_FIELDS)

    async def subscribe(
        self, variables: Variables, context: object, extensions: Extensions = None
    ) -> ExecutionResult | AsyncIterator[ExecutionResult]:
        """Returns the results of a subscription, or one result with the errors.

        Subscriptions are not compiled.
        """
        if self._strawberry_executor is not None:
            return self._strawberry_executor.subscribe(variables, context, extensions)
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
            # For null, graphql-core reports the error with its location.
            return None
        if key not in self._variants:
            if len(self._variants) >= MAX_VARIANTS or self.fields > self._field_budget:
                return None
            self._field_budget -= self.fields
            self._variants[key] = self._compile(values)
            if not switches:
                self._constant = self._variants[key]
        return self._variants[key]

    def _compile(self, values: VariableValues) -> RunSelection | None:
        executor = Executor.build(self._schema, self._without_variables())
        if not isinstance(executor, Executor):
            return None
        executor.operation = self._operation
        # The executor is kept with the operation, so it must not hold other values of this request.
        switches = self._usage.switches
        executor.variable_values = VariableValues(
            _only(switches, values.sources), _only(switches, values.coerced)
        )
        try:
            return Compiler(self._strawberry_schema, executor).compile()
        except Unsupported:
            return None

    def _without_variables(self) -> DocumentNode:
        """Returns the operation with its fragments. The variables are parsed already."""
        operation = replace(self._operation, variable_definitions=())
        fragments = [
            node for node in self._document.definitions if isinstance(node, FragmentDefinitionNode)
        ]
        return DocumentNode(definitions=(operation, *fragments))


_NO_VALUES = VariableValues({}, {})


def _without_abort(result: ExecutionResult) -> ExecutionResult:
    """Removes graphql-core's last error, which only reports that there are more."""
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
