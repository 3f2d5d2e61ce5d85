"""Values become what the reply holds, by the type of their field.

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
    fill_in,
    is_awaitable,
    on_error,
    plain_types,
    settle,
)
from graph.errors.error_origins import raise_not_iterable

ResolveInfo = GraphQLResolveInfo[Any]

# From a value to that of the reply, or to a coroutine that returns it.
Complete = Callable[[Any, Run, Path, ResolveInfo], Any]

# The same where an error does not get out, unless null is not allowed there.
Finish = Callable[[Any, Run, Path, Any], Any]

# A value of exactly this type stands in the reply as it is.
_AS_IT_IS: dict[GraphQLOutputType, type] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLBoolean: bool,
}


class Unsupported(Exception):
    """Closures cannot express this: graphql-core runs the operation."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the document and in the schema a value belongs."""

    nodes: Nodes
    parent: GraphQLObjectType

    @property
    def name(self) -> str:
        """As errors name it."""
        return f"{self.parent}.{self.nodes[0].name.value}"


@dataclass(frozen=True, slots=True)
class Completion:
    """How the values of one type are completed."""

    # Whatever a resolver gave, but for what must be awaited first.
    any: Complete
    # What is of a type in `plain_types`.
    plain: Complete


def finisher(completion: Completion, nodes: Nodes, fail: Fail) -> Finish:
    """From what a resolver gave to the completed value, or to a coroutine that returns it."""
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


def type_as_it_is(type_: GraphQLOutputType) -> type | None:
    """The Python type whose values need no completion in a field of this type, if there is one."""
    return _AS_IT_IS.get(type_.of_type if isinstance(type_, GraphQLNonNull) else type_)


def complete_present(complete: Complete, place: Place) -> Complete:
    """Refuses null, and raises what a resolver returned instead of raising it.

    What is not null never becomes null: scalars that would are refused by graphql-core.
    """
    message = f"Cannot return null for non-nullable field {place.name}."

    def run_present(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
        if value is None or value is Undefined:
            raise TypeError(message)
        if isinstance(value, Exception):
            raise value
        return complete(value, run, path, info)

    return run_present


def complete_nullable(complete: Complete) -> Complete:
    """Passes null on, and raises what a resolver returned instead of raising it."""

    def run_nullable(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
        if value is None or value is Undefined:
            return None
        if isinstance(value, Exception):
            raise value
        return complete(value, run, path, info)

    return run_nullable


def complete_leaf(type_: GraphQLLeafType) -> Complete:
    """Serialises a scalar or an enum."""
    as_it_is = _AS_IT_IS.get(type_)

    def run_leaf(value: Any, _run: Run, _path: Path, _info: ResolveInfo) -> Any:
        return value if type(value) is as_it_is else Executor.complete_leaf_value(type_, value)

    return run_leaf


def complete_list(
    type_: GraphQLList[GraphQLOutputType], item: Completion, place: Place
) -> Complete:
    """Completes each item; what must be awaited is awaited side by side."""
    fail = on_error(nullable=not isinstance(type_.of_type, GraphQLNonNull))
    finish = finisher(item, place.nodes, fail)
    is_leaf, as_it_is = is_leaf_type(_bare(type_.of_type)), {type_as_it_is(type_.of_type)}

    def run_list(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
        if type(value) is list:
            if is_leaf and as_it_is >= set(map(type, value)):
                return value.copy()
        elif is_async_iterable(value):
            return _complete_async_iterable(finish, value, run, path, info)
        elif not is_iterable(value):
            raise_not_iterable(place.name)
        return _complete_iterable(finish, value, run, path, info)

    return run_list


def _bare(type_: GraphQLOutputType) -> GraphQLOutputType:
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
        begun = [results[index] for index in awaited]
        # What is told is the first error, even if the rest cannot be read.
        with suppress(Exception):
            begun.extend(value for value in iterator if is_awaitable(value))
        if begun:
            settle(begun)
        raise
    return fill_in(results, awaited) if awaited else results


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
            # What is told is why it was closed.
            with suppress(Exception):
                await iterator.aclose()
        if awaited:
            settle([results[index] for index in awaited])
        raise
    return await fill_in(results, awaited) if awaited else results
