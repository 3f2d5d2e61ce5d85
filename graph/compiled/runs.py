"""One run of an operation: what its closures share, and the errors that they meet."""

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

# Types whose values are neither awaitables nor null nor errors, as was seen once.
plain_types: set[type] = set()
_MAX_KINDS = 1000
# Held until they end: the event loop itself keeps no task alive.
_settling: set[asyncio.Future[Any]] = set()


_new_tuple: Any = tuple.__new__


# A place in the reply: that around it, the key or index in it, and the type that has the key. It is
# what graphql-core's `Path` is, without the cost of making one for each value that is well.
Path = tuple[Any, str | int, str | None]


class Run:
    """The values that closures get beside their source: those of this request."""

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
        # What resolvers get of them, and could write into.
        self.values = variables.coerced or {}
        # Most runs meet no error, and most others one.
        self._first: tuple[GraphQLError, Path | None] | None = None
        self._collected: CollectedErrors | None = None

    @property
    def errors(self) -> list[GraphQLError] | None:
        """What went wrong; None if nothing did."""
        if self._collected is not None:
            return self._collected.errors
        return None if self._first is None else [self._first[0]]

    def fail(self, error: GraphQLError) -> list[GraphQLError] | None:
        """Null stands for the whole reply."""
        self._collect(error, None)
        return self.errors

    def note(self, error: Exception, nodes: Nodes, path: Path) -> None:
        """Tells the error at its place, where null stands for the value.

        https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors
        """
        self._collect(error_at(error, nodes, _keys(path)), path)

    def pass_on(self, error: Exception, nodes: Nodes, path: Path) -> Never:
        """Raises the error with its place, where null is not allowed."""
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
    """The place as a reply tells it."""
    keys: list[str | int] = []
    place: Path | None = path
    while place:
        place, key, _ = place
        keys.append(key)
    keys.reverse()
    return keys


def core_path(path: Path) -> CorePath:
    """The same as graphql-core has it."""
    around, key, parent = path
    return _new_tuple(CorePath, (around and core_path(around), key, parent))  # type: ignore[no-any-return]


# What becomes of an error: `Run.note` or `Run.pass_on`.
Fail = Callable[[Run, Exception, Nodes, Path], None]


def on_error(*, nullable: bool) -> Fail:
    """How an error ends, by whether null may stand in its place."""
    return Run.note if nullable else Run.pass_on


def is_awaitable(value: object) -> bool:
    """Whether it must be awaited."""
    kind = type(value)
    if value is None or kind in plain_types:
        return False
    if kind is CoroutineType:
        return True
    if kind is not GeneratorType and not hasattr(value, "__await__"):
        # A proxy may stand for an error the next time; it says that it is of another class.
        is_itself = value.__class__ is kind and not isinstance(value, Exception)
        if is_itself and value is not Undefined and len(plain_types) < _MAX_KINDS:
            plain_types.add(kind)
        return False
    return optimized_is_awaitable(value)


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
