"""Compiles resolvers and their permissions, which Strawberry combines again at each call."""

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

from graph.compiled.compilable import (
    CompilableResolver,
    compilable_attribute,
    compilable_resolver,
    is_context_guard,
    is_context_reader,
)

# Takes the object that has the field and its `info`. Returns the value.
Resolve = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class PlainResolver:
    """A resolver with its permissions, called without arguments."""

    resolve: Resolve
    # Whether the resolver or a permission may read more of `info` than the context.
    wants_info: bool


def attribute_of(field: GraphQLField) -> str | None:
    """Returns the attribute that the field returns, if it does nothing else."""
    return None if _completion_wants_info(field) else compilable_attribute(field)


def plain_resolver(field: GraphQLField, schema: strawberry.Schema) -> PlainResolver | None:
    """Returns the resolver with its permissions, if it takes no arguments."""
    compilable = None if _completion_wants_info(field) else compilable_resolver(field, schema)
    call = None if compilable is None else _call(compilable.resolver)
    if compilable is None or call is None:
        return None
    resolve = reduce(_with_permissions, compilable.permissions, call)
    return PlainResolver(resolve, _wants_info(compilable))


def _wants_info(compilable: CompilableResolver) -> bool:
    if compilable.resolver.info_parameter and not is_context_reader(compilable.resolver):
        return True
    permissions = [p for extension in compilable.permissions for p in extension.permissions]
    return not all(map(is_context_guard, permissions))


def _with_permissions(next_: Resolve, extension: PermissionExtension) -> Resolve:
    """Returns a resolver that checks the permissions first, as the extension does."""

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
        return extension._on_unauthorized(permission)  # noqa: SLF001 - as Strawberry does
    # Only `True` permits. A coroutine would be truthy.
    if isawaitable(answer):
        if iscoroutine(answer):
            answer.close()
        raise PermissionReturnedAwaitableInSyncContextError(permission)
    raise PermissionReturnedNonBooleanError(permission, answer)


def _call(resolver: StrawberryResolver[Any]) -> Resolve | None:
    """Returns a function that calls the resolver as Strawberry does.

    `self` is positional and `info` a keyword argument: decorators of resolvers rely on that.
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
