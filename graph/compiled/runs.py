"""One run of an operation: what its closures share, and the errors that they meet."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import CoroutineType
from typing import Any, Never

from graphql import FieldNode, located_error
from graphql.execution.executor import CollectedErrors
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, gather_with_cancel
from strawberry.execution import optimized_is_awaitable

# Held until they end: the event loop itself keeps no task alive.
_settling: set[asyncio.Future[Any]] = set()


class Run:
    """The values that closures get beside their source: those of this request."""

    __slots__ = ("context", "errors", "root", "variables")

    def __init__(self, root: object, context: object, variables: VariableValues) -> None:
        self.root = root
        self.context = context
        self.variables = variables
        self.errors = CollectedErrors()

    def note(self, error: Exception, nodes: list[FieldNode], path: Path) -> None:
        """Tells the error at its place, where null stands for the value.

        https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors
        """
        self.errors.add(located_error(error, nodes, path.as_list()), path)

    def pass_on(self, error: Exception, nodes: list[FieldNode], path: Path) -> Never:
        """Raises the error with its place, where null is not allowed."""
        raise located_error(error, nodes, path.as_list())


# What becomes of an error: `Run.note` or `Run.pass_on`.
Fail = Callable[[Run, Exception, list[FieldNode], Path], None]


def on_error(*, nullable: bool) -> Fail:
    """How an error ends, by whether null may stand in its place."""
    return Run.note if nullable else Run.pass_on


def is_awaitable(value: object) -> bool:
    """Whether it must be awaited; a coroutine is told by its type alone."""
    return type(value) is CoroutineType or optimized_is_awaitable(value)


async def fill_in(results: Any, keys: list[Any]) -> Any:
    """Awaits these entries of a dict or a list side by side, and puts their values in place."""
    if len(keys) == 1:
        results[keys[0]] = await results[keys[0]]
        return results
    values = await gather_with_cancel(*(results[key] for key in keys))
    for key, value in zip(keys, values, strict=True):
        results[key] = value
    return results


def settle(awaitables: Iterable[Awaitable[Any]]) -> None:
    """Lets what has begun come to its end; nobody waits for it any more."""
    settling = asyncio.gather(*awaitables, return_exceptions=True)
    _settling.add(settling)
    settling.add_done_callback(_settling.discard)
