"""Strawberry's own path: `Schema.execute` and `Schema.subscribe` run what is not known here."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from copy import copy
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError
from strawberry.types.execution import ExecutionContext, PreExecutionError

from graph.compiled.known import logs_errors_by_itself

Variables = dict[str, Any] | None
# Those of the request, which resolvers read as `info.input_extensions`.
Extensions = dict[str, Any] | None
# Gets the errors that no reply holds.
LogErrors = Callable[[Sequence[GraphQLError]], None]


class NotStarted(ExecutionResult):
    """The only result of an operation that did not begin, such as a refused subscription."""


class StrawberryPath:
    """Runs one document with everything that belongs to its schema.

    That is: extensions and their hooks, operation directives, `process_errors`, execution context
    classes, and methods that a subclass of the schema overrides. Strawberry parses and validates
    the document in each run.
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
        """The result, with the `extensions` that extensions of the schema add."""
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
        """The results; one NotStarted if there are none."""
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
        """The schema, and where it notes errors instead of writing them to Strawberry's log.

        That log would hold the text of the document. A `process_errors` of own code is kept.
        """
        found: list[GraphQLError] = []
        if not logs_errors_by_itself(self._schema):
            return self._schema, found

        def note(
            errors: list[GraphQLError],
            execution_context: ExecutionContext | None = None,  # noqa: ARG001 - Strawberry names it
        ) -> None:
            found.extend(errors)

        schema = copy(self._schema)
        schema.process_errors = note  # type: ignore[method-assign]
        return schema, found


def _missing(found: list[GraphQLError], result: ExecutionResult) -> list[GraphQLError]:
    """The errors that the result does not hold: an extension has replaced them."""
    held = {id(error) for error in result.errors or ()}
    return [error for error in found if id(error) not in held]


def _as_result(result: Any) -> ExecutionResult:
    errors = None if not result.errors else [_as_graphql_error(error) for error in result.errors]
    kind = NotStarted if isinstance(result, PreExecutionError) else ExecutionResult
    return kind(result.data, errors, result.extensions)


def _as_graphql_error(error: Exception) -> GraphQLError:
    if isinstance(error, GraphQLError):
        return error
    return GraphQLError(str(error), original_error=error)
