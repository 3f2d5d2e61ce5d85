"""How a field gets its value; what Strawberry puts together at each call is put together once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from inspect import isawaitable, iscoroutine
from typing import Any

import strawberry
from graphql import GraphQLField, get_named_type, is_abstract_type
from strawberry.exceptions import (
    PermissionReturnedAwaitableInSyncContextError,
    PermissionReturnedNonBooleanError,
)
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types.fields.resolver import StrawberryResolver

from graph.compiled.known import (
    KnownResolver,
    is_context_guard,
    is_context_reader,
    known_attribute,
    known_resolver,
)

# From the object that has the field, and its `info`, to the value.
Resolve = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class PlainResolver:
    """A resolver with its permissions, called without arguments."""

    resolve: Resolve
    # Whether anything may read more of `info` than the context.
    wants_info: bool


def attribute_of(field: GraphQLField) -> str | None:
    """The attribute that the field shows, if it is that and nothing more."""
    return None if _completion_wants_info(field) else known_attribute(field)


def plain_resolver(field: GraphQLField, schema: strawberry.Schema) -> PlainResolver | None:
    """The resolver with its permissions, if it is called without arguments."""
    known = None if _completion_wants_info(field) else known_resolver(field, schema)
    call = None if known is None else _call(known.resolver)
    if known is None or call is None:
        return None
    resolve = reduce(_permitted, known.permissions, call)
    return PlainResolver(resolve, _wants_info(known))


def _wants_info(known: KnownResolver) -> bool:
    if known.resolver.info_parameter and not is_context_reader(known.resolver):
        return True
    permissions = [p for extension in known.permissions for p in extension.permissions]
    return not all(map(is_context_guard, permissions))


def _permitted(next_: Resolve, extension: PermissionExtension) -> Resolve:
    """The same as the extension does, in one step where all is well."""

    def resolve(source: Any, info: strawberry.Info[Any, Any]) -> Any:
        for permission in extension.permissions:
            permitted = permission.has_permission(source, info)
            if permitted is not True:
                return _not_permitted(extension, permission, permitted)
        return next_(source, info)

    return resolve


def _not_permitted(
    extension: PermissionExtension, permission: BasePermission, answer: object
) -> Any:
    if answer is False:
        return extension._on_unauthorized(permission)  # noqa: SLF001 - what Strawberry calls then
    # Only a boolean decides: a coroutine is true.
    if isawaitable(answer):
        if iscoroutine(answer):
            answer.close()
        raise PermissionReturnedAwaitableInSyncContextError(permission)
    raise PermissionReturnedNonBooleanError(permission, answer)


def _call(resolver: StrawberryResolver[Any]) -> Resolve | None:
    """The function with `self` and `info` as Strawberry passes them: by place, and by name.

    Decorators around a resolver rely on that.
    """
    function, info = resolver.wrapped_func, resolver.info_parameter
    if resolver.parent_parameter or resolver.root_parameter or (info and info.name != "info"):
        return None
    assert callable(function)
    match bool(resolver.self_parameter), bool(info):
        case True, True:
            return lambda source, info: function(source, info=info)
        case True, False:
            return lambda source, _info: function(source)
        case False, True:
            return lambda _source, info: function(info=info)
        case _:
            return lambda _source, _info: function()


def _completion_wants_info(field: GraphQLField) -> bool:
    type_ = get_named_type(field.type)
    return is_abstract_type(type_) or getattr(type_, "is_type_of", None) is not None
