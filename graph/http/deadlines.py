"""Starting and finishing operations, over HTTP and WebSocket, with their time limit."""

from collections.abc import Awaitable

from graphql import ExecutionResult

from graph.context import Context
from graph.documents.operations import Operation
from graph.errors.graphql_errors import RETRY_AFTER_UNAVAILABLE_SECONDS
from graph.http.replies import RETRY_LATER
from graph.http.requests import GraphQLRequest, RequestRefused
from graph.http.unfinished import (
    OperationTimedOut,
    TooManyUnfinished,
    UnfinishedOperations,
    internal_error,
)
from graph.statuses import Problem


def check_capacity(unfinished: UnfinishedOperations) -> None:
    """Raises RequestRefused if too many operations are unfinished; called before a mutation."""
    try:
        unfinished.check_capacity()
    except TooManyUnfinished:
        raise RequestRefused(
            Problem.UNAVAILABLE,
            "Too many operations are still running. Try again shortly.",
            RETRY_LATER,
            retryAfter=RETRY_AFTER_UNAVAILABLE_SECONDS,
        ) from None


def start(
    operation: Operation, request: GraphQLRequest, context: Context
) -> ExecutionResult | Awaitable[ExecutionResult]:
    """Starts an operation. Returns its result, or an awaitable of it if it has to wait."""
    try:
        return operation.start(request.variables, context, request.extensions)
    except Exception:
        raise
    except BaseException as error:  # noqa: BLE001 - `format_errors` logs and masks it
        # Nothing was awaited, so the request was not cancelled.
        return internal_error(error)


async def finish(
    unfinished: UnfinishedOperations, result: Awaitable[ExecutionResult], *, is_mutation: bool
) -> ExecutionResult:
    """Returns the result. Raises RequestRefused if it takes too long, DatabaseUnavailable."""
    try:
        return await unfinished.finish(result, is_mutation=is_mutation)
    except OperationTimedOut:
        # It may have taken effect: a user who repeats it then meets a used link or a taken name.
        running = "is still running. Check its effect before you repeat it"
        outcome = running if is_mutation else "was cancelled"
        raise timeout_error(unfinished.seconds, outcome) from None


def timeout_error(seconds: float, outcome: str) -> RequestRefused:
    """Returns the error of an operation that exceeded the time limit."""
    return RequestRefused(
        Problem.TIMED_OUT,
        f"The operation took longer than {seconds:g} seconds and {outcome}.",
        limit="operation_seconds",
        maximum=seconds,
    )
