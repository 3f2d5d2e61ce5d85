"""Finds out where a GraphQL error was raised: this decides whether the caller may read it.

graphql-core raises `GraphQLError` for a mistake of the caller (an argument of the wrong type) and
for a mistake of the server (a resolver returned a dict where the schema promises an `Int`). The
second kind quotes the value, which can be anything: a row, a password hash.
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
    """Raises what graphql-core raises where a value is not of its object type."""
    raise invalid_return_type_error(type_, value, details)


def raise_not_iterable(field: str) -> Never:
    """Raises what graphql-core raises where the value of a list is not iterable."""
    raise GraphQLError(f"Expected Iterable, but did not find one for field '{field}'.")


# Where graphql-core begins with a value: what is raised further inside belongs to that value.
_BEGINS = frozenset(
    function.__code__
    for function in (
        Executor.execute_field,
        Executor.complete_awaitable_value,
        Executor.complete_list_item_value,
        Executor.complete_awaitable_list_item_value,
    )
)
# What raises inside these is a value that does not fit its type, also in the code of a scalar.
_COMPLETES = frozenset(
    function.__code__
    for function in (
        raise_wrong_type,
        raise_not_iterable,
        assert_event_stream,
        Executor.complete_leaf_value,
        Executor.ensure_valid_runtime_type,
    )
)
# These raise the same themselves, but they also call custom code: `is_type_of`, an iterator.
_COMPLETES_ITSELF = frozenset(
    function.__code__ for function in (Executor.complete_list_value, Executor.complete_object_value)
)
# In `complete_object_value`, for an asynchronous `is_type_of`.
_COMPLETES_LATER = "execute_subfields_async"


def is_completion_error(error: BaseException) -> bool:
    """Whether a value did not fit the type of its field, which is the server's mistake."""
    codes: list[CodeType] = []
    for code in _codes(error):
        codes = [] if code in _BEGINS else [*codes, code]
    if not codes:
        return False
    raised_in = codes[-1]
    raises_itself = raised_in in _COMPLETES_ITSELF or raised_in.co_name == _COMPLETES_LATER
    return raises_itself or not _COMPLETES.isdisjoint(codes)


def _codes(error: BaseException) -> Iterator[CodeType]:
    """The functions that the error passed through, the outermost first."""
    for frame, _line in walk_tb(error.__traceback__):
        yield frame.f_code


def denying_permission(error: GraphQLError) -> str | None:
    """The name of the Strawberry permission class that refused the field, if one did."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is BasePermission.on_unauthorized.__code__:
            return type(frame.f_locals["self"]).__name__
    return None
