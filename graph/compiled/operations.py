"""An operation that was validated once, and runs any number of times."""

from collections.abc import AsyncIterator, Awaitable
from types import CoroutineType
from typing import Any

import strawberry
from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    execute,
    subscribe,
    visit,
)
from graphql.execution import Executor
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.compiled.compiler import Compiler
from graph.compiled.completion import Unsupported
from graph.compiled.counting import count_fields
from graph.compiled.runs import Run
from graph.compiled.selections import RunSelection

# `@skip` and `@include` make another operation of each combination of their variables.
MAX_VARIANTS = 16
# Of all variants together: a fragment counts wherever it is spread, and each field takes kilobytes.
MAX_FIELDS = 500

Variables = dict[str, Any] | None


class CompiledOperation:
    """Runs one operation of a valid document. Safe to share between requests."""

    def __init__(
        self,
        schema: strawberry.Schema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
    ) -> None:
        self._strawberry_schema = schema
        self._schema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        self._document = document
        self.type = operation.operation
        self._name = operation.name.value if operation.name else None
        self._definitions = operation.variable_definitions or ()
        self._switches = _switches(document)
        self.fields = count_fields(document, operation)
        self._room = MAX_FIELDS
        self._variants: dict[tuple[object, ...], RunSelection | None] = {}
        # The only variant, of an operation that nothing switches.
        self._constant: RunSelection | None = None

    def execute(
        self, variables: Variables, context: object
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """The result, or an awaitable of it, as graphql-core would give it."""
        values = _NO_VALUES
        if self._definitions:
            coerced = get_variable_values(self._schema, self._definitions, variables or {})
            if isinstance(coerced, list):
                return ExecutionResult(None, coerced)
            values = coerced
        run_selection = self._constant or self._variant(values, variables)
        if run_selection is None:
            return self.execute_uncompiled(variables, context)
        run = Run(None, context, values)
        try:
            data = run_selection(None, run, None, None)
        except GraphQLError as error:
            return ExecutionResult(None, run.fail(error))
        if type(data) is CoroutineType:
            return _finish(data, run)
        return ExecutionResult(data, run.errors)

    def execute_uncompiled(
        self, variables: Variables, context: object
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """The same by graphql-core."""
        return execute(
            self._schema,
            self._document,
            context_value=context,
            variable_values=variables,
            operation_name=self._name,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type] # a TypeGuard but for its name
            executor_class=StrawberryGraphQLCoreExecutionContext,
            operation_extensions=None,
        )

    @property
    def most_compiled_fields(self) -> int:
        """How many fields there can be closures for, in all variants together."""
        if self.fields > MAX_FIELDS:
            return 0
        return min(self.fields * (MAX_VARIANTS if self._switches else 1), MAX_FIELDS)

    async def subscribe(
        self, variables: Variables, context: object
    ) -> ExecutionResult | AsyncIterator[ExecutionResult]:
        """The results of a subscription, or why there are none, by graphql-core."""
        subscribed = subscribe(
            self._schema,
            self._document,
            context_value=context,
            variable_values=variables,
            operation_name=self._name,
            is_awaitable=optimized_is_awaitable,
            executor_class=StrawberryGraphQLCoreExecutionContext,
            operation_extensions=None,
        )
        return await subscribed if isinstance(subscribed, Awaitable) else subscribed

    def _variant(self, values: VariableValues, variables: Variables) -> RunSelection | None:
        switches = self._switches
        key = tuple([values.coerced.get(name) for name in switches]) if switches else ()
        if not all(type(value) is bool for value in key):
            # Null is an error, which graphql-core tells where it comes upon it; anything else is
            # for a directive of own code.
            return None
        if key not in self._variants:
            if len(self._variants) >= MAX_VARIANTS or self.fields > self._room:
                return None
            self._room -= self.fields
            self._variants[key] = self._compile(variables)
            if not switches:
                self._constant = self._variants[key]
        return self._variants[key]

    def _compile(self, variables: Variables) -> RunSelection | None:
        executor = Executor.build(
            self._schema,
            self._document,
            raw_variable_values=variables,
            operation_name=self._name,
        )
        if not isinstance(executor, Executor):
            return None
        # It is kept for as long as the operation: what else came with this request is not.
        values = executor.variable_values
        executor.variable_values = VariableValues(
            {name: values.sources[name] for name in self._switches if name in values.sources},
            {name: values.coerced[name] for name in self._switches if name in values.coerced},
        )
        try:
            return Compiler(self._strawberry_schema, executor).compile()
        except Unsupported:
            return None


_NO_VALUES = VariableValues({}, {})


async def _finish(data: Any, run: Run) -> ExecutionResult:
    try:
        return ExecutionResult(await data, run.errors)
    except GraphQLError as error:
        return ExecutionResult(None, run.fail(error))


class _SwitchFinder(Visitor):
    """Notes the variables in directives."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self._depth = 0

    def enter_directive(self, _node: DirectiveNode, *_: Any) -> None:
        self._depth += 1

    def leave_directive(self, _node: DirectiveNode, *_: Any) -> None:
        self._depth -= 1

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        if self._depth and node.name.value not in self.names:
            self.names.append(node.name.value)


def _switches(document: DocumentNode) -> tuple[str, ...]:
    finder = _SwitchFinder()
    visit(document, finder)
    return tuple(finder.names)
