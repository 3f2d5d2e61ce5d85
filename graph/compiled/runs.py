"""One run of a compiled operation: its context, variables and errors."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import CoroutineType, GeneratorType
from typing import Any, Never

from graphql import GraphQLError, Undefined
from graphql.execution.executor import CollectedErrors
from graphql.execution.values import VariableValues
from graphql.pyutils import Path as CorePath
from graphql.pyutils import gather_with_cancel
from strawberry.execution import optimized_is_awaitable

from graph.compiled.located_errors import Nodes, error_at

# Types whose values are neither awaitable nor null nor exceptions, collected at run time.
plain_types: set[type] = set()
_MAX_PLAIN_TYPES = 1000
# Strong references: the event loop holds only weak references to tasks.
_background: set[asyncio.Future[Any]] = set()


_new_tuple: Any = tuple.__new__


# A path in the reply: the parent path, a key or index, and the name of the parent type. Equal to
# graphql-core's `Path`, which takes longer to create and is needed for errors only.
Path = tuple[Any, str | int, str | None]


class Run:
    """The values of one request that closures use, and the errors of the run."""

    __slots__ = ("_collected", "_first", "context", "extensions", "values", "variables")

    def __init__(
        self,
        context: object,
        variables: VariableValues,
        extensions: dict[str, Any] | None,
    ) -> None:
        self.context = context
        self.extensions = extensions
        self.variables = variables
        # Resolvers get this dict and could change it, so it is not shared.
        self.values = variables.coerced or {}
        # Most runs have at most one error. CollectedErrors is created for the second.
        self._first: tuple[GraphQLError, Path | None] | None = None
        self._collected: CollectedErrors | None = None

    @property
    def errors(self) -> list[GraphQLError] | None:
        """The errors; None if there are none."""
        if self._collected is not None:
            return self._collected.errors
        return None if self._first is None else [self._first[0]]

    def fail(self, error: GraphQLError) -> list[GraphQLError] | None:
        """Adds an error that makes the whole reply null. Returns all errors."""
        self._collect(error, None)
        return self.errors

    def add_error(self, error: Exception, nodes: Nodes, path: Path) -> None:
        """Adds an error with its location. The value becomes null.

        https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors
        """
        self._collect(error_at(error, nodes, _keys(path)), path)

    def raise_error(self, error: Exception, nodes: Nodes, path: Path) -> Never:
        """Raises an error with its location, because the value must not be null."""
        raise error_at(error, nodes, _keys(path))

    def _collect(self, error: GraphQLError, path: Path | None) -> None:
        if self._first is None:
            self._first = error, path
            return
        if self._collected is None:
            first, its_path = self._first
            self._collected = CollectedErrors()
            self._collected.add(first, its_path and core_path(its_path))
        self._collected.add(error, path and core_path(path))


def _keys(path: Path) -> list[str | int]:
    """Returns the path in the format of a reply."""
    keys: list[str | int] = []
    current: Path | None = path
    while current:
        current, key, _ = current
        keys.append(key)
    keys.reverse()
    return keys


def core_path(path: Path) -> CorePath:
    """Returns the path as graphql-core's `Path`."""
    previous, key, parent = path
    return _new_tuple(CorePath, (previous and core_path(previous), key, parent))  # type: ignore[no-any-return]


# Handles an error: `Run.add_error` or `Run.raise_error`.
Fail = Callable[[Run, Exception, Nodes, Path], None]


def on_error(*, nullable: bool) -> Fail:
    """Returns the error handler of a nullable or non-null type."""
    return Run.add_error if nullable else Run.raise_error


def is_awaitable(value: object) -> bool:
    """Returns whether the value must be awaited."""
    kind = type(value)
    if value is None or kind in plain_types:
        return False
    if kind is CoroutineType:
        return True
    if kind is not GeneratorType and not hasattr(value, "__await__"):
        # The type of a proxy (`__class__` differs) says nothing about its next value.
        is_itself = value.__class__ is kind and not isinstance(value, Exception)
        if is_itself and value is not Undefined and len(plain_types) < _MAX_PLAIN_TYPES:
            plain_types.add(kind)
        return False
    return optimized_is_awaitable(value)


async def await_entries(results: Any, keys: list[Any]) -> Any:
    """Awaits these entries of a dict or a list concurrently, and replaces them by their values."""
    if len(keys) == 1:
        results[keys[0]] = await results[keys[0]]
        return results
    values = await gather_with_cancel(*(results[key] for key in keys))
    for key, value in zip(keys, values, strict=True):
        results[key] = value
    return results


def finish_in_background(awaitables: Iterable[Awaitable[Any]]) -> None:
    """Awaits these in the background, and ignores their results."""
    finishing = asyncio.gather(*awaitables, return_exceptions=True)
    _background.add(finishing)
    finishing.add_done_callback(_background.discard)
