"""Origins of GraphQL errors: whether the client or the server made the mistake.

graphql-core raises `GraphQLError` both for a mistake of the client (an argument of the wrong type)
and for a mistake of the server (a resolver returned a dict for an `Int`). Only the traceback
distinguishes them. Errors of the server quote the value, which may be a password hash.
"""

from collections.abc import Iterator
from traceback import walk_tb
from types import CodeType
from typing import Any, Never

from graphql import GraphQLError, GraphQLObjectType
from graphql.execution import Executor
from graphql.execution.execute import assert_event_stream
from graphql.execution.executor import invalid_return_type_error
from strawberry.permission import BasePermission


def raise_wrong_type(type_: GraphQLObjectType, value: Any, details: Any) -> Never:
    """Raises graphql-core's error for a value that is not of its object type."""
    raise invalid_return_type_error(type_, value, details)


def raise_not_iterable(field: str) -> Never:
    """Raises graphql-core's error for a list value that is not iterable."""
    raise GraphQLError(f"Expected Iterable, but did not find one for field '{field}'.")


# The functions in which graphql-core starts with a value. An error further inside belongs to it.
_VALUE_STARTS = frozenset(
    function.__code__
    for function in (
        Executor.execute_field,
        Executor.complete_awaitable_value,
        Executor.complete_list_item_value,
        Executor.complete_awaitable_list_item_value,
    )
)
# An error inside these functions means that a value does not match its type, also if the code of a
# scalar raised it.
_COMPLETIONS = frozenset(
    function.__code__
    for function in (
        raise_wrong_type,
        raise_not_iterable,
        assert_event_stream,
        Executor.complete_leaf_value,
        Executor.ensure_valid_runtime_type,
    )
)
# These functions raise the same errors directly, but also call custom code, e.g. `is_type_of`.
_DIRECT_COMPLETIONS = frozenset(
    function.__code__ for function in (Executor.complete_list_value, Executor.complete_object_value)
)
# The function inside `complete_object_value` for an asynchronous `is_type_of`.
_ASYNC_COMPLETION = "execute_subfields_async"


def is_completion_error(error: BaseException) -> bool:
    """Returns whether a value did not match the type of its field: a mistake of the server."""
    codes: list[CodeType] = []
    for code in _codes(error):
        codes = [] if code in _VALUE_STARTS else [*codes, code]
    if not codes:
        return False
    raised_in = codes[-1]
    direct = raised_in in _DIRECT_COMPLETIONS or raised_in.co_name == _ASYNC_COMPLETION
    return direct or not _COMPLETIONS.isdisjoint(codes)


def _codes(error: BaseException) -> Iterator[CodeType]:
    """Yields the functions that the error passed through, the outermost first."""
    for frame, _line in walk_tb(error.__traceback__):
        yield frame.f_code


def denying_permission(error: GraphQLError) -> str | None:
    """Returns the name of the Strawberry permission class that refused the field, or None."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is BasePermission.on_unauthorized.__code__:
            return type(frame.f_locals["self"]).__name__
    return None
