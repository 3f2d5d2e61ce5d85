"""How a field gets its value; what Strawberry puts together at each call is put together once."""

from collections.abc import Callable
from functools import partial, reduce
from inspect import Parameter, isawaitable, iscoroutine, signature
from types import MethodType
from typing import Any

import strawberry
from graphql import GraphQLField, get_named_type, is_abstract_type
from strawberry.exceptions import (
    PermissionReturnedAwaitableInSyncContextError,
    PermissionReturnedNonBooleanError,
)
from strawberry.extensions.field_extension import build_field_extension_resolvers
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types.field import StrawberryField

# From the object that has the field, and its `info`, to the value.
Resolve = Callable[[Any, strawberry.Info[Any, Any]], Any]


def attribute_of(field: GraphQLField) -> str | None:
    """The attribute that the field shows, if it is that and nothing more."""
    definition = definition_of(field)
    if definition is None or not definition.is_basic_field or _completion_wants_info(field):
        return None
    if definition.default_resolver is not getattr:
        return None
    return definition.python_name if getattr(field.resolve, "_is_default", False) else None


def plain_resolver(field: GraphQLField, schema: strawberry.Schema) -> Resolve | None:
    """The resolver with its extensions and permissions, if it is called without arguments."""
    definition = definition_of(field)
    if definition is None or schema.exception_handlers or _completion_wants_info(field):
        return None
    if schema.config.info_class is not strawberry.Info or definition.is_async:
        return None
    call = _call(definition)
    if call is None:
        return None
    return reduce(_extended, build_field_extension_resolvers(definition), call)


def _extended(next_: Resolve, extend: Callable[..., Any]) -> Resolve:
    if isinstance(extend, MethodType) and extend.__func__ is PermissionExtension.resolve:
        extension: Any = extend.__self__
        return _permitted(next_, extension)
    return partial(extend, next_)


def _permitted(next_: Resolve, extension: PermissionExtension) -> Resolve:
    """The same as the extension does, in one step where all is well."""
    permissions = tuple(extension.permissions)

    def resolve(source: Any, info: strawberry.Info[Any, Any], **arguments: Any) -> Any:
        for permission in permissions:
            permitted = permission.has_permission(source, info, **arguments)
            if permitted is not True:
                return _not_permitted(extension, permission, permitted)
        return next_(source, info, **arguments)

    return resolve


def _not_permitted(
    extension: PermissionExtension, permission: BasePermission, answer: object
) -> Any:
    if answer is False:
        return extension._on_unauthorized(permission)  # noqa: SLF001 - what Strawberry calls then
    # Nothing but a boolean decides: a coroutine would be as good as a yes.
    if isawaitable(answer):
        if iscoroutine(answer):
            answer.close()
        raise PermissionReturnedAwaitableInSyncContextError(permission)
    raise PermissionReturnedNonBooleanError(permission, answer)


def definition_of(field: GraphQLField) -> StrawberryField | None:
    """What Strawberry made the field from."""
    definition = field.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def _call(definition: StrawberryField) -> Resolve | None:
    """The function itself, for those who want `self`, `info`, both or neither."""
    resolver = definition.base_resolver
    if resolver is None or definition.arguments:
        return None
    info, function = resolver.info_parameter, resolver.wrapped_func
    wants_more = resolver.parent_parameter or resolver.root_parameter
    if wants_more or (info and info.name != "info") or not callable(function):
        return None
    if resolver.self_parameter and info and _is_second(info, function):
        return function
    return _call_by_name(function, wants_self=bool(resolver.self_parameter), wants_info=bool(info))


def _call_by_name(function: Callable[..., Any], *, wants_self: bool, wants_info: bool) -> Resolve:
    match wants_self, wants_info:
        case True, True:
            return lambda source, info, **more: function(source, info=info, **more)
        case True, False:
            return lambda source, _info, **more: function(source, **more)
        case False, True:
            return lambda _source, info, **more: function(info=info, **more)
        case _:
            return lambda _source, _info, **more: function(**more)


def _is_second(parameter: Parameter, function: Callable[..., Any]) -> bool:
    """Whether a function may be given this parameter by its place."""
    names = list(signature(function).parameters)
    return names[1:2] == [parameter.name] and parameter.kind is not Parameter.KEYWORD_ONLY


def _completion_wants_info(field: GraphQLField) -> bool:
    type_ = get_named_type(field.type)
    return is_abstract_type(type_) or getattr(type_, "is_type_of", None) is not None
