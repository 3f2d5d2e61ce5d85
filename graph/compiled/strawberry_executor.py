"""Runs operations with Strawberry's `Schema.execute` and `Schema.subscribe`."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from copy import copy
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError
from strawberry.types.execution import ExecutionContext, PreExecutionError

from graph.compiled.compilable import logs_errors_by_itself

Variables = dict[str, Any] | None
# The `extensions` of the request. Resolvers read them as `info.input_extensions`.
Extensions = dict[str, Any] | None
# Receives the errors that are missing from the reply.
LogErrors = Callable[[Sequence[GraphQLError]], None]


class NotStarted(ExecutionResult):
    """The only result of an operation that did not start, such as a refused subscription."""


class StrawberryExecutor:
    """Runs one operation with all features of its schema.

    These are extensions and their hooks, operation directives, `process_errors`, execution context
    classes, and overridden methods. Strawberry parses and validates the document in each run.
    """

    def __init__(
        self, schema: strawberry.Schema, text: str, name: str | None, log: LogErrors
    ) -> None:
        self._schema = schema
        self._text = text
        self._name = name
        self._log = log

    async def execute(
        self, variables: Variables, context: object, extensions: Extensions
    ) -> ExecutionResult:
        """Returns the result, with the `extensions` that schema extensions add."""
        schema, found = self._without_log()
        try:
            ran: Any = await schema.execute(
                self._text,
                variables,
                context,
                operation_name=self._name,
                operation_extensions=extensions,
            )
        except Exception as error:
            return ExecutionResult(None, [_as_graphql_error(error)])
        result = _as_result(ran)
        self._log(_missing(found, result))
        return result

    async def subscribe(
        self, variables: Variables, context: object, extensions: Extensions
    ) -> AsyncGenerator[ExecutionResult]:
        """Yields the results, or one NotStarted."""
        schema, found = self._without_log()
        results: Any = await schema.subscribe(
            self._text,
            variables,
            context,
            operation_name=self._name,
            operation_extensions=extensions,
        )
        async with aclosing(results):
            async for ran in results:
                result = _as_result(ran)
                self._log(_missing(found, result))
                found.clear()
                yield result

    def _without_log(self) -> tuple[strawberry.Schema, list[GraphQLError]]:
        """Returns the schema and a list, to which it adds errors instead of logging them.

        Strawberry's log would contain the document. A custom `process_errors` is kept.
        """
        found: list[GraphQLError] = []
        if not logs_errors_by_itself(self._schema):
            return self._schema, found

        def add_error(
            errors: list[GraphQLError],
            execution_context: ExecutionContext | None = None,  # noqa: ARG001 - passed by name
        ) -> None:
            found.extend(errors)

        schema = copy(self._schema)
        schema.process_errors = add_error  # type: ignore[method-assign]
        return schema, found


def _missing(found: list[GraphQLError], result: ExecutionResult) -> list[GraphQLError]:
    """Returns the errors that are missing from the result: an extension replaced them."""
    kept = {id(error) for error in result.errors or ()}
    return [error for error in found if id(error) not in kept]


def _as_result(result: Any) -> ExecutionResult:
    errors = None if not result.errors else [_as_graphql_error(error) for error in result.errors]
    kind = NotStarted if isinstance(result, PreExecutionError) else ExecutionResult
    return kind(result.data, errors, result.extensions)


def _as_graphql_error(error: Exception) -> GraphQLError:
    if isinstance(error, GraphQLError):
        return error
    return GraphQLError(str(error), original_error=error)
