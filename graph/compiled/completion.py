"""Completes the values of resolvers: converts them to the values of the reply.

https://spec.graphql.org/September2025/#sec-Value-Completion
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import CoroutineType
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLString,
    Undefined,
    is_leaf_type,
)
from graphql.execution import Executor
from graphql.pyutils import is_async_iterable, is_iterable

from graph.compiled.located_errors import Nodes
from graph.compiled.runs import (
    Fail,
    Path,
    Run,
    await_entries,
    finish_in_background,
    is_awaitable,
    on_error,
    plain_types,
)
from graph.errors.error_origins import raise_not_iterable

ResolveInfo = GraphQLResolveInfo[Any]

# Converts a value to that of the reply, or to a coroutine that returns it.
Complete = Callable[[Any, Run, Path, ResolveInfo], Any]

# The same, with errors handled: raises only where null is not allowed.
Finish = Callable[[Any, Run, Path, Any], Any]

# A value of exactly this type needs no conversion.
_PASS_THROUGH: dict[GraphQLOutputType, type] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLBoolean: bool,
}


class Unsupported(Exception):
    """The operation cannot be compiled, so graphql-core runs it."""


@dataclass(frozen=True, slots=True)
class FieldLocation:
    """The location of a field in the document and in the schema."""

    nodes: Nodes
    parent: GraphQLObjectType

    @property
    def name(self) -> str:
        """The name for error messages, `Type.field`."""
        return f"{self.parent}.{self.nodes[0].name.value}"


@dataclass(frozen=True, slots=True)
class Completion:
    """The functions that complete the values of one type."""

    # For any value that is not awaitable.
    any: Complete
    # For values of a type in `plain_types`.
    plain: Complete


def finisher(completion: Completion, nodes: Nodes, fail: Fail) -> Finish:
    """Returns a function that completes the value of a resolver and handles its errors."""
    complete, complete_plain = completion.any, completion.plain

    async def finish_value(value: Any, run: Run, path: Path, info: Any) -> Any:
        try:
            completed = complete(await value, run, path, info)
            return await completed if type(completed) is CoroutineType else completed
        except Exception as error:
            return fail(run, error, nodes, path)

    async def finish_completed(completed: Any, run: Run, path: Path) -> Any:
        try:
            return await completed
        except Exception as error:
            return fail(run, error, nodes, path)

    def finish(value: Any, run: Run, path: Path, info: Any) -> Any:
        try:
            if type(value) in plain_types:
                completed = complete_plain(value, run, path, info)
            elif is_awaitable(value):
                return finish_value(value, run, path, info)
            else:
                completed = complete(value, run, path, info)
        except Exception as error:
            return fail(run, error, nodes, path)
        if type(completed) is CoroutineType:
            return finish_completed(completed, run, path)
        return completed

    return finish


def pass_through_type(type_: GraphQLOutputType) -> type | None:
    """Returns the Python type whose values need no conversion for this type, if there is one."""
    return _PASS_THROUGH.get(type_.of_type if isinstance(type_, GraphQLNonNull) else type_)


def complete_non_null(complete: Complete, location: FieldLocation) -> Complete:
    """Returns a completion that rejects null, and raises errors that a resolver returned.

    Completion never turns other values into null: graphql-core rejects scalars that do.
    """
    message = f"Cannot return null for non-nullable field {location.name}."

    def run_non_null(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
        if value is None or value is Undefined:
            raise TypeError(message)
        if isinstance(value, Exception):
            raise value
        return complete(value, run, path, info)

    return run_non_null


def complete_nullable(complete: Complete) -> Complete:
    """Returns a completion that accepts null, and raises errors that a resolver returned."""

    def run_nullable(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
        if value is None or value is Undefined:
            return None
        if isinstance(value, Exception):
            raise value
        return complete(value, run, path, info)

    return run_nullable


def complete_leaf(type_: GraphQLLeafType) -> Complete:
    """Returns a completion that serializes a scalar or an enum."""
    pass_through = _PASS_THROUGH.get(type_)

    def run_leaf(value: Any, _run: Run, _path: Path, _info: ResolveInfo) -> Any:
        return value if type(value) is pass_through else Executor.complete_leaf_value(type_, value)

    return run_leaf


def complete_list(
    type_: GraphQLList[GraphQLOutputType], item: Completion, location: FieldLocation
) -> Complete:
    """Returns a completion for lists, which awaits its items concurrently."""
    fail = on_error(nullable=not isinstance(type_.of_type, GraphQLNonNull))
    finish = finisher(item, location.nodes, fail)
    is_leaf, pass_through = (
        is_leaf_type(_nullable(type_.of_type)),
        {pass_through_type(type_.of_type)},
    )

    def run_list(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
        if type(value) is list:
            if is_leaf and pass_through >= set(map(type, value)):
                return value.copy()
        elif is_async_iterable(value):
            return _complete_async_iterable(finish, value, run, path, info)
        elif not is_iterable(value):
            raise_not_iterable(location.name)
        return _complete_iterable(finish, value, run, path, info)

    return run_list


def _nullable(type_: GraphQLOutputType) -> GraphQLOutputType:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _complete_iterable(finish: Finish, values: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
    results: list[Any] = []
    awaited: list[int] = []
    iterator = iter(values)
    try:
        for index, value in enumerate(iterator):
            completed = finish(value, run, (path, index, None), info)
            if type(completed) is CoroutineType:
                awaited.append(index)
            results.append(completed)
    except Exception:
        started = [results[index] for index in awaited]
        # The first error is the one to report, even if reading the other items fails too.
        with suppress(Exception):
            started.extend(value for value in iterator if is_awaitable(value))
        if started:
            finish_in_background(started)
        raise
    return await_entries(results, awaited) if awaited else results


async def _complete_async_iterable(
    finish: Finish, values: Any, run: Run, path: Path, info: ResolveInfo
) -> Any:
    results: list[Any] = []
    awaited: list[int] = []
    iterator = aiter(values)
    try:
        index = 0
        async for value in iterator:
            completed = finish(value, run, (path, index, None), info)
            if type(completed) is CoroutineType:
                awaited.append(index)
            results.append(completed)
            index += 1
    except Exception:
        if hasattr(iterator, "aclose"):
            # The first error is the one to report.
            with suppress(Exception):
                await iterator.aclose()
        if awaited:
            finish_in_background([results[index] for index in awaited])
        raise
    return await await_entries(results, awaited) if awaited else results
