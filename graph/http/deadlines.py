"""How an operation starts, and its time limit as a client sees it, over HTTP and over a socket."""

from collections.abc import Awaitable

from graphql import ExecutionResult

from graph.context import Context
from graph.documents.operations import Operation
from graph.errors.graphql_errors import RETRY_AFTER_UNAVAILABLE_SECONDS
from graph.http.replies import RETRY_LATER
from graph.http.requests import GraphQLRequest, RequestRefused
from graph.http.unfinished import (
    OutOfTime,
    TooManyUnfinished,
    UnfinishedOperations,
    internal_error,
)
from graph.statuses import Problem


def check_room(unfinished: UnfinishedOperations) -> None:
    """Called before a mutation begins. Raises RequestRefused if too many have not ended."""
    try:
        unfinished.check_room()
    except TooManyUnfinished:
        raise RequestRefused(
            Problem.UNAVAILABLE,
            "Too many operations have not ended yet. Try again shortly.",
            RETRY_LATER,
            retryAfter=RETRY_AFTER_UNAVAILABLE_SECONDS,
        ) from None


def start(
    operation: Operation, request: GraphQLRequest, context: Context
) -> ExecutionResult | Awaitable[ExecutionResult]:
    """Runs it: the result, or where something must be waited for, an awaitable of it."""
    try:
        return operation.start(request.variables, context, request.extensions)
    except Exception:
        raise
    except BaseException as error:  # noqa: BLE001 - `format_errors` logs and masks it
        # Nothing was awaited, so this is not a cancellation of the request.
        return internal_error(error)


async def finish(
    unfinished: UnfinishedOperations, result: Awaitable[ExecutionResult], *, is_mutation: bool
) -> ExecutionResult:
    """Returns the result. Raises RequestRefused if it takes too long, DatabaseUnavailable."""
    try:
        return await unfinished.finish(result, is_mutation=is_mutation)
    except OutOfTime:
        what = "is still running" if is_mutation else "was cancelled"
        raise out_of_time(unfinished.seconds, what) from None


def out_of_time(seconds: float, what: str) -> RequestRefused:
    """The error of an operation that took longer than it may."""
    return RequestRefused(
        Problem.TIMED_OUT,
        f"The operation took longer than {seconds:g} seconds and {what}.",
        limit="operation_seconds",
        maximum=seconds,
    )
