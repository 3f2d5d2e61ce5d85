"""The time limit of an operation as a client sees it, over HTTP and over a socket."""

from collections.abc import Awaitable

from graphql import ExecutionResult

from graph.errors.graphql_errors import RETRY_AFTER_UNAVAILABLE_SECONDS
from graph.http.replies import RETRY_LATER
from graph.http.requests import RequestRefused
from graph.http.unfinished import OutOfTime, TooManyUnfinished, UnfinishedOperations
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
